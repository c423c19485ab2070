// What packing.py wrote as letters, back as numbers.

// The letters' numbers, 0 to 88: printable ASCII without space, quotes, backslash and "<".
function table() {
  const numbers = new Uint8Array(127);
  for (let code = 33, n = 0; code < 127; code++) {
    if (![34, 39, 60, 92, 96].includes(code)) numbers[code] = n++;
  }
  return numbers;
}

// Numbers from 0 to 1 in 88 steps, one letter each.
export function shares(text) {
  const numbers = table();
  return Float32Array.from(text, (letter) => numbers[letter.charCodeAt(0)] / 88);
}

// The tensors of a model: "blocks.0.mlp.3.weight" is found as root.blocks[0].mlp[3].weight, { data, shape }.
export function unpacked({ text, tensors }) {
  const numbers = table(), root = {};
  let at = 0;
  const letter = () => numbers[text.charCodeAt(at++)], fine = () => letter() * 89 + letter() - 3960;
  for (const [name, shape, rows, unit] of tensors) {
    const size = shape.reduce((product, side) => product * side, 1), data = new Float32Array(size);
    const scales = Float32Array.from({ length: rows || size }, () => fine() * unit);
    for (let i = 0; i < size; i++) data[i] = rows ? (letter() - 44) * scales[Math.floor((i * rows) / size)] : scales[i];
    const path = name.split("."), last = path.pop();
    path.reduce((node, key) => (node[key] ||= {}), root)[last] = { data, shape };
  }
  return root;
}
