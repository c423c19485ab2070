// What diffusion transformers are made of: the lines of attn_utils/dit.py once more.

import { depthwise } from "./convolution.js";
import { add, linear, selfAttention } from "./layers.js";

export const silu = (x) => x.map((v) => v / (1 + Math.exp(-v)));

// GELU in its tanh form
const geluTanh = (x) => x.map((v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))));

// (1 + scale) (x − mean) / √(variance + 1e-6) + shift in each row
export function modulated(x, shift, scale) {
  const D = shift.length, y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += D) {
    let mean = 0, variance = 0;
    for (let i = 0; i < D; i++) mean += x[start + i] / D;
    for (let i = 0; i < D; i++) variance += (x[start + i] - mean) ** 2 / D;
    for (let i = 0; i < D; i++) y[start + i] = ((1 + scale[i]) * (x[start + i] - mean)) / Math.sqrt(variance + 1e-6) + shift[i];
  }
  return y;
}

// x + gate · y, the same gate for every row
const gated = (x, gate, y) => x.map((v, i) => v + gate[i % gate.length] * y[i]);

export const chunks = (x, n) => Array.from({ length: n }, (_, i) => x.subarray((i * x.length) / n, ((i + 1) * x.length) / n));

// x + α₁ mixer(…), then x + α₂ mlp(…), each on a norm that six vectors steer, (6 · D) one behind the other
export function ditBlock(x, six, { mixer, mlp }, { heads, width, record }) {
  const [shift, scale, gate, mlpShift, mlpScale, mlpGate] = chunks(six, 6);
  const u = gated(x, gate, selfAttention(modulated(x, shift, scale), mixer, { heads, record }));
  let hidden = linear(modulated(u, mlpShift, mlpScale), mlp.first);
  if (mlp.near) hidden = add(hidden, depthwise(hidden, width, mlp.near));  // a local path, on tokens in rows of `width`
  return gated(u, mlpGate, linear(geluTanh(hidden), mlp.second));
}

// Patches (grid², patch² · channels) as a square picture (pixels, channels)
export function assembled(patches, patch, channels) {
  const grid = Math.sqrt(patches.length / patch ** 2 / channels), side = grid * patch, picture = new Float32Array(patches.length);
  for (let i = 0; i < side ** 2; i++) {
    const r = Math.floor(i / side), c = i % side, token = Math.floor(r / patch) * grid + Math.floor(c / patch);
    const at = (token * patch ** 2 + (r % patch) * patch + (c % patch)) * channels;
    picture.set(patches.subarray(at, at + channels), i * channels);
  }
  return picture;
}
