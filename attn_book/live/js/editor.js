// The controls of the chosen cell: its colour, its digit, a pad to draw one, and a few buttons.

import { segments } from "../../explorer/js/controls.js";
import { css } from "../../explorer/js/colours.js";
import { h } from "../../explorer/js/dom.js";
import { pad, scanned } from "./pad.js";

const DIGITS = ["none", ..."0123456789", "drawn"];

// changed() says that the scene is another, lift() lifts what stands in the cell or puts it down.
export function editor(state, { changed, lift }) {
  const { scene } = state;
  const does = (f) => (...args) => {
    f(...args);
    changed();
  };
  const button = (name, onclick) => h("button", { type: "button", onclick }, name);

  const names = scene.colours.map(([name, rgb]) =>
    h("span", { class: "named" }, h("span", { class: "swatch", style: `background:${css(rgb.map((v) => Math.round(255 * v)))}` }), name));
  const colour = segments("Colour", names, does((i) => scene.recolour(state.chosen, i)));
  const digit = segments("Digit", DIGITS, does((i) => {
    if (i === 0) scene.empty(state.chosen);
    else if (i > 10) scene.draw(state.chosen, [], scanned([]));
    else scene.setDigit(state.chosen, i - 1);
  }));
  const drawing = pad(does((strokes) => scene.draw(state.chosen, strokes, scanned(strokes))));
  const move = button("Move", lift);
  const other = button("Other handwriting", does(() => {
    const { digit: same, hand } = scene.cells[state.chosen];
    scene.setDigit(state.chosen, same, hand + 1);
  }));
  const clear = button("Clear the pad", does(() => scene.draw(state.chosen, [], scanned([]))));
  const fresh = button("New scene", does(() => {
    scene.shuffle();
    state.chosen = scene.cue;
    state.lifted = null;
  }));
  const note = h("p", { class: "note" });

  function show() {
    const cell = scene.cells[state.chosen], cue = Boolean(cell?.cue), drawn = cell?.digit === null;
    colour.node.disabled = !cell;
    digit.node.disabled = cue;
    if (cell) colour.show(cell.colour);
    if (!cue) digit.show(cell ? (drawn ? 11 : cell.digit + 1) : 0);
    drawing.show(cell?.strokes ?? [], !cue);
    move.textContent = state.lifted === null ? "Move" : "Put it here";
    other.disabled = !cell || cue || drawn;
    clear.disabled = !drawn || !cell.strokes.length;
    note.textContent = state.lifted !== null ? `Lifted: ${scene.describe(state.lifted)}. Choose another cell and put it there.`
      : cue ? "The cue stays a square: give it another colour, or move it. Choose another cell to change its digit or to draw one."
      : "Choose a digit or draw one on the pad.";
  }

  const row = h("div", { class: "drawing" }, drawing.node, h("div", { class: "buttons" }, move, other, clear, fresh));
  return { nodes: [colour.node, digit.node, row, note], show };
}
