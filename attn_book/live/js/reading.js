// The network's numbers as a reader wants them: what each cell says, whether the answer is right, and one sentence.

import { capital } from "../../explorer/js/dom.js";

const CLASSES = 11;  // digits 0 to 9, and "empty"

// probabilities (16, 11) and maps as the engine returns them → { cells: [{ digit or null, percent }], maps, terms, sentence }
export function reading(scene, { probabilities, maps }) {
  const cells = scene.cells.map((_, place) => {
    const row = probabilities.subarray(place * CLASSES, (place + 1) * CLASSES), top = Math.max(...row), best = row.indexOf(top);
    return { digit: best < 10 ? best : null, percent: top > 0.995 ? "> 99 %" : `${Math.round(100 * top)} %` };
  });
  const said = cells[scene.cue], colour = scene.colourName(scene.cue), meant = scene.meant().map((place) => scene.cells[place].digit);
  const known = [...scene.cells.entries()].filter(([, cell]) => cell && !cell.cue && cell.digit !== null);
  const right = known.filter(([place, { digit }]) => cells[place].digit === digit).length;
  const answer = said.digit ?? "empty", [term, value, verdict] = truth(colour, meant, answer);
  return {
    cells,
    maps,
    terms: [["The cue’s answer", answer, said.percent], [term, value, verdict], ["Digits read rightly", right, `of ${known.length}`]],
    sentence: `The cue is ${colour}; the network answers ${answer}, ${said.percent}. ${term}: ${[value, verdict].filter(Boolean).join(", ")}.`,
  };
}

// What it should have answered: digits of the cue's colour, null for a drawing
function truth(colour, meant, answer) {
  const told = meant.map((digit) => digit ?? "drawn").join(" and ");
  if (meant.length !== 1) return [`${capital(colour)} digits`, told || "none", ""];
  const verdict = meant[0] === null ? "" : meant[0] === answer ? "right" : "wrong";
  return [`The ${colour} digit`, told, verdict];
}
