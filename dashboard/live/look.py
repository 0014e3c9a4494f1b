"""How the Live program looks: the colours of the pages around it, and its style sheet."""

import gradio as gr


def theme() -> gr.themes.Base:
    """The colours of the pages around it; fonts of the reader's own system, so nothing is fetched."""
    light = {
        "body_background_fill": "#ffffff",
        "body_text_color": "#1f2933",
        "body_text_color_subdued": "#5b6770",
        "block_label_text_color": "#5b6770",
        "block_border_color": "#d9dee2",
        "input_background_fill": "#f6f7f8",
        "loader_color": "#0b6e8a",
        "color_accent": "#0b6e8a",
        "button_secondary_background_fill": "#f6f7f8",
        "button_secondary_border_color": "#d9dee2",
    }
    dark = {
        "body_background_fill": "#14181c",
        "background_fill_primary": "#14181c",
        "background_fill_secondary": "#1d2328",
        "body_text_color": "#e6eaee",
        "body_text_color_subdued": "#9aa7b1",
        "block_label_text_color": "#9aa7b1",
        "block_label_background_fill": "#1d2328",
        "block_background_fill": "#1a1f24",
        "block_border_color": "#313a41",
        "border_color_primary": "#313a41",
        "input_background_fill": "#242b31",
        "button_secondary_background_fill": "#242b31",
        "button_secondary_border_color": "#313a41",
    }
    return gr.themes.Base(
        primary_hue=gr.themes.colors.cyan,
        neutral_hue=gr.themes.colors.slate,
        spacing_size="sm",
        radius_size="md",
        font=["Source Sans", "ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(**light, **{f"{name}_dark": colour for name, colour in dark.items()})


KEEP_IN_ADDRESS = """(study, trial) => {
  // The choice stays in the address of the program and of the page around it, so that a reload finds it again.
  for (const place of [window, window.parent]) {
    try {
      const address = new URL(place.location.href);
      address.searchParams.set("study", study);
      address.searchParams.set("trial", trial);
      place.history.replaceState(place.history.state, "", address);
    } catch (otherOrigin) { /* a page of another host shows the program: its address is its own */ }
  }
}"""

CSS = """
.gradio-container { max-width: none !important; padding: 4px 2px !important; }
main.fillable, .app { max-width: none !important; padding: 0 !important; }
#about p, #footer p, .hint { color: var(--body-text-color-subdued); font-size: 14px; margin: 2px 4px; }
.problem { border-left: 3px solid #d64545; padding: 6px 10px; margin: 4px; overflow-wrap: anywhere; }
.figures { display: flex; gap: 40px; margin: 4px; }
.figures dt { color: var(--body-text-color-subdued); font-size: 13px; }
.figures dd { margin: 0; font-size: 14px; color: var(--body-text-color-subdued); }
.figures dd b { font-size: 26px; font-weight: 600; color: var(--body-text-color); font-variant-numeric: tabular-nums; }
.figures dt i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
.figures { flex-wrap: wrap; row-gap: 10px !important; }
.scale span { display: inline-block; width: 120px; height: 10px; border-radius: 2px; vertical-align: -1px;
  margin: 0 6px;
  background: linear-gradient(90deg, #44015400, #cc3e4c99, #f98e0999, #fcffa499), #555; }
.scrubber { display: block; }
.scrubber input { display: block; margin-left: 52px; width: calc(100% - 64px); accent-color: var(--color-accent); }
.scrubber output { display: block; text-align: center; font-size: 13px; color: var(--body-text-color-subdued);
  font-variant-numeric: tabular-nums; }
#about, #figures, #figures2, #footer, #kept, #file-figures, #scrub { padding: 0 !important; }
.camera button { padding: 5px 14px; margin-right: 6px; border: 1px solid var(--border-color-primary);
  border-radius: var(--radius-md); background: var(--button-secondary-background-fill); color: var(--body-text-color); }
.camera button:disabled { opacity: .45; }
.camera canvas { max-width: 100%; max-height: 480px; border-radius: 4px; background: #000; }
.camera .panes { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 12px; margin: 6px 0; }
.camera .pane { margin: 0; min-width: 0; }
.camera .pane[hidden] { display: none; }
.camera figcaption { font-size: 14px; color: var(--body-text-color-subdued); margin: 0 0 4px; min-height: 1.4em; }
#frame img, .outlined img { width: 100%; height: 100%; object-fit: contain; }
.classes { padding: 2px 4px !important; }
.said { display: grid; grid-template-columns: minmax(7rem, 34%) 1fr 5.4rem; gap: 4px 12px; align-items: center; }
.said span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 14px;
  color: var(--body-text-color-subdued); }
.said .first span { font-size: 17px; color: var(--body-text-color); }
.said .row { display: contents; }
.said .bar { height: 12px; min-width: 2px; border-radius: 3px; background: var(--neutral-400); }
.said .first .bar { height: 20px; background: var(--color-accent); }
.said .number { text-align: right; font-variant-numeric: tabular-nums; }
.others { margin: 8px 0 0; }
.others summary { cursor: pointer; font-size: 14px; color: var(--body-text-color-subdued); }
.seen { display: flex; gap: 12px; align-items: end; margin: 14px 0 0; }
.seen img { width: 132px; height: 132px; border-radius: 4px; object-fit: contain; }
.neighbours { display: flex; flex-wrap: wrap; gap: 16px; flex-direction: row-reverse; justify-content: flex-end; }
.neighbours svg { flex: none; }
.neighbours circle { fill: var(--neutral-400); fill-opacity: .6; }
.neighbours circle.here { fill: var(--color-accent); fill-opacity: 1; stroke: var(--body-background-fill);
  stroke-width: 2; }
.pictures { display: flex; flex-wrap: wrap; gap: 8px; align-content: flex-start; flex: 1 1 300px; }
.pictures figure { margin: 0; width: 118px; }
.pictures img { width: 118px; height: 118px; border-radius: 3px; object-fit: contain; }
.pictures figcaption { font-size: 12px; color: var(--body-text-color-subdued); overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
#mask { align-self: start; }
/* As tall as the tools under the frame, so that frame and outline are shown in one size. */
.outlined .image-container { padding-bottom: 41px; }
footer { display: none !important; }
"""
