// The two panes where queries or keys are words: radio buttons that ask, bars that answer.

import { colourOf, css } from "./colours.js";
import { radios } from "./controls.js";
import { h } from "./dom.js";
import { fixed } from "./maps.js";
import { NOWHERE } from "./places.js";

export function sourceWords(state, { hover, press }) {
  const { nodes, show } = radios(state.spec.queries.words, press, (i) => ({
    onpointerenter: (event) => { if (event.pointerType === "mouse") hover(i); },
    onpointerleave: () => hover(NOWHERE),
  }));
  const node = h("div", { class: "words", role: "radiogroup", "aria-label": "Query" }, ...nodes);
  return { node, redraw: () => show(state.query()), stop: () => {} };
}

export function targetWords(state) {
  const rows = state.spec.keys.words.map((word) => {
    const bar = h("span", { class: "bar" }), value = h("span", { class: "value" });
    return { bar, value, node: h("li", {}, h("span", { class: "word" }, word), h("span", { class: "track" }, bar), value) };
  });
  const redraw = () => {
    if (!state.maps) return;
    const { maps } = state, map = state.map();
    rows.forEach(({ node, bar, value }, i) => {
      const t = state.shown[i];
      bar.style.width = `${100 * t}%`;
      bar.style.background = css(colourOf(0.25 + 0.65 * t));
      value.textContent = fixed(maps.value(map, i), maps.top(map));
      node.classList.toggle("best", maps.best[map] === i);
    });
  };
  return { node: h("ul", { class: "bars" }, ...rows.map(({ node }) => node)), redraw, stop: () => {} };
}
