// The masks of a click: outlines on the picture, and a pane for each mask, which leaves only what is inside bright, with its score.

import { QUERY } from "../../explorer/js/colours.js";
import { capital, h, set } from "../../explorer/js/dom.js";
import { paint, repainted, stroke, write } from "../../explorer/js/drawing.js";
import { KINDS, NOTHING } from "./click_answer.js";
import { dim } from "./pixels.js";

const SIZE = { width: 256, height: 256 };  // of a pane, in its own pixels
// As in the chapter's figures
const LOOKS = [{ colour: QUERY, line: "solid" }, { colour: "#56b4e9", line: "dashed" }];

// Returns { node, update }; update(picture, answer): a canvas, and what answerOf found, or null where there is no answer.
export function maskPanes(places) {
  const panes = KINDS.map((kind, k) => {
    const canvas = h("canvas", { ...SIZE, role: "img" }), score = h("b");
    const name = h("span", { class: "kind", style: `--colour:${LOOKS[k].colour};--dash:${LOOKS[k].line}` }, capital(kind));
    return { kind, canvas, score, node: h("figure", {}, canvas, h("figcaption", {}, name, score)) };
  });

  function update(picture, answer) {
    panes.forEach(({ kind, canvas, score }, k) => {
      const ctx = canvas.getContext("2d"), mask = answer?.masks[k], { width, height } = picture;
      paint(ctx, repainted(picture, width, height, (pixel) => (mask?.inside[pixel[3]] ? pixel.slice(0, 3) : dim(pixel))), SIZE);
      if (mask) outlineMask(ctx, mask.inside, places.cols, SIZE, LOOKS[k]);
      if (mask?.area === NOTHING) write(ctx, "empty", [0, 0, SIZE.width, SIZE.height], "#fff", 22);
      const told = mask ? `score ${mask.score}` : "no answer yet";
      score.textContent = told;
      set(canvas, { "aria-label": mask ? `${capital(kind)}: ${mask.area} of the picture, ${told}` : `${capital(kind)}: ${told}` });
    });
  }

  return { node: h("div", { class: "maps" }, ...panes.map(({ node }) => node)), update };
}

export function outlineMasks(ctx, { masks }, places, size) {
  masks.forEach(({ inside }, k) => outlineMask(ctx, inside, places.cols, size, LOOKS[k]));
}

// Along the edges of the mask's pixels; dashed, along every other one, so that what lies under it shows.
function outlineMask(ctx, inside, side, { width }, { colour, line }) {
  const step = width / side, at = (r, c) => Math.min(r, c) >= 0 && Math.max(r, c) < side && inside[r * side + c] === 1;
  const drawn = (number) => line === "solid" || number % 2 === 0;
  ctx.beginPath();
  for (let r = 0; r <= side; r++) {
    for (let c = 0; c <= side; c++) {
      ctx.moveTo(c * step, r * step);
      if (drawn(c) && at(r, c) !== at(r - 1, c)) ctx.lineTo((c + 1) * step, r * step);
      ctx.moveTo(c * step, r * step);
      if (drawn(r) && at(r, c) !== at(r, c - 1)) ctx.lineTo(c * step, (r + 1) * step);
    }
  }
  ctx.lineCap = "round";
  stroke(ctx, colour, 2.5);
}
