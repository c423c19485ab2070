// A digit drawn step by step by the network of chapter 10: the reader picks digit, guidance and sample, and scrubs through the steps.

import { segments, selector } from "../../explorer/js/controls.js";
import { h, instruction, set } from "../../explorer/js/dom.js";
import { gridLines, outline, paint, rectOf } from "../../explorer/js/drawing.js";
import { QUERY } from "../../explorer/js/colours.js";
import { nameOf, NOWHERE } from "../../explorer/js/places.js";
import { stage } from "../../explorer/js/stage.js";
import { attentionMaps } from "./attention_maps.js";
import { DRAW_CSS } from "./draw_style.js";
import { framed } from "./frame.js";
import { canvasOf } from "./pixels.js";
import { firstSeen, questions } from "./questions.js";

const SIDE = 28, GRID = 7, PAUSE = 70;  // px, patches in a row, ms between two steps when it plays
const PLACES = { kind: "grid", rows: GRID, cols: GRID };
const GUIDANCE = [0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5];
const DIGITS = Array.from({ length: 10 }, (_, digit) => String(digit));

export function mountLive({ title, caption, network, layers, digit, guidance, range }, el) {
  if (!el) return;  // an equal figure's script took it
  el.dataset.ready = "";
  const { steps } = network;
  // what is asked for, which step is seen, the patch that looks, and what came of it
  const state = { digit, guidance, sample: 0, step: steps, query: 3 * GRID + 3, found: null };
  let playing, canvases = [];

  // -- parts

  const view = stage({
    label: "Drawing", hint: "hint", aspect: 1, places: PLACES, draw: drawState, from: () => state.query, hover: () => {},
    press: (place) => { if (place !== NOWHERE) look(place); },
  });
  const guess = h("canvas", { width: 256, height: 256, role: "img" }), answer = h("dl"), where = h("span", { class: "where" });
  const maps = attentionMaps(layers, 1, PLACES);
  const digits = segments("Digit", DIGITS, (choice) => draw({ digit: choice }));
  const strength = selector("guidance", GUIDANCE.map(String), (i) => draw({ guidance: GUIDANCE[i] }));
  const scrub = selector("step", Array.from({ length: steps + 1 }, (_, step) => `${step} of ${steps}`), (step) => {
    pause();
    goTo(step);
  });
  const another = h("button", { type: "button", onclick: () => draw({ sample: state.sample + 1 }) }, "Another sample");
  const replay = h("button", { type: "button", onclick: play }, "Play");

  // -- showing

  function drawState(ctx, size) {
    if (!state.found) return;
    paint(ctx, canvases[state.step], size);
    gridLines(ctx, PLACES, size);
    outline(ctx, rectOf(PLACES, state.query, size), QUERY, size);
  }

  function show() {
    const place = nameOf(PLACES, state.query), seen = Math.min(state.step, steps - 1);  // at the end: the last look
    where.textContent = place;
    scrub.show(state.step);
    set(view.node, { "aria-valuenow": state.query + 1, "aria-valuetext": place });
    view.redraw();
    if (!state.found) return;
    const { maps: all, bound } = state.found, size = layers * GRID ** 4, weights = all.subarray(seen * size, (seen + 1) * size);
    maps.update(canvases[state.step], state.query, weights, largest(weights, state.query));
    const picture = canvasOf(grey(bound.subarray(seen * SIDE ** 2, (seen + 1) * SIDE ** 2)), SIDE);
    paint(guess.getContext("2d"), picture, guess);
    set(guess, { "aria-label": `Bound for, in step ${seen + 1}` });
  }

  // (28·28) numbers of the network as pixels (28·28, 3) in [0, 1]
  function grey(numbers) {
    const [low, high] = range;
    return Float32Array.from({ length: 3 * numbers.length }, (_, i) =>
      Math.min(Math.max((numbers[Math.floor(i / 3)] - low) / (high - low), 0), 1));
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

  function goTo(step) {
    state.step = step;
    show();
  }

  function look(query) {
    state.query = query;
    show();
  }

  function draw(changes) {
    pause();
    Object.assign(state, changes);
    digits.show(state.digit);
    strength.show(GUIDANCE.indexOf(state.guidance));
    ask.about({ digit: state.digit, guidance: state.guidance, sample: state.sample });
  }

  const pause = () => clearInterval(playing);

  // From noise to digit; at once where less motion is wanted.
  function play() {
    pause();
    if (!state.found || matchMedia("(prefers-reduced-motion: reduce)").matches) return goTo(steps);
    goTo(0);
    playing = setInterval(() => (state.step < steps ? goTo(state.step + 1) : pause()), PAUSE);
  }

  // -- asking the network

  const ask = questions(network, { engine, host: () => host, answered, failed: (error) => failed(error) });

  function answered(found) {
    state.found = found;
    canvases = Array.from({ length: steps + 1 }, (_, i) => canvasOf(grey(found.states.subarray(i * SIDE ** 2, (i + 1) * SIDE ** 2)), SIDE));
    answer.replaceChildren(...[["Digit", found.digit], ["Guidance", found.guidance], ["Sample", found.sample + 1]].map(([term, value]) =>
      h("div", {}, h("dt", {}, term), h("dd", {}, h("b", {}, String(value))))));
    play();
    say(`A ${found.digit} was drawn in ${steps} steps with guidance ${found.guidance}, sample ${found.sample + 1}.`);
    host.dataset.ready = "";
  }

  const { host, say, failed } = framed(el, { title, caption, look: DRAW_CSS },
    h("div", { class: "live" },
      h("div", { class: "picture" }, h("div", { class: "head source" }, h("b", {}, "Drawing"), where), view.node),
      answer,
      h("div", { class: "edit" }, digits.node, strength.node, scrub.node, h("div", { class: "buttons" }, another, replay),
        h("p", { class: "note", id: "hint" }, instruction("Tap a patch", "Click a patch, or use the arrow keys"), ": the maps show where it looks.")),
      h("div", { class: "beside" },
        h("div", { class: "head" }, h("b", {}, "Bound for")), h("figure", { class: "guess" }, guess),
        h("div", { class: "head" }, h("b", {}, "Where the patch looks")), maps.node, maps.legend)));
  scrub.show(steps);
  firstSeen(host, ask.start);
  draw({});
}
