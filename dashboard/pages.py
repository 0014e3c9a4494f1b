"""The pages by address: where they stand in the navigation, their titles and icons, and which studies they are for."""

from engine.trial import Task

PAGES: dict[str, tuple[str, str, str]] = {
    "launch": ("Search", "Launch", ":material/rocket_launch:"),
    "running": ("Search", "Running", ":material/monitoring:"),
    "studies": ("Search", "Studies", ":material/folder_open:"),
    "results": ("Answer", "Results", ":material/grid_on:"),
    "accuracy": ("Answer", "Accuracy", ":material/bar_chart:"),
    "comparisons": ("Answer", "Comparisons", ":material/compare_arrows:"),
    "cost": ("Answer", "Cost", ":material/savings:"),
    "layer-by-layer": ("Answer", "Layer by layer", ":material/layers:"),
    "published": ("Answer", "Published", ":material/menu_book:"),
    "confusion": ("Look closer", "Confusion", ":material/apps:"),
    "mistakes": ("Look closer", "Mistakes", ":material/rule:"),
    "agreement": ("Look closer", "Agreement", ":material/join_inner:"),
    "embedding-map": ("Look closer", "Embedding map", ":material/bubble_chart:"),
    "reader-study": ("Look closer", "Reader study", ":material/how_to_reg:"),
    "strategies": ("Look closer", "Strategies", ":material/schema:"),
    "curves": ("Look closer", "Curves", ":material/show_chart:"),
    "masks": ("Look closer", "Masks", ":material/gesture:"),
    "features": ("Look closer", "Features", ":material/blur_on:"),
    "quality": ("Look closer", "Quality", ":material/verified:"),
    "images": ("Data and live", "Images", ":material/image:"),
    "live": ("Data and live", "Live", ":material/videocam:"),
}
"""Address -> section, title, icon."""
TO_OPEN = "study to open"
"""Key of the session: the study that shall be shown next, as soon as the store has it."""
ONLY: dict[str, Task] = {
    "accuracy": "classification",
    "confusion": "classification",
    "mistakes": "classification",
    "agreement": "classification",
    "embedding-map": "classification",
    "reader-study": "classification",
    "masks": "segmentation",
    "features": "segmentation",
}
"""Pages that say something of studies of one task only."""
DOES: dict[Task, str] = {"segmentation": "outlines structures", "classification": "tells classes of images apart"}


def fits(address: str, task: Task | None) -> bool:
    """Whether the page belongs to studies of the task; without a study (None) every page is there."""
    return task is None or ONLY.get(address, task) == task


def why_not(address: str, task: Task) -> str:
    """Why a study of this task has no such page, in one line."""
    for_task = ONLY[address]
    return (
        f"{PAGES[address][1]} is a page of studies whose network {DOES[for_task]} ({for_task}); "
        f"this study's network {DOES[task]} ({task}). Choose another page, or another study on the left."
    )
