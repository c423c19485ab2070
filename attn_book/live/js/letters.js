// What packing.py wrote as letters, back as numbers.

// The letters' numbers, 0 to 88: printable ASCII without space, quotes, backslash and "<".
function table() {
  const known = new Uint8Array(127);
  for (let code = 33, n = 0; code < 127; code++) {
    if (![34, 39, 60, 92, 96].includes(code)) known[code] = n++;
  }
  return known;
}

// Whole numbers from 0 to 88, one letter each.
export function wholeNumbers(text) {
  const known = table();
  return Uint8Array.from(text, (letter) => known[letter.charCodeAt(0)]);
}

// Numbers from 0 to 1 in 88 steps, one letter each.
export const shares = (text) => Float32Array.from(wholeNumbers(text), (n) => n / 88);

// The text that unpacked reads, of letters that came apart.
export function woven({ fine, coarse, tensors }) {
  let text = "", at = 0, from = 0;
  for (const [, shape, rows] of tensors) {
    const size = sizeOf(shape), end = at + 2 * (rows || size), to = from + (rows ? size : 0);
    text += fine.slice(at, end) + coarse.slice(from, to);
    [at, from] = [end, to];
  }
  return { text, tensors };
}

const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

// The tensors of a model: "blocks.0.mlp.3.weight" is found as root.blocks[0].mlp[3].weight, { data, shape }.
export function unpacked({ text, tensors }) {
  const known = table(), root = {};
  let at = 0;
  const letter = () => known[text.charCodeAt(at++)], fine = () => letter() * 89 + letter() - 3960;
  for (const [name, shape, rows, unit] of tensors) {
    const size = sizeOf(shape), data = new Float32Array(size);
    const scales = Float32Array.from({ length: rows || size }, () => fine() * unit);
    for (let i = 0; i < size; i++) data[i] = rows ? (letter() - 44) * scales[Math.floor((i * rows) / size)] : scales[i];
    const path = name.split("."), last = path.pop();
    path.reduce((node, key) => (node[key] ||= {}), root)[last] = { data, shape };
  }
  return root;
}
