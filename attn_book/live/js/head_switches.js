// A switch on each head of each layer: a head that is off still attends, but what it finds is not taken.

import { h } from "../../explorer/js/dom.js";

// Returns { node, off }: off() lists the heads that are off, numbered layer after layer. changed() is called after every switch.
export function headSwitches(layers, heads, changed) {
  const boxes = Array.from({ length: layers * heads }, () => h("input", { type: "checkbox", checked: "", onchange: changed }));
  const labels = boxes.map((box, i) => h("label", {}, box, h("span", {}, `head ${(i % heads) + 1}`)));
  const ofLayer = (layer) => h("fieldset", { class: "control" }, h("legend", { class: "name" }, `Layer ${layer + 1}`),
    h("div", { class: "segments" }, ...labels.slice(layer * heads, (layer + 1) * heads)));
  const node = h("div", { class: "switches", role: "group", "aria-label": "Heads that are on" },
    ...Array.from({ length: layers }, (_, layer) => ofLayer(layer)));
  return { node, off: () => boxes.flatMap((box, i) => (box.checked ? [] : [i])) };
}
