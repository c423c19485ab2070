// Cued search in the reader's hands: a scene to change on the left, what the network answers and attends to on the right.

import { inkOn, QUERY } from "../../explorer/js/colours.js";
import { segments } from "../../explorer/js/controls.js";
import { h, instruction, set } from "../../explorer/js/dom.js";
import { gridLines, outline, paint, rectOf, write } from "../../explorer/js/drawing.js";
import { nameOf } from "../../explorer/js/places.js";
import { stage } from "../../explorer/js/stage.js";
import { attentionMaps } from "./attention_maps.js";
import { CUED_CSS } from "./cued_style.js";
import { editor } from "./editor.js";
import { framed } from "./frame.js";
import { headSwitches } from "./head_switches.js";
import { mover } from "./mover.js";
import { putPixels } from "./pixels.js";
import { firstSeen, questions } from "./questions.js";
import { reading } from "./reading.js";
import { PLACES, Scene, SIDE } from "./scene.js";

export function mountLive({ title, caption, layers, heads, switches, model, ...parts }, el) {
  if (!el) return;  // an equal figure's script took it
  el.dataset.ready = "";
  const scene = new Scene(parts);
  const state = { scene, chosen: scene.cue, lifted: null, over: null, asks: "cue", read: null };
  const picture = h("canvas", { width: SIDE, height: SIDE });

  // -- parts

  const view = stage({
    label: "Scene", hint: "hint", aspect: 1, places: PLACES, draw: drawScene, from: () => state.chosen, hover: () => {},
    press: (place) => move.press(place),
  });
  const move = mover(state, view.node, { choose, changed });
  const edit = editor(state, { changed, lift: move.lift });
  const maps = attentionMaps(layers, heads, PLACES);
  const on = switches ? headSwitches(layers, heads, changed) : null;
  const asking = segments("From", ["the cue", "the chosen cell"], (i) => {
    state.asks = ["cue", "chosen"][i];
    showMaps();
  }, { quiet: true });
  asking.show(0);
  const answer = h("dl"), where = h("span", { class: "where" });

  // -- showing

  function drawScene(ctx, size) {
    paint(ctx, picture, size);
    gridLines(ctx, PLACES, size);
    state.read?.cells.forEach(({ digit }, place) => {
      const [x, y, wide, tall] = rectOf(PLACES, place, size), cell = scene.cells[place];
      if (cell?.cue) {
        write(ctx, digit ?? "–", [x, y, wide, tall], inkOn(scene.colours[cell.colour][1].map((v) => 255 * v)), tall * 0.5);
      } else if (digit !== null) {
        write(ctx, digit, [x + 0.72 * wide, y + 0.7 * tall, 0.28 * wide, 0.3 * tall], "#fff", tall * 0.24, "rgba(0, 0, 0, .75)");
      }
    });
    for (const place of [state.lifted, state.over]) {
      if (place !== null && place !== state.chosen) outline(ctx, rectOf(PLACES, place, size), "#fff", size, { line: 2, dash: [5, 4] });
    }
    outline(ctx, rectOf(PLACES, state.chosen, size), QUERY, size);
  }

  function choose(place) {
    state.chosen = place;
    showChosen();
    showMaps();
  }

  function showChosen() {
    const told = `${nameOf(PLACES, state.chosen)}: ${scene.describe(state.chosen)}`;
    where.textContent = told;
    const read = state.read?.cells[state.chosen];
    const says = read ? `, the network says ${read.digit ?? "empty"}, ${read.percent}` : "";
    set(view.node, { "aria-valuenow": state.chosen + 1, "aria-valuetext": told + says });
    view.redraw();
    move.show();
    edit.show();
  }

  function showMaps() {
    if (state.read) maps.update(picture, state.asks === "cue" ? scene.cue : state.chosen, state.read.maps);
    const off = on ? on.off() : [];
    [...maps.node.children].forEach((figure, i) => figure.toggleAttribute("data-off", off.includes(i)));
  }

  // -- asking the network

  const ask = questions(model, { engine, host: () => host, answered, failed: (error) => failed(error) });

  function changed() {
    const image = scene.image();
    putPixels(picture, image);
    showChosen();
    ask.about(image, on ? on.off() : []);
  }

  function answered(found) {
    state.read = reading(scene, found);
    answer.replaceChildren(...state.read.terms.map(([term, value, place]) =>
      h("div", {}, h("dt", {}, term), h("dd", {}, h("b", {}, value), " ", h("span", {}, place)))));
    showChosen();
    showMaps();
    const silent = on ? on.off().length : 0;
    say(state.read.sentence + (silent ? ` ${silent} of ${layers * heads} heads are off.` : ""));
    host.dataset.ready = "";
  }

  // -- on the page

  const { host, say, failed } = framed(el, { title, caption, look: CUED_CSS },
    h("div", { class: "live" },
      h("div", { class: "picture" }, h("div", { class: "head source" }, h("b", {}, "Scene"), where), view.node),
      answer,
      h("div", { class: "edit" }, ...edit.nodes,
        h("p", { class: "note", id: "hint" }, instruction(
          "Tap a cell to choose it, and drag it to another place. ",
          "Click or use the arrow keys to choose a cell. Drag it to another place, or press Enter to lift it and again to put it down. "),
          "Small digits: what the network reads in each cell.")),
      h("div", { class: "beside" }, h("div", { class: "head" }, h("b", {}, "Attention"), asking.node), on && on.node, maps.node, maps.legend)));
  changed();
  firstSeen(host, ask.start);
}
