// The diffusion transformer of chapter 11 that asks words what to draw, and its sampler, forwards: the lines of
// attn_utils/caption_dit.py once more. Two captions: the second is drawn from the noise of the first, with weights of the first kept.
// This module and what it imports run in a worker: engine.js takes what it exports.

import { convolution } from "./convolution.js";
import { assembled, chunks, ditBlock, modulated } from "./dit_layers.js";
import { asVelocity, guided, sampled } from "./flow.js";
import { add, columns, layerNorm, linear, multiHead, sincos2d } from "./layers.js";
import { unpacked, woven } from "./letters.js";
import { gaussians } from "./noise.js";
import { unsqueezed } from "./squeezed.js";
import { transformerBlock } from "./transformer_block.js";

const SIDE = 28, CHANNELS = 3;
let model, network, patch, grid, width, steps, positions;  // px of a patch, patches in a row, D

// What the words of a caption say, (5, D)
function read(caption) {
  const words = new Float32Array(caption.length * width);
  caption.forEach((word, i) => words.set(model.words.weight.data.subarray(word * width, (word + 1) * width), i * width));
  return transformerBlock(model.places ? add(words, model.places.data) : words, model.encoder, network);
}

// Patches x (N, D) ask words (5, D)
function look(x, words, { q, kv, out }, record) {
  const both = linear(words, kv), [k, v] = [0, width].map((start) => columns(both, 2 * width, start, width));
  return linear(multiHead(linear(x, q), k, v, { D: width, heads: network.heads, record }), out);
}

// What steers norms in this step: the network's time embedding is packed as a table, a column for each step
const steering = ({ weight }, step) => columns(weight.data, steps, step, 1);

// Pixels of patches from tokens: a linear layer, and where there is more, sums of a grey shape times a colour
function readOut(x) {
  const pixels = linear(x, model.out);
  if (!model.more) return pixels;
  const shapes = linear(x, model.more.shapes), colours = linear(x, model.more.colours);
  const each = patch ** 2, terms = shapes.length / pixels.length * CHANNELS;
  for (let i = 0; i < pixels.length; i++) {
    const token = Math.floor(i / each / CHANNELS), pixel = Math.floor(i / CHANNELS) % each;
    for (let k = 0; k < terms; k++) pixels[i] += shapes[(token * terms + k) * each + pixel] * colours[(token * terms + k) * CHANNELS + (i % CHANNELS)];
  }
  return pixels;
}

// What the network says of z (28·28, 3) in a step; record(name of the layer, weights, head), which may change them
function predict(z, step, words, record) {
  let x = add(convolution(z, SIDE, model.embed.project, { kernel: patch, stride: patch }), positions);  // (N, D)
  for (const [i, layer] of Object.entries(model.blocks)) {
    const told = (kind) => (weights, head) => record(`${kind}.${i}`, weights, head);
    x = add(x, look(layerNorm(x, model.norms[i]), words, model.looks[i], told("looks")));
    x = ditBlock(x, steering(layer.modulation, step), layer, { heads: network.heads, width: grid, record: told("blocks") });
  }
  const [shift, scale] = chunks(steering(model.modulation, step), 2);
  return assembled(readOut(modulated(x, shift, scale)), patch, CHANNELS);
}

// A caption drawn from noise: states and bound as flow.js tells them, maps (steps, blocks, 5, N) of its words, mean over the heads, and
// all weights, `kept`. In `layers`, for a share of the way, the weights are those that another drawing kept.
function draw(caption, start, guidance, { kept: others = [], layers = [] } = {}) {
  const captions = { asked: read(caption), any: read(caption.map(() => model.words.weight.shape[0] - 1)) };
  const led = Math.round(network.kept * others.length), kept = [], looks = [];
  const velocity = (z, t, step) => {
    const call = kept.length;
    kept.push({});
    if (step !== undefined) looks[step] = kept[call];
    const ask = (which) => asVelocity(predict(z, Math.round(t * steps), captions[which], (name, weights, head) => {
      const key = `${which}.${name}.${head}`;
      if (call < led && layers.some((kind) => name.startsWith(kind))) weights.set(others[call][key]);
      kept[call][key] = weights;
    }), z, t, network.predicts);
    return guided(ask("asked"), () => ask("any"), guidance);
  };
  return { ...sampled(velocity, start, { steps, method: network.method }), maps: wordMaps(looks, caption.length), kept };
}

// Of weights (N, words) of each step, block and head: who looks at a word, (steps, blocks, words, N)
function wordMaps(looks, words) {
  const blocks = Object.keys(model.blocks).length, N = grid ** 2, { heads } = network;
  const maps = new Float32Array(looks.length * blocks * words * N);
  looks.forEach((weights, step) => {
    for (let block = 0; block < blocks; block++) {
      for (let head = 0; head < heads; head++) {
        const at = (step * blocks + block) * words * N;
        weights[`asked.looks.${block}.${head}`].forEach((weight, i) => { maps[at + (i % words) * N + Math.floor(i / words)] += weight / heads; });
      }
    }
  });
  return maps;
}

// { caption, other (places in the vocabulary, or null), guidance, sample } → these, and drawings { states, bound, maps }: of the caption;
// and of the other one from the same noise, once by itself and once for each of network.edits, layers that keep their weights
function answer({ caption, other, guidance, sample }) {
  const start = gaussians(SIDE ** 2 * CHANNELS, sample), { kept, ...first } = draw(caption, start, guidance);
  const edits = other ? network.edits.map((layers) => draw(other, start, guidance, { kept, layers })) : [];
  return { caption, other, guidance, sample, drawings: [first, ...edits.map(({ states, bound, maps }) => ({ states, bound, maps }))] };
}

// { weights, squeezed, and what they do not tell: heads, predicts, method, edits, and for which share of the way an edit leads (kept) }
async function load(given) {
  network = given;
  model = unpacked(woven(await unsqueezed(network.weights)));
  [width, steps] = [model.out.weight.shape[1], model.modulation.weight.shape[1]];
  patch = Math.sqrt(model.out.weight.shape[0] / CHANNELS);
  grid = SIDE / patch;
  positions = sincos2d(grid, grid, width);
}

export default { load, answer };
