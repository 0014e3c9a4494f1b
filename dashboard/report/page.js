// Draws the figures as light or dark as the page, and light and as wide as the sheet when it is printed.
const dark = matchMedia("(prefers-color-scheme: dark)");
const safe = document.getElementById("safe");
const swapped = JSON.parse(document.getElementById("swapped").textContent);
const PRINTED = 860; // pixels, which the style sheet shrinks to the sheet's width
const config = {
  displayModeBar: false, displaylogo: false, responsive: true, modeBarButtonsToRemove: ["sendChartToCloud"],
};
const kept = new Map();
function inColours(text) {
  return safe.checked ? swapped.reduce((said, [usual, other]) => said.replaceAll(usual, other), text) : text;
}
function draw(printing) {
  for (const holder of document.querySelectorAll(".drawing")) {
    if (!kept.has(holder)) kept.set(holder, holder.nextElementSibling.textContent);
    const figure = JSON.parse(inColours(kept.get(holder)))[dark.matches && !printing ? "dark" : "light"];
    const size = printing ? { width: PRINTED, autosize: false } : { autosize: true };
    Plotly.newPlot(holder, figure.data, { ...figure.layout, ...size }, config);
  }
}
draw(false);
dark.addEventListener("change", () => draw(false));
safe.addEventListener("change", () => draw(false));
addEventListener("beforeprint", () => draw(true));
addEventListener("afterprint", () => draw(false));
// A picture as it is seen; the browser makes it, nothing leaves the page.
addEventListener("click", (event) => {
  const button = event.target.closest(".save button");
  if (!button) return;
  const holder = button.closest("figure").querySelector(".drawing");
  const { format, name } = button.dataset;
  const size = { width: holder.clientWidth, height: holder.clientHeight, scale: format === "png" ? 2 : 1 };
  Plotly.downloadImage(holder, { format, filename: name, ...size });
});
