"""Features: what a shallow and a deep unit hand on of one image, before fine-tuning and after."""

import streamlit as st

from dashboard import data, data_images
from dashboard.figures.cells import with_results
from dashboard.figures.feature_maps import unit_names
from dashboard.figures.mask_rows import images_table, labels, median_first
from dashboard.views import finished, unit_maps
from dashboard.views.choice import select, switch
from engine.errors import WhichLayersError
from engine.trained import unkept

NOTHING = (
    "No trained network of this study can be shown: feature maps need a fine-tuned trial's weights and its start "
    "weights, which lie in the study's folder `weights` once a trial is finished."
)
MOST = {"12 most changed": 12, "48 most changed": 48}


def page() -> None:
    """Trial, image and units above; then how much maps changed, and the maps themselves."""
    study = finished.begin("Features", "Feature maps")
    if study is None:
        return
    trained, source = dict(data_images.trained(study)), data.dataset(study)
    if not trained or source is None:
        st.info(finished.GONE if trained else unkept(data.store(), study) or NOTHING)
        return
    trial = trained[select("Trained trial: most images first, then best validation", list(trained), "trained trial")]
    plan = data.plan(study)
    row = with_results(plan[plan["id"] == trial], data.attempts(study))
    images = data_images.test_images(study, row)
    table, units = images_table(images, str(row["strategy"].iloc[0])), unit_names(plan, trial)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        image = select("Test image (the first: median Dice)", median_first(table), "image", width=420)
        chosen = [
            select("Shallow unit", units, "shallow unit", width=140),
            select("Deep unit", units[::-1], "deep unit", width=140),
        ]
        most = MOST[switch("Maps", list(MOST), "maps")]
    index = int(table["index"].iloc[labels(table).index(image)])
    try:
        maps = {unit: data_images.feature_maps(study, trial, unit, index) for unit in dict.fromkeys(chosen)}
    except WhichLayersError as error:
        st.info("  \n".join(error.problems))
        return
    packed = images.loc[images["index"] == index, "predicted_mask"].iloc[0]
    unit_maps.draw(data_images.picture(study, index, packed, truth=True), maps, source.table.iloc[index], most)
