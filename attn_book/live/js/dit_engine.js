// The diffusion transformer of chapter 10 and its sampler, forwards: the lines of attn_utils/dit.py and flow.py once more.
// This module and what it imports run in a worker: engine.js takes what it exports.

import { convolution, depthwise } from "./convolution.js";
import { add, linear, selfAttention, sincos2d } from "./layers.js";
import { unpacked, woven } from "./letters.js";
import { gaussians } from "./noise.js";
import { unsqueezed } from "./squeezed.js";

const SIDE = 28, PATCH = 4, GRID = SIDE / PATCH;  // px of a picture and of a patch; patches in a row
let model, network, positions;

const silu = (x) => x.map((v) => v / (1 + Math.exp(-v)));

// GELU in its tanh form
const geluTanh = (x) => x.map((v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))));

// (1 + scale) (x − mean) / √(variance + 1e-6) + shift in each row
function modulated(x, shift, scale) {
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

const parts = (x, n) => Array.from({ length: n }, (_, i) => x.subarray((i * x.length) / n, ((i + 1) * x.length) / n));

// What steers the norms: time and class, (D)
function condition(t, label) {
  const [first, last] = [model.time.layers[0], model.time.layers[2]], half = first.weight.shape[1] / 2, D = last.weight.shape[0];
  const waves = new Float32Array(2 * half), t1000 = Math.fround(1000 * t);
  for (let i = 0; i < half; i++) {
    const angle = Math.fround(t1000 * Math.fround(Math.exp((-Math.log(10000) * i) / half)));
    waves[i] = Math.cos(angle);
    waves[half + i] = Math.sin(angle);
  }
  return add(linear(silu(linear(waves, first)), last), model.label.weight.data.subarray(label * D, (label + 1) * D));
}

// x + α₁ mixer(…), then x + α₂ mlp(…), each on a norm that the condition steers
function block(x, c, { modulation, mixer, mlp }, record) {
  const [shift, scale, gate, mlpShift, mlpScale, mlpGate] = parts(linear(silu(c), modulation), 6);
  const u = gated(x, gate, selfAttention(modulated(x, shift, scale), mixer, { heads: network.heads, record }));
  let hidden = linear(modulated(u, mlpShift, mlpScale), mlp.first);
  if (mlp.near) hidden = add(hidden, depthwise(hidden, GRID, mlp.near));  // a local path
  return gated(u, mlpGate, linear(geluTanh(hidden), mlp.second));
}

// What the network says of z (28·28) at time t; record(layer, weights (49, 49), head)
function predict(z, t, label, record = () => {}) {
  const c = condition(t, label);
  let x = add(convolution(z, SIDE, model.embed.project, { kernel: PATCH, stride: PATCH }), positions);  // (7·7, D)
  Object.values(model.blocks).forEach((layer, i) => { x = block(x, c, layer, (weights, head) => record(i, weights, head)); });
  const [shift, scale] = parts(linear(silu(c), model.modulation), 2);
  return assembled(linear(modulated(x, shift, scale), model.out));
}

// Patches (7·7, 4·4) as a picture (28·28)
function assembled(patches) {
  const picture = new Float32Array(SIDE ** 2);
  for (let i = 0; i < SIDE ** 2; i++) {
    const r = Math.floor(i / SIDE), c = i % SIDE;
    const patch = Math.floor(r / PATCH) * GRID + Math.floor(c / PATCH);
    picture[i] = patches[patch * PATCH ** 2 + (r % PATCH) * PATCH + (c % PATCH)];
  }
  return picture;
}

const velocity = (z, t, predicted) =>
  network.predicts === "v" ? predicted : predicted.map((x, i) => (x - z[i]) / (1 - t));

// v_any + w (v_class − v_any)
function guided(z, t, digit, w, record) {
  const of = velocity(z, t, predict(z, t, digit, record));
  if (w === 1) return of;
  const any = velocity(z, t, predict(z, t, model.label.weight.shape[0] - 1));
  return any.map((v, i) => v + w * (of[i] - v));
}

// { digit, guidance, sample } → these; what z was before each step and at the end (steps + 1, 28·28); where it was bound for in each
// step (steps, 28·28); and who looked where, mean over the heads (steps, layers, 49, 49)
function answer({ digit, guidance, sample }) {
  const { steps, heads, method } = network, layers = Object.keys(model.blocks).length, size = SIDE ** 2, map = GRID ** 4, dt = 1 / steps;
  const states = new Float32Array((steps + 1) * size), bound = new Float32Array(steps * size);
  const maps = new Float32Array(steps * layers * map);
  let z = gaussians(size, sample);
  for (let step = 0; step < steps; step++) {
    states.set(z, step * size);
    const t = step / steps;
    let v = guided(z, t, digit, guidance, (layer, weights) => {
      const at = (step * layers + layer) * map;
      weights.forEach((weight, i) => { maps[at + i] += weight / heads; });
    });
    bound.set(z.map((value, i) => value + (1 - t) * v[i]), step * size);
    if (method === "heun" && step < steps - 1) {
      const next = guided(z.map((value, i) => value + dt * v[i]), (step + 1) / steps, digit, guidance);
      v = v.map((value, i) => (value + next[i]) / 2);
    }
    z = z.map((value, i) => value + dt * v[i]);
  }
  states.set(z, steps * size);
  return { digit, guidance, sample, states, bound, maps };
}

// { weights, squeezed, and what they do not tell: heads, what the network predicts, and how it is sampled (steps, method) }
async function load(given) {
  network = given;
  model = unpacked(woven(await unsqueezed(network.weights)));
  positions = sincos2d(GRID, GRID, model.out.weight.shape[1]);
}

export default { load, answer };
