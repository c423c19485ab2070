// A digit drawn step by step by the network of chapter 10: the reader picks digit, guidance and sample, and scrubs through the steps.

import { segments, selector } from "../../explorer/js/controls.js";
import { h, instruction, set } from "../../explorer/js/dom.js";
import { gridLines, outline, paint, rectOf } from "../../explorer/js/drawing.js";
import { QUERY } from "../../explorer/js/colours.js";
import { nameOf, NOWHERE } from "../../explorer/js/places.js";
import { stage } from "../../explorer/js/stage.js";
import { attentionMaps } from "./attention_maps.js";
import { DRAW_CSS } from "./draw_style.js";
import { canvasesOf, GUIDANCE, stepper } from "./drawing_steps.js";
import { framed } from "./frame.js";
import { firstSeen, questions } from "./questions.js";

const SIDE = 28, GRID = 7;  // px, patches in a row
const PLACES = { kind: "grid", rows: GRID, cols: GRID };
const DIGITS = Array.from({ length: 10 }, (_, digit) => String(digit));

export function mountLive({ title, caption, network, layers, digit, guidance, range }, el) {
  if (!el) return;  // an equal figure's script took it
  el.dataset.ready = "";
  const { steps } = network;
  // what is asked for, the patch that looks, and what came of it
  const state = { digit, guidance, sample: 0, query: 3 * GRID + 3, found: null };
  let canvases = [], guesses = [];

  // -- parts

  const view = stage({
    label: "Drawing", hint: "hint", aspect: 1, places: PLACES, draw: drawState, from: () => state.query, hover: () => {},
    press: (place) => { if (place !== NOWHERE) look(place); },
  });
  const guess = h("canvas", { width: 256, height: 256, role: "img" }), answer = h("dl"), where = h("span", { class: "where" });
  const maps = attentionMaps(layers, 1, PLACES);
  const digits = segments("Digit", DIGITS, (choice) => draw({ digit: choice }));
  const strength = selector("guidance", GUIDANCE.map(String), (i) => draw({ guidance: GUIDANCE[i] }));
  const player = stepper(steps, show);
  const another = h("button", { type: "button", onclick: () => draw({ sample: state.sample + 1 }) }, "Another sample");

  // -- showing

  function drawState(ctx, size) {
    if (!state.found) return;
    paint(ctx, canvases[player.at], size);
    gridLines(ctx, PLACES, size);
    outline(ctx, rectOf(PLACES, state.query, size), QUERY, size);
  }

  function show() {
    const place = nameOf(PLACES, state.query), seen = Math.min(player.at, steps - 1);  // at the end: the last look
    where.textContent = place;
    set(view.node, { "aria-valuenow": state.query + 1, "aria-valuetext": place });
    view.redraw();
    if (!state.found) return;
    const { maps: all } = state.found, size = layers * GRID ** 4, weights = all.subarray(seen * size, (seen + 1) * size);
    maps.update(canvases[player.at], state.query, weights, largest(weights, state.query));
    paint(guess.getContext("2d"), guesses[seen], guess);
    set(guess, { "aria-label": `Bound for, in step ${seen + 1}` });
  }

  // The largest weight that this patch gives in any layer
  function largest(weights, query) {
    let most = 0;
    for (let layer = 0; layer < layers; layer++) {
      const at = (layer * GRID ** 2 + query) * GRID ** 2;
      most = Math.max(most, ...weights.subarray(at, at + GRID ** 2));
    }
    return most;
  }

  // -- what the reader does

  function look(query) {
    state.query = query;
    show();
  }

  function draw(changes) {
    player.pause();
    Object.assign(state, changes);
    digits.show(state.digit);
    strength.show(GUIDANCE.indexOf(state.guidance));
    ask.about({ digit: state.digit, guidance: state.guidance, sample: state.sample });
  }

  // -- asking the network

  const ask = questions(network, { engine, host: () => host, answered, failed: (error) => failed(error) });

  function answered(found) {
    state.found = found;
    [canvases, guesses] = [found.states, found.bound].map((numbers) => canvasesOf(numbers, SIDE, 1, range));
    answer.replaceChildren(...[["Digit", found.digit], ["Guidance", found.guidance], ["Sample", found.sample + 1]].map(([term, value]) =>
      h("div", {}, h("dt", {}, term), h("dd", {}, h("b", {}, String(value))))));
    player.play();
    say(`A ${found.digit} was drawn in ${steps} steps with guidance ${found.guidance}, sample ${found.sample + 1}.`);
    host.dataset.ready = "";
  }

  const { host, say, failed } = framed(el, { title, caption, look: DRAW_CSS },
    h("div", { class: "live" },
      h("div", { class: "picture" }, h("div", { class: "head source" }, h("b", {}, "Drawing"), where), view.node),
      answer,
      h("div", { class: "edit" }, digits.node, strength.node, player.node, h("div", { class: "buttons" }, another, player.button),
        h("p", { class: "note", id: "hint" }, instruction("Tap a patch", "Click a patch, or use the arrow keys"), ": the maps show where it looks.")),
      h("div", { class: "beside" },
        h("div", { class: "head" }, h("b", {}, "Bound for")), h("figure", { class: "guess" }, guess),
        h("div", { class: "head" }, h("b", {}, "Where the patch looks")), maps.node, maps.legend)));
  firstSeen(host, ask.start);
  draw({});
}
