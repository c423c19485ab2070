// The scene that the reader changes: 4 × 4 cells over a photograph, made like those of attn_book/data/search.py.
// A cell is null (empty), { cue: true, colour } or { digit, hand, ink, strokes, colour }: colour is an index of `colours`, ink (8·8) in
// [0, 1]; a drawing has the digit null and the strokes that it was drawn with.

import { shares } from "./letters.js";

const GRID = 4, CELL = 8;
export const SIDE = GRID * CELL;
export const PLACES = { kind: "grid", rows: GRID, cols: GRID };
const DARKEST = 0.6;  // backgrounds reach from 0 to here

export class Scene {
  // hands: for each digit some scans; backgrounds: crops (32·32, 3); both as letters. start: 16 cells, each null, [colour] for the
  // cue, or [colour, digit, hand].
  constructor({ colours, hands, backgrounds, start }) {
    this.colours = colours;
    this.hands = hands.map((scans) => scans.map(shares));
    this.backgrounds = backgrounds.map((text) => shares(text).map((share) => DARKEST * share));
    this.background = 0;
    this.cells = start.map((cell) => cell && (cell.length === 1 ? { cue: true, colour: cell[0] } : this.digit(...cell)));
  }

  digit(colour, digit, hand) {
    const scans = this.hands[digit];
    return { digit, hand: hand % scans.length, ink: scans[hand % scans.length], strokes: [], colour };
  }

  get cue() { return this.cells.findIndex((cell) => cell?.cue); }

  // -- what the reader does. The cue stays in the scene: it can be moved and recoloured.

  swap(a, b) { [this.cells[a], this.cells[b]] = [this.cells[b], this.cells[a]]; }
  recolour(place, colour) { this.cells[place] = { ...this.cells[place], colour }; }
  empty(place) { this.cells[place] = null; }
  setDigit(place, digit, hand = 0) { this.cells[place] = this.digit(this.#colourFor(place), digit, hand); }
  draw(place, strokes, ink) { this.cells[place] = { digit: null, ink, strokes, colour: this.#colourFor(place) }; }

  // The colour that is there, or the first that no cell has: as the network knows it, each digit has a colour of its own.
  #colourFor(place) {
    const taken = this.cells.map((cell) => cell?.colour);
    return this.cells[place]?.colour ?? Math.max(this.colours.findIndex((_, i) => !taken.includes(i)), 0);
  }

  // Six digits of different colours, and a cue that asks for one of them.
  shuffle() {
    const colours = shuffled(this.colours.keys()), places = shuffled(Array(GRID ** 2).keys());
    this.background = Math.floor(Math.random() * this.backgrounds.length);
    this.cells.fill(null);
    for (const colour of colours.slice(0, 6)) this.cells[places.pop()] = this.digit(colour, below(10), below(99));
    this.cells[places.pop()] = { cue: true, colour: colours[below(6)] };
  }

  // -- what it is

  // (32·32, 3) in [0, 1]: each cell's ink lays its colour over the background, the cue's square a frame of one pixel inside its cell.
  image() {
    const picture = this.backgrounds[this.background].slice();
    this.cells.forEach((cell, place) => {
      if (!cell) return;
      const [, colour] = this.colours[cell.colour], top = Math.floor(place / GRID) * CELL, left = (place % GRID) * CELL;
      for (let i = 0; i < CELL ** 2; i++) {
        const r = Math.floor(i / CELL), c = i % CELL, inside = Math.min(r, c) > 0 && Math.max(r, c) < CELL - 1;
        const ink = cell.cue ? Number(inside) : cell.ink[i], at = ((top + r) * SIDE + left + c) * 3;
        for (let k = 0; k < 3; k++) picture[at + k] += ink * (colour[k] - picture[at + k]);
      }
    });
    return picture;
  }

  colourName(place) { return this.colours[this.cells[place].colour][0]; }

  // "the yellow cue", "a red 7", "a blue drawing", "empty"
  describe(place) {
    const cell = this.cells[place];
    if (!cell) return "empty";
    return cell.cue ? `the ${this.colourName(place)} cue` : `a ${this.colourName(place)} ${cell.digit ?? "drawing"}`;
  }

  // Places of the digits that have the cue's colour
  meant() {
    const { colour } = this.cells[this.cue];
    return [...this.cells.keys()].filter((place) => this.cells[place]?.colour === colour && place !== this.cue);
  }
}

const below = (n) => Math.floor(Math.random() * n);

function shuffled(values) {
  const list = [...values];
  for (let i = list.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}
