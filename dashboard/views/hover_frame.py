"""The frame under the pointer, beside it: a small program in the browser that listens to the charts of the page."""

import streamlit as st

_HTML = '<figure id="frame" hidden><img alt=""></figure>'
_CSS = """
#frame { position: fixed; z-index: 1000; margin: 0; padding: 3px; border-radius: 6px; pointer-events: none;
         background: var(--st-secondary-background-color, #f6f7f8); box-shadow: 0 2px 10px rgb(0 0 0 / 35%); }
#frame img { display: block; width: 168px; border-radius: 4px; }
"""
_JS = """
export default function (component) {
  const { data, parentElement } = component;
  const figure = parentElement.querySelector("#frame"), image = figure.querySelector("img");
  const heard = new Map();
  const show = (event) => {
    const found = event.points && event.points[0] && event.points[0].customdata;
    if (found === undefined || found === null) return;
    const place = Array.isArray(found) ? found[0] : found;
    const address = `${data.address}/${place}.jpg`;
    if (image.getAttribute("src") !== address) image.setAttribute("src", address);
    const { clientX, clientY } = event.event, side = 182;
    const left = clientX + 24 + side > window.innerWidth ? clientX - 24 - side : clientX + 24;
    figure.style.left = `${Math.max(left, 4)}px`;
    // Below the chart's own words, or above where there is no room.
    figure.style.top = `${clientY + 44 + side > window.innerHeight ? clientY - 44 - side : clientY + 44}px`;
    figure.hidden = false;
  };
  const hide = () => { figure.hidden = true; };
  const listen = () => {
    for (const chart of document.querySelectorAll('[class*="st-key-figure-map-"] .js-plotly-plot')) {
      if (heard.has(chart) || !chart.on) continue;
      chart.on("plotly_hover", show);
      chart.on("plotly_unhover", hide);
      heard.set(chart, true);
    }
  };
  listen();
  // Charts are drawn anew when the page changes.
  const timer = window.setInterval(listen, 500);
  return () => {
    window.clearInterval(timer);
    for (const chart of heard.keys()) {
      if (!chart.removeListener) continue;
      chart.removeListener("plotly_hover", show);
      chart.removeListener("plotly_unhover", hide);
    }
  };
}
"""
_COMPONENT = st.components.v2.component("whichlayers_hover_frame", html=_HTML, css=_CSS, js=_JS)


def show(address: str | None) -> None:
    """Shows the frame of the point under the pointer, from `ADDRESS/PLACE.jpg`; nothing without an address."""
    if address is not None:
        _COMPONENT(key="hover frame", data={"address": address})
