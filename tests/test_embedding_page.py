"""The Embedding map as Streamlit runs it: empty states, choices, a region; maps are kept before, none is made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import data_images, embedding_maps
from dashboard.figures.map_region import Region
from dashboard.map_maker import Making, MapMaker, MapTask
from dashboard.views import map_chart
from engine import embeddings
from engine.store import Store
from engine.trial import AS_PRETRAINED
from tests.drawn_page import drawn_page, texts
from tests.made_classification import made_classification
from tests.made_store import made_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`views` has maps of fold 0; `bare` kept no embedding; `early` has no finished cell; `masks` has no classes."""
    folder = tmp_path_factory.mktemp("maps")
    place: tuple[Path, Path] = (folder / "results", folder / "cache")
    options: dict[str, Any] = {"strategies": ("whole network", "from scratch"), "fractions": (75,), "patients": 8}
    store = made_classification(*place, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "embedding_map", lambda features, *rest, **more: features[:, :2].astype(np.float32))
        plan = store.plan("views")
        for trial in plan.loc[plan["fold"] == 0, "id"]:
            embeddings.stored_map(store, "views", trial)
    bare = made_classification(*place, study="bare", **options)
    for name in bare.has_embeddings("bare"):
        bare.files.delete(f"bare/embeddings/{name}.safetensors")
    made_classification(*place, study="early", finished=lambda number, trial: number < 2, **options)
    made_store(*place, study="masks", fractions=(80,))
    return folder


@pytest.fixture(autouse=True)
def places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(folder / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "cache"))


def run(study: str | None, chosen: list[int] | None = None, **asked: str) -> AppTest:
    region = {} if chosen is None else {map_chart.REGION: Region(frames=tuple(chosen))}
    return drawn_page("embedding_map", study, asked, region)


def test_without_a_study_the_page_says_what_will_be_there() -> None:
    assert texts(run(None)) == "No study yet, so no maps of embeddings."


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ("bare", "No embedding of a finished cell is kept"),
        ("early", "No embedding of a finished cell is kept"),
        ("masks", "Maps are drawn of studies whose networks tell classes apart"),
    ],
)
def test_a_study_that_cannot_have_a_map_says_why(study: str, said: str) -> None:
    assert said in texts(run(study))


def test_images_that_left_the_cache_are_said_to_be_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(folder / "elsewhere"))
    assert "no longer in the cache" in texts(run("views"))


def test_before_and_after_stand_side_by_side_with_the_same_test_images() -> None:
    told = texts(run("views"))
    assert "**Start weights as they are** · 28 images: " in told
    assert "**After fine-tuning** · 28 images: " in told
    assert "Perplexity 9 in place of 30: 28 images allow no more." in told
    everything = texts(run("views", set="all"))
    assert "**After fine-tuning** · 112 images: " in everything
    assert "84 not tested" in everything


def test_what_began_at_random_has_no_map_before() -> None:
    told = texts(run("views", strategy="from scratch"))
    assert "Start weights as they are" not in told
    assert "**After fine-tuning** · 112 images" in told
    assert "No map before fine-tuning: this network began from random weights." in told


def test_start_weights_of_other_classes_are_seen_by_their_last_hidden_layer_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no output layer" not in texts(run("views"))
    monkeypatch.setattr(data_images, "start_tests", lambda study: data_images.data.plan(study).iloc[:0])
    told = texts(run("views"))
    assert "Start weights as they are" not in told
    assert "No map before fine-tuning: the start weights have no output layer for the classes of this study" in told
    assert "run the study under another name" in told
    store = Store.at(folder / "results")
    plan = store.plan("views")
    (after,) = plan.loc[(plan["strategy"] == "whole network") & (plan["fold"] == 0), "id"]
    name = embeddings.before_training(after)
    store.write_embedding("views", name, store.embedding("views", after).read_bytes())
    monkeypatch.setattr(embeddings, "embedding_map", lambda features, *rest, **more: features[:, :2].astype(np.float32))
    embeddings.stored_map(store, "views", name)
    told = texts(run("views", set="all"))
    assert "**Start weights as they are** · 112 images: 112 not tested" in told
    assert "Before fine-tuning, the start weights have no output layer for the classes of this study" in told
    assert "No map before" not in told
    store.files.delete(f"views/embeddings/{name}.safetensors")


@pytest.mark.parametrize("asked", [{"colour_by": "right or wrong"}, {"colour_by": "scanner"}, {"draw": "thumbnails"}])
def test_colours_and_thumbnails_draw(asked: dict[str, str]) -> None:
    assert "28 images" in texts(run("views", **asked))


def test_a_chosen_region_shows_its_frames_and_their_confusion_and_can_be_cleared() -> None:
    data = Store.at(str(Path(map_chart.data.store().files.root))).plan("views")
    after = data[(data["strategy"] == "whole network") & (data["fold"] == 0)]["id"].iloc[0]
    frames = [int(place) for place in embedding_maps.tested("views", after)["index"]][:20]
    test = run("views", frames)
    assert "Chosen region · 20 images: " in texts(test)
    assert "rows are true classes" in texts(test)
    assert "Page of 2" in [box.label for box in test.number_input]
    next(button for button in test.button if button.key == "clear map").click().run()
    assert not test.exception
    assert "Draw around a region of a map" in texts(test)


def test_a_map_that_is_not_there_is_asked_for_and_the_page_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[MapTask] = []
    says = [Making(part=0.4, text="t-SNE: step 300 of 750"), Making(error="out of paper")]

    class Maker(MapMaker):
        def ask(self, task: MapTask) -> Making:
            asked.append(task)
            return says[task.method == "UMAP"]

    monkeypatch.setattr(embedding_maps, "shared_maker", Maker)
    test = run("views", fold="1")
    assert {(task.method, task.perplexity, task.seed) for task in asked} == {("t-SNE", 30.0, 0)}
    plan = Store.at(str(Path(map_chart.data.store().files.root))).plan("views").set_index("id")
    assert set(plan.loc[[task.trial_id for task in asked], "strategy"]) == {AS_PRETRAINED, "whole network"}
    assert not test.subheader
    assert "out of paper" in texts(run("views", map="UMAP"))
