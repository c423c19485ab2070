// What one cell attends to, in each layer and head: small maps over the dimmed scene, all coloured from 0 to 1 or to another top.
// Or how much each cell attends to one of a few words.

import { colourOf, gradient, LIGHT, QUERY } from "../../explorer/js/colours.js";
import { h, set } from "../../explorer/js/dom.js";
import { outline, paint, rectOf, repainted } from "../../explorer/js/drawing.js";
import { nameOf } from "../../explorer/js/places.js";
import { dim } from "./pixels.js";

const SIZE = { width: 256, height: 256 };  // of a map, in its own pixels

// Returns { node, legend, update }; update(picture, query, weights, top): a canvas, the cell that asks, what all cells attend to, and
// the weight that is brightest. With so many words, query is a word, and weights say for each word who attends to it.
export function attentionMaps(layers, heads, places, words = 0) {
  const cells = places.rows * places.cols, rows = words || cells;
  const maps = Array.from({ length: layers * heads }, (_, i) => {
    const name = `layer ${Math.floor(i / heads) + 1}` + (heads > 1 ? `, head ${(i % heads) + 1}` : "");
    const canvas = h("canvas", { ...SIZE, role: "img" }), most = h("b");
    return { name, canvas, most, node: h("figure", {}, canvas, h("figcaption", {}, name, most)) };
  });

  function draw(canvas, under, query, row, top) {
    const ctx = canvas.getContext("2d");
    paint(ctx, under, SIZE);
    ctx.globalCompositeOperation = "screen";  // light thrown on a dim picture: more weight is always brighter
    row.forEach((weight, key) => {
      ctx.fillStyle = `rgb(${colourOf(weight / top, LIGHT)})`;
      ctx.fillRect(...rectOf(places, key, SIZE));
    });
    ctx.globalCompositeOperation = "source-over";
    if (!words) outline(ctx, rectOf(places, query, SIZE), QUERY, SIZE, { line: 4, dash: [7, 6] });
  }

  function update(picture, query, weights, top = 1) {
    end.textContent = top === 1 ? "1" : top.toFixed(2);
    const under = repainted(picture, picture.width, picture.height, dim);
    maps.forEach(({ name, canvas, most }, i) => {
      const row = weights.subarray((i * rows + query) * cells, (i * rows + query + 1) * cells);
      const best = row.indexOf(Math.max(...row)), weight = row[best].toFixed(2);
      draw(canvas, under, query, row, top);
      most.textContent = weight;
      set(canvas, { "aria-label": `${name}: strongest at ${nameOf(places, best)}, weight ${weight}` });
    });
  }

  const end = h("span", {}, "1"), ramp = h("span", { class: "ramp", style: `background: ${gradient(LIGHT)}` });
  const legend = h("div", { class: "legend", "aria-hidden": "true" }, h("b", {}, "Weight"), h("span", {}, "0"), ramp, end);
  return { node: h("div", { class: "maps" }, ...maps.map(({ node }) => node)), legend, update };
}
