// The network's numbers as a reader wants them: two masks, how large they are, how far they agree, and one sentence.

import { capital } from "../../explorer/js/dom.js";
import { nameOf } from "../../explorer/js/places.js";

export const KINDS = ["part", "whole"];
export const NOTHING = "nothing";  // the area of an empty mask
const ALIKE = 0.75;  // of union: masks that overlap by more are one answer

// What the engine returns → { place, masks: [{ inside, area, score }], terms, sentence }: inside (side · side) is 1 in the mask.
export function answerOf({ row, col, logits, scores }, places) {
  const size = places.rows * places.cols;
  const masks = KINDS.map((_, k) => {
    const inside = Uint8Array.from(logits.subarray(k * size, (k + 1) * size), (logit) => Number(logit > 0));
    return { inside, area: shareOf(sum(inside) / size), score: Math.min(Math.max(scores[k], 0), 1).toFixed(2) };
  });
  const [part, whole] = masks, place = row * places.cols + col;
  const either = sum(part.inside.map((v, i) => v | whole.inside[i])), both = sum(part.inside.map((v, i) => v & whole.inside[i]));
  const [overlap, verdict] = either ? [(both / either).toFixed(2), both / either > ALIKE ? "one answer" : "two answers"] : ["–", "no answer"];
  return {
    place,
    masks,
    terms: [...KINDS.map((kind, k) => [capital(kind), masks[k].area, "of the picture"]), ["Overlap", overlap, verdict]],
    sentence: `${capital(nameOf(places, place))}: the part covers ${part.area} of the picture, score ${part.score}; `
      + `the whole ${whole.area}, score ${whole.score}. ${capital(verdict)}.`,
  };
}

const sum = (values) => values.reduce((total, v) => total + v, 0);
const shareOf = (share) => (share === 0 ? NOTHING : share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`);
