"""Launch: a study made by form or file, looked over before it starts, and started as a process of its own."""

import streamlit as st

from dashboard import data
from dashboard.launch import uploads
from dashboard.launch.study_text import SMALL, entries, read, value_at
from dashboard.places import cache_root, command
from dashboard.views import form, launch_check, launching, notices, unit_choice
from engine.architectures import STRATEGIES, UNITS, extra_strategies
from engine.errors import StudyFileError, WhichLayersError

ASKED = (
    "name", "question", "strategies", "reference", "margin", "fractions", "learning_rates", "seeds", "data.kind",
    "data.learn", "data.folder", "data.images", "data.scanner", "model.name", "model.width", "model.image_size",
    "start_weights.kind", "start_weights.file", "start_weights.folder", "folds.of", "folds.run", "training.patience",
    "training.max_epochs", "training.batch_size", "search.kind", "search.scheduler", "resources.at_once",
)  # fmt: skip
"""Keys with a place of their own in the form; the others stand below them."""
STACKED = """<style>@media (max-width: 1000px) {
  .st-key-launch > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]
  {min-width: 100%}
}</style>"""
"""The file stands below the form on narrow screens."""
PERCENTS = ("80", "50", "20", "5")
RATES = ("1e-3", "3e-4", "1e-4", "3e-5")


def page() -> None:
    """The form on the left; the file, what it comes to and the button on the right."""
    st.title("Launch", anchor=False)
    form.begin(SMALL)
    launching.go_on()
    st.html(STACKED)
    with st.container(key="launch"):
        left, right = st.columns([3, 2], gap="large")
    with right:
        _file()
    with left:
        for line in notices.said("form"):
            st.error(line)
        try:
            read(form.text())
        except StudyFileError as error:
            st.info("The form comes back when the file can be read again.")
            st.error("  \n".join(error.problems))
            return
        _form()


def _form() -> None:
    ask = form.ask
    with st.container(horizontal=True):
        ask(("name",), width=260)
        ask(("question",))
    st.subheader("Images", anchor=False, divider="gray")
    with st.container(horizontal=True):
        ask(("data", "kind"), label="Images", width=220)
        ask(("data", "learn"), label="Learn", width=140)
    kind = value_at(read(form.text()), ("data", "kind")) or "folder"
    if kind == "folder":
        ask(("data", "folder"), label="Folder on the machine of this server")
        _upload()
        launch_check.folder(read(form.text()))
    else:
        with st.container(horizontal=True):
            ask(("data", "images"), label="Number of images", width=180)
            ask(("data", "scanner"), width=180)
    st.subheader("Network and start weights", anchor=False, divider="gray")
    with st.container(horizontal=True):
        _model()
        ask(("model", "width"), width=85)
        ask(("model", "image_size"), label="Side (pixels)", width=110)
        ask(("start_weights", "kind"), label="Start weights", width=205)
    start = value_at(read(form.text()), ("start_weights", "kind"))
    if start in ("file", "folder"):
        ask(("start_weights", str(start)), label=f"{str(start).capitalize()} of the start weights")
    st.subheader("Strategies", anchor=False, divider="gray")
    model = str(value_at(read(form.text()), ("model", "name")) or "unet")
    beside = [strategy.name for strategy in extra_strategies(model)] if model in UNITS else []
    form.ask_list(
        ("strategies",), "Strategies: choose, or type units as blocks 1,2,8-9", [*STRATEGIES.get(model, {}), *beside],
        placeholder="the paper's thirteen",
    )  # fmt: skip
    if model in UNITS:
        unit_choice.draw(model)
    with st.container(horizontal=True):
        ask(("reference",), label="Held against", width=260)
        ask(("margin",), label="Margin", width=120)
    st.subheader("Search", anchor=False, divider="gray")
    with st.container(horizontal=True):
        form.ask_list(("fractions",), "Part of the images (%)", PERCENTS)
        form.ask_list(("learning_rates",), "Learning rates", RATES)
    with st.container(horizontal=True):
        ask(("folds", "of"), label="Folds", width=80)
        ask(("folds", "run"), label="Folds to run", width=120)
        ask(("seeds",), width=90)
        ask(("search", "kind"), label="Combinations", width=125)
        ask(("search", "scheduler"), width=110)
    with st.container(horizontal=True):
        ask(("training", "patience"), label="Patience (epochs)", width=135)
        ask(("training", "max_epochs"), label="Epochs at most", width=130)
        ask(("training", "batch_size"), label="Batch size", width=110)
        ask(("resources", "at_once"), label="Trials at once", width=120)
    with st.expander("All other settings"):
        _others()


def _others() -> None:
    for section, found in entries().items():
        rest = [entry for entry in found if ".".join(entry.key) not in ASKED]
        if rest:
            st.markdown(f"**{' · '.join(section).replace('_', ' ').capitalize() or 'Study'}**")
            columns = st.columns(3)
            for number, entry in enumerate(rest):
                with columns[number % 3]:
                    form.ask(entry.key)


def _model() -> None:
    names = list(UNITS)
    found = str(value_at(read(form.text()), ("model", "name")) or "")
    key = ("model", "name")
    widget = form.state(key)
    form.hold(widget, found or None)
    st.selectbox(
        "Network", dict.fromkeys([*names, *([found] if found else [])]), key=widget, index=None, width=140,
        placeholder="unet", on_change=form.chosen, args=(key, widget), help=form.ENTRIES[key].field.doc,
    )  # fmt: skip


def _upload() -> None:
    file = st.file_uploader("or a zip with images, and masks or a manifest", type="zip", key="form upload")
    if file is None:
        return
    try:
        folder = str(uploads.unpacked(file, file.name, cache_root()))
    except WhichLayersError as error:
        st.error("  \n".join(error.problems))
        return
    if st.session_state.get("form uploaded") != folder:
        st.session_state["form uploaded"] = folder
        form.put(("data", "folder"), folder)
        form.replace(form.text())
        st.rerun()


def _file() -> None:
    names = ["a small study", *data.studies()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        begin = st.selectbox("Begin with", names, index=None, placeholder="choose to begin anew", key="form begin")
        if st.button("Take it", disabled=begin is None, key="form take"):
            study_text = SMALL if begin == names[0] else data.store().study_text(str(begin))
            form.replace(study_text)
            st.rerun()
    file = st.file_uploader("or a study file", type=["yaml", "yml"], key="form file")
    if file is not None and st.session_state.get("form read") != file.file_id:
        st.session_state["form read"] = file.file_id
        form.replace(file.getvalue().decode("utf-8-sig", "replace"))
        st.rerun()
    form.ask_text("Study file", height=430)
    is_sound = launch_check.before(form.text())
    with st.container(horizontal=True):
        launching.button(is_sound)
        name = value_at(_tree(), ("name",)) or "study"
        st.download_button("Download", form.text(), f"{name}.yaml", "text/yaml", icon=":material/download:")
    st.caption(f"The same from a terminal: `{command('run', f'{name}.yaml')}`")


def _tree() -> object:
    try:
        return read(form.text())
    except StudyFileError:
        return {}
