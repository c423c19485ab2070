// Measured curves over a size, both on logarithmic axes: a slider moves along them, and bars compare all at that size.

import { selector } from "../controls.js";
import { capital, h, set } from "../dom.js";
import { CSS } from "../style.js";
import { followTheme } from "../theme.js";

const WIDTH = 560, HEIGHT = 320, LEFT = 58, RIGHT = 12, TOP = 10, BOTTOM = 34, STEPS = 4;  // STEPS: places of the slider in an octave

const CURVES_CSS = `
.curves { display: grid; grid-template-columns: 3fr 2fr; gap: .9rem 1.25rem; margin-top: .9rem; align-items: start; }
.curves svg { width: 100%; height: auto; display: block; }
.curves text { fill: var(--soft); font-size: 14px; }
.curves .grid { stroke: var(--line); stroke-width: 1; }
.curves .here { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; }
.curves .bars { gap: .3rem .6rem; font-size: .8rem; }
.curves .bars .track { height: .85rem; }
@container (max-width: 520px) { .curves { grid-template-columns: minmax(0, 1fr); } }
`;

function draw(name, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(node, attributes);
  node.textContent = text;
  return node;
}

// A number with the digits that are worth reading.
function plain(value) {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(2);
}

// The value at a size between measured ones: on the straight line between the logarithms of its neighbours.
function between(sizes, values, size) {
  const i = Math.min(sizes.length - 2, Math.max(0, sizes.findLastIndex((known) => known <= size)));
  const share = Math.log(size / sizes[i]) / Math.log(sizes[i + 1] / sizes[i]);
  return values[i] * (values[i + 1] / values[i]) ** share;
}

export function mountCurves({ title, caption, axis, sizes, quantities, colours, start }, el) {
  if (!el) return;  // an equal figure's script took it
  el.dataset.ready = "";
  const octaves = Math.log2(sizes.at(-1) / sizes[0]), count = Math.round(octaves * STEPS);
  const places = Array.from({ length: count + 1 }, (_, i) => Math.round(sizes[0] * 2 ** (octaves * i / count)));
  let place = places.indexOf(start) < 0 ? count : places.indexOf(start), chosen = 0;
  const chart = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  const bars = h("ul", { class: "bars", "aria-label": "all of them at this size" });
  const voice = h("p", { class: "sr", role: "status", "aria-live": "polite" });
  const turn = selector("what", quantities.map(({ name }) => name), (i) => { chosen = i; show(); });
  const slide = selector(axis, places.map((size) => size.toLocaleString("en")), (i) => { place = i; show(); });

  function show() {
    const { unit, values } = quantities[chosen], size = places[place];
    const rows = Object.entries(values).map(([name, costs]) => ({ name, value: between(sizes, costs, size) }));
    rows.sort((a, b) => a.value - b.value);
    plot(values, size, unit);
    const most = rows.at(-1).value;
    bars.replaceChildren(...rows.map(({ name, value }, i) => {
      const bar = h("span", { class: "bar" });
      bar.style.cssText = `width:${Math.max(1, 100 * value / most)}%;background:${colours[name]}`;
      return h("li", { class: i === 0 ? "best" : "" }, h("span", { class: "word" }, name), h("span", { class: "track" }, bar),
        h("span", { class: "value" }, `${plain(value)} ${unit}`));
    }));
    turn.show(chosen);
    slide.show(place);
    const [least, last] = [rows[0], rows.at(-1)];
    voice.textContent = `${capital(axis)} ${size.toLocaleString("en")}: least ${least.name}, ${plain(least.value)} ${unit}; most ${last.name}, ${plain(last.value)} ${unit}`;
  }

  function plot(values, size, unit) {
    const all = Object.values(values).flat(), low = Math.floor(Math.log10(Math.min(...all))), high = Math.ceil(Math.log10(Math.max(...all)));
    const x = (n) => LEFT + (WIDTH - LEFT - RIGHT) * Math.log(n / sizes[0]) / Math.log(sizes.at(-1) / sizes[0]);
    const y = (value) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (Math.log10(value) - low) / (high - low);
    const nodes = [];
    for (let power = low; power <= high; power++) {
      const at = y(10 ** power);
      nodes.push(draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
      nodes.push(draw("text", { x: LEFT - 6, y: at + 5, "text-anchor": "end" }, plain(10 ** power)));
    }
    sizes.forEach((n, i) => {
      const anchor = i === sizes.length - 1 ? "end" : "middle";
      if (i % 2 === 0) nodes.push(draw("text", { x: x(n), y: HEIGHT - BOTTOM + 20, "text-anchor": anchor }, n.toLocaleString("en")));
    });
    nodes.push(draw("text", { x: 2, y: HEIGHT - 6 }, unit));
    for (const [name, costs] of Object.entries(values)) {
      const points = costs.map((value, i) => [x(sizes[i]), y(value)]);
      nodes.push(draw("polyline", { points: points.map((point) => point.join(",")).join(" "), fill: "none", stroke: colours[name], "stroke-width": 2.2 }));
      for (const [cx, cy] of points) nodes.push(draw("circle", { cx, cy, r: 3, fill: colours[name] }));
    }
    nodes.push(draw("line", { class: "here", x1: x(size), x2: x(size), y1: TOP, y2: HEIGHT - BOTTOM }));
    chart.replaceChildren(...nodes);
  }

  const card = h("section", { class: "card", role: "group", "aria-labelledby": "title" },
    h("p", { class: "title", id: "title" }, title),
    h("p", { class: "caption" }, caption),
    h("div", { class: "controls" }, turn.node, slide.node),
    h("div", { class: "curves" }, chart, bars),
    voice);
  card.addEventListener("keydown", (event) => {  // our keys are not for the page or the notebook around
    if (event.key !== "Tab" && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
  const host = h("div", { "data-lm-suppress-shortcuts": "true" });
  host.attachShadow({ mode: "open" }).append(h("style", {}, CSS + CURVES_CSS), card);
  el.style.cssText += "width:100%;min-width:0";
  el.replaceChildren(host);
  followTheme(host);
  show();
  host.dataset.ready = "";
}
