// The diffusion transformer of chapter 10 and its sampler, forwards. It is asked for a digit.
// This module and what it imports run in a worker: engine.js takes what it exports.

import { convolution } from "./convolution.js";
import { assembled, chunks, ditBlock, modulated, silu } from "./dit_layers.js";
import { asVelocity, guided, sampled } from "./flow.js";
import { add, linear, sincos2d } from "./layers.js";
import { unpacked, woven } from "./letters.js";
import { gaussians } from "./noise.js";
import { unsqueezed } from "./squeezed.js";

const SIDE = 28, PATCH = 4, GRID = SIDE / PATCH;  // px of a picture and of a patch; patches in a row
let model, network, positions;

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

// What the network says of z (28·28) at time t; record(layer, weights (49, 49), head)
function predict(z, t, label, record = () => {}) {
  const c = silu(condition(t, label));
  let x = add(convolution(z, SIDE, model.embed.project, { kernel: PATCH, stride: PATCH }), positions);  // (7·7, D)
  Object.values(model.blocks).forEach((layer, i) => {
    const how = { heads: network.heads, width: GRID, record: (weights, head) => record(i, weights, head) };
    x = ditBlock(x, linear(c, layer.modulation), layer, how);
  });
  const [shift, scale] = chunks(linear(c, model.modulation), 2);
  return assembled(linear(modulated(x, shift, scale), model.out), PATCH, 1);
}

// { digit, guidance, sample } → these; what z was before each step and at the end (steps + 1, 28·28); where it was bound for in each
// step (steps, 28·28); and who looked where, mean over the heads (steps, layers, 49, 49)
function answer({ digit, guidance, sample }) {
  const { steps, heads, predicts } = network, layers = Object.keys(model.blocks).length, map = GRID ** 4;
  const maps = new Float32Array(steps * layers * map), any = model.label.weight.shape[0] - 1;
  const velocity = (z, t, step) => {
    const ask = (label, record) => asVelocity(predict(z, t, label, record), z, t, predicts);
    const of = ask(digit, (layer, weights) => {
      const at = (step * layers + layer) * map;
      if (step !== undefined) weights.forEach((weight, i) => { maps[at + i] += weight / heads; });
    });
    return guided(of, () => ask(any), guidance);
  };
  return { digit, guidance, sample, ...sampled(velocity, gaussians(SIDE ** 2, sample), network), maps };
}

// { weights, squeezed, and what they do not tell: heads, what the network predicts, and how it is sampled (steps, method) }
async function load(given) {
  network = given;
  model = unpacked(woven(await unsqueezed(network.weights)));
  positions = sincos2d(GRID, GRID, model.out.weight.shape[1]);
}

export default { load, answer };
