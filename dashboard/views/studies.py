"""Studies: all that are kept, with state and size; open, rename, archive, delete, take away and bring back."""

import hashlib
from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.exports import Export
from dashboard.figures.answer import duration
from dashboard.pages import TO_OPEN
from dashboard.places import cache_root, command
from dashboard.views import notices
from engine import studies
from engine.errors import WhichLayersError

NAMES = {"closed": "trials done", "size": "size (MB)", "changed": "last change (UTC)"}
CHOSEN, DRAWN = "study chosen", "studies drawn"
"""Of a session: the study chosen in the list, and the list that it was chosen in."""
EXPORTED = "study exported"
"""Where a session keeps its last file: what was asked for, and the export, which goes with the session."""


def page() -> None:
    """The list; below it what can be done with the chosen study; an archive and an import at the end."""
    st.title("Studies", anchor=False)
    for line in notices.said("studies"):
        st.success(line)
    store = data.store()
    found = studies.study_rows(store)
    if found:
        names = tuple(row.name for row in found)
        drawn = st.session_state[DRAWN] = f"studies {hashlib.sha256(repr(names).encode()).hexdigest()[:12]}"
        st.dataframe(
            _table(found), hide_index=True, key=drawn, on_select=partial(_choose, drawn, names),
            selection_mode="single-row",
            column_config={"progress": st.column_config.ProgressColumn("progress", format="%d %%", max_value=100)},
        )  # fmt: skip
        for row in found:
            if row.name == st.session_state.get(CHOSEN):
                _chosen(row)
                break
        else:
            st.caption("Choose a row to open, rename, archive, export or delete a study.")
    else:
        st.info("No study yet. Launch one, or bring one back from a file below.")
    _archived()
    _import()


def _choose(drawn: str, names: Sequence[str]) -> None:
    # By its name: the list is ordered by change, and a place in it would soon be another study's.
    if drawn == st.session_state[DRAWN]:
        places = st.session_state[drawn]["selection"]["rows"]
        st.session_state[CHOSEN] = names[places[0]] if places else None


def _table(found: Sequence[studies.StudyRow]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": [row.name for row in found],
            "state": [
                f"{row.state}, {duration(row.eta_seconds)} left" if row.eta_seconds else row.state for row in found
            ],
            "progress": [100 * row.closed // max(row.trials, 1) for row in found],
            NAMES["closed"]: [f"{row.closed} of {row.trials}" if row.trials else "–" for row in found],
            "failed": [row.failed for row in found],
            NAMES["size"]: [round(row.size_bytes / 1e6, 1) for row in found],
            NAMES["changed"]: [row.changed.replace("T", " ").removesuffix("+00:00") for row in found],
            "question": [row.question for row in found],
        }
    )


def _chosen(row: studies.StudyRow) -> None:
    name, store = row.name, data.store()
    st.subheader(name, anchor=False, divider="gray")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        if st.button("Open", icon=":material/grid_on:", type="primary"):
            st.session_state[TO_OPEN] = name
            st.switch_page(st.session_state["pages"]["results"], query_params={"study": name})
        to = st.text_input("New name", value=name, key=f"name of {name}", width=240)
        busy = row.is_running
        told = command("rename", name, to)
        if st.button("Rename", icon=":material/edit:", disabled=busy or to == name, help=f"`{told}`"):
            _do(lambda: _rename(name, to), f"'{name}' is called '{to}' now.")
        if st.button("Archive", icon=":material/archive:", disabled=busy, help=f"`{command('archive', name)}`"):
            _do(lambda: studies.archive(store, name), f"'{name}' is archived: it is kept, and listed below.")
        if st.button("Delete …", icon=":material/delete:", disabled=busy, help=f"`{command('delete', name)}`"):
            _delete(name)
    _export(name, busy)
    if busy:
        st.caption("It runs: stop it first, on the page Running, to rename, archive, export or delete it.")


def _rename(name: str, to: str) -> None:
    studies.rename(data.store(), name, to)
    st.session_state[CHOSEN] = to


def _export(name: str, busy: bool) -> None:
    """The file is made first, so that what is in the way is said, and sent when the browser asks for it."""
    with_images = st.checkbox("with the decoded images (they may show patients)", key=f"images of {name}")
    words = ("export", name, f"{name}.zip", *(["--with-images"] if with_images else []))
    asked = (name, data.stamp(name), with_images)
    if st.button("Export as one file", icon=":material/folder_zip:", disabled=busy, help=f"`{command(*words)}`"):
        st.session_state.pop(EXPORTED, None)
        export = Export(words[2])
        try:
            with st.spinner("Writing the file …"):
                studies.pack(data.store(), name, export.file, cache=cache_root() if with_images else None)
            st.session_state[EXPORTED] = (asked, export)
        except WhichLayersError as error:
            st.error("  \n".join(error.problems))
    made, export = st.session_state.get(EXPORTED, ((), None))
    if export is not None and made == asked and export.file.is_file():  # else it is gone after a day
        said = f"{export.file.name} ({export.file.stat().st_size / 1e6:.1f} MB)"
        st.link_button(said, export.address, icon=":material/download:", type="primary")


@st.dialog("Delete this study?")
def _delete(name: str) -> None:
    parts = studies.contents(data.store(), name)
    lines = [f"- {what}: {files} files, {size / 1e6:.1f} MB" for what, (files, size) in parts.items()]
    st.markdown(f"**{name}** goes for good, with:\n" + "\n".join(lines) + "\n\nDecoded images in the cache stay.")
    if st.button("Delete it", type="primary", icon=":material/delete_forever:"):
        _do(lambda: studies.delete(data.store(), name), f"'{name}' is deleted.")


def _archived() -> None:
    found = studies.study_rows(data.store(), archived=True)
    if not found:
        return
    with st.expander(f"Archived ({len(found)})", icon=":material/archive:"):
        for row in found:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{row.name}** · {row.size_bytes / 1e6:.1f} MB · since {row.archived[:10]}")
                if st.button("List it again", key=f"unarchive {row.name}", help=f"`{command('unarchive', row.name)}`"):
                    _do(lambda name=row.name: studies.unarchive(data.store(), name), f"'{row.name}' is listed again.")


def _import() -> None:
    with st.expander("Import a study from a file", icon=":material/upload:"):
        file = st.file_uploader("A zip that an export made", type="zip", key="import file")
        name = st.text_input("Under another name", key="import name", placeholder="its own name", width=260)
        if not st.button("Import", disabled=file is None, help=f"`{command('import', 'FILE')}`") or file is None:
            return

        def unpack() -> None:
            made = studies.unpack(data.store(), file, shown=file.name, name=name or None, cache=cache_root())
            notices.say("studies", f"'{made.study}' is here: {made.files} files.", *made.notes)

        _do(unpack, "")


def _do(act: object, then: str) -> None:
    assert callable(act)
    try:
        act()
    except WhichLayersError as error:
        st.error("  \n".join(error.problems))
        return
    if then:
        notices.say("studies", then)
    st.rerun()
