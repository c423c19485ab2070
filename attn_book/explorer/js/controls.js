// What the reader turns: native radio buttons and sliders. Each is { node, show }, where show(i) displays the i-th option.

import { capital, h } from "./dom.js";

let groups = 0;

// One label a choice, as a segmented control or as words to choose from.
export function radios(options, onchange, attributes = () => ({})) {
  const group = `group${groups++}`;
  const inputs = options.map((_, i) => h("input", { type: "radio", name: group, onchange: () => onchange(i) }));
  const nodes = options.map((option, i) => h("label", attributes(i), inputs[i], h("span", {}, option)));
  return { nodes, show: (i) => { inputs[i].checked = true; } };
}

export function segments(name, options, onchange, { quiet = false } = {}) {
  const { nodes, show } = radios(options, onchange);
  const legend = h("legend", { class: quiet ? "sr" : "name" }, name);
  return { node: h("fieldset", { class: quiet ? "quiet" : "control" }, legend, h("div", { class: "segments" }, ...nodes)), show };
}

function slider(name, options, onchange) {
  const told = h("output");
  const oninput = () => onchange(Number(input.value));
  const input = h("input", { type: "range", "aria-label": name, min: 0, max: options.length - 1, step: 1, oninput });
  const ends = h("span", { class: "ends", "aria-hidden": "true" }, h("span", {}, options[0]), h("span", {}, options.at(-1)));
  const show = (i) => {
    input.value = i;
    told.textContent = options[i];
    input.setAttribute("aria-valuetext", options[i]);
  };
  return { node: h("label", { class: "control slider" }, h("span", { class: "name" }, name, told), input, ends), show };
}

// Buttons, all in sight, in as many lines as they need; a slider for more of them than three lines of a phone hold.
export function selector(name, options, onchange) {
  const few = options.length <= 8 && options.join("").length <= 96;
  return (few ? segments : slider)(capital(name), options, onchange);
}
