"""A drawn clip and its timeline on the Live page: the place in one is the place in the other."""

from engine.clip_writing import written_frame_ms


def scrubber(frames: int, frame_ms: float | None) -> str:
    """A slider over the frames of a drawn clip, whose source says `frame_ms`."""
    return (
        '<label class="scrubber" title="Arrow keys: a frame; space: play or pause; or click in the timeline">'
        f'<input type="range" id="clip-place" min="1" max="{frames}" value="1" aria-label="Frame of the clip" '
        f'data-seconds="{written_frame_ms(frame_ms) / 1000:.6f}"><output>frame 1 of {frames:,}</output></label>'
    )


FOLLOW = """() => {
  if (window.whichLayersPlayer) return;
  const listening = new WeakSet();
  window.whichLayersPlayer = { listening };
  const player = () => document.querySelector("#clip video");
  const slider = () => document.getElementById("clip-place");
  const plot = () => document.querySelector("#timeline .js-plotly-plot");

  function seek(frame) {
    // Into the middle of a frame: where it begins is rounded to milliseconds in the file.
    if (player() && slider()) player().currentTime = (frame - 0.5) * slider().dataset.seconds;
  }

  function show() {
    const video = player(), place = slider(), drawn = plot(), last = Number(place?.max);
    if (!video || !place) return;
    const frame = Math.min(last, Math.floor(video.currentTime / place.dataset.seconds) + 1);
    place.value = frame;
    place.nextElementSibling.textContent = `frame ${frame.toLocaleString("en")} of ${last.toLocaleString("en")}`;
    if (!drawn?.layout?.meta || !window.Plotly) return;
    const x = drawn.layout.meta.first + drawn.layout.meta.step * (frame - 1);
    if (drawn.layout.shapes[0].x0 !== x) window.Plotly.relayout(drawn, { "shapes[0].x0": x, "shapes[0].x1": x });
    const field = drawn.querySelector(".nsewdrag").getBoundingClientRect(), thumb = 8;
    place.style.marginLeft = `${field.left - place.parentElement.getBoundingClientRect().left - thumb}px`;
    place.style.width = `${field.width + 2 * thumb}px`;
  }

  function follow() {
    show();
    if (player() && !player().paused) requestAnimationFrame(follow);
  }

  // The page may draw the timeline anew, with its marker at the first frame, long after the last of these events.
  setInterval(show, 250);
  for (const kind of ["loadeddata", "play", "pause", "seeking", "seeked", "ended"])
    document.addEventListener(kind, (event) => { if (event.target === player()) follow(); }, true);
  document.addEventListener("input", (event) => { if (event.target === slider()) seek(slider().value); });
  document.addEventListener("keydown", (event) => {
    if (event.target !== slider() || event.key !== " ") return;
    event.preventDefault();
    if (player()?.paused) player().play(); else player()?.pause();
  });
  document.addEventListener("pointerdown", (event) => {
    const drawn = event.target.closest?.("#timeline .js-plotly-plot");
    if (!drawn || listening.has(drawn)) return;
    listening.add(drawn);
    drawn.on("plotly_click", (click) => {
      seek(click.points[0].customdata);
      slider()?.focus({ preventScroll: true });
    });
  }, true);
}"""
"""Runs once when the page is opened."""
