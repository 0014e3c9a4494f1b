"""The pages by address: where they stand in the navigation, their titles and icons."""

PAGES: dict[str, tuple[str, str, str]] = {
    "results": ("Answer", "Results", ":material/grid_on:"),
    "comparisons": ("Answer", "Comparisons", ":material/compare_arrows:"),
    "cost": ("Answer", "Cost", ":material/savings:"),
    "layer-by-layer": ("Answer", "Layer by layer", ":material/layers:"),
    "published": ("Answer", "Published", ":material/menu_book:"),
    "strategies": ("Look closer", "Strategies", ":material/schema:"),
    "curves": ("Look closer", "Curves", ":material/show_chart:"),
    "masks": ("Look closer", "Masks", ":material/gesture:"),
    "features": ("Look closer", "Features", ":material/blur_on:"),
    "quality": ("Look closer", "Quality", ":material/verified:"),
    "images": ("Data and live", "Images", ":material/image:"),
    "live": ("Data and live", "Live", ":material/videocam:"),
}
"""Address -> section, title, icon."""
