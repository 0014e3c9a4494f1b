// Draws the figures as light or dark as the page, and light and as wide as the sheet when it is printed.
const dark = matchMedia("(prefers-color-scheme: dark)");
const PRINTED = 860; // pixels, which the style sheet shrinks to the sheet's width
const config = {
  displayModeBar: false, displaylogo: false, responsive: true, modeBarButtonsToRemove: ["sendChartToCloud"],
};
const kept = new Map();
function draw(printing) {
  for (const holder of document.querySelectorAll(".drawing")) {
    if (!kept.has(holder)) kept.set(holder, holder.nextElementSibling.textContent);
    const figure = JSON.parse(kept.get(holder))[dark.matches && !printing ? "dark" : "light"];
    const size = printing ? { width: PRINTED, autosize: false } : { autosize: true };
    Plotly.newPlot(holder, figure.data, { ...figure.layout, ...size }, config);
  }
}
draw(false);
dark.addEventListener("change", () => draw(false));
addEventListener("beforeprint", () => draw(true));
addEventListener("afterprint", () => draw(false));
