// What can be said of captions. A caption is five places in the vocabulary: colour, digit, relation, colour, digit.

const RELATION = 2, SLOT = 14;  // which word it is; px of the square that a digit has

// kinds: { kind: [first place, words] }; unseen[colour]: digits that the training never had in that colour; corners[relation]: [row,
// column] in px where the first and the second digit begin.
export function language({ kinds, unseen, corners }) {
  const word = (place) => {
    const [first, words] = Object.values(kinds).find(([from, those]) => place >= from && place < from + those.length);
    return words[place - first];
  };
  const phrase = (places) => places.map(word).join(" ");

  // Its two digits: { text, never }
  const digits = (caption) => [caption.slice(0, 2), caption.slice(3)].map(([colour, digit]) =>
    ({ text: phrase([colour, digit]), never: unseen[colour].includes(digit - kinds.digit[0]) }));

  // What another caption changes: { differ, from, to, stays, inside }, how many words differ, the first of them, and what should stay as
  // it is, which inside(row, column) says of pixels: the other digit, or after a new relation the whole scene
  function change(caption, other) {
    const places = caption.flatMap((place, i) => (other[i] === place ? [] : [i])), differ = places.length, [at] = places;
    if (!differ) return { differ };
    const rest = at < RELATION ? 1 : 0, [top, left] = corners[caption[RELATION] - kinds.relation[0]][rest];
    return {
      differ, from: word(caption[at]), to: word(other[at]),
      stays: at === RELATION ? "whole scene" : digits(caption)[rest].text,
      inside: (row, col) => at === RELATION || (row >= top && row < top + SLOT && col >= left && col < left + SLOT),
    };
  }

  return { word, phrase, digits, change };
}
