// The Vision Transformer of cued search, forwards: the lines of attn_utils/vit.py and of chapter 7's stem once more.
// This module and what it imports run in a worker: engine.js takes what it exports.

import { convolution } from "./convolution.js";
import { add, batchNorm, layerNorm, linear, relu, sincos2d, softmax } from "./layers.js";
import { unpacked } from "./letters.js";
import { transformerBlock } from "./transformer_block.js";

const SIDE = 32, GRID = 4, HEADS = 2, CLASSES = 11;
let model;

// Pixels to cells, (32·32, 3) → (4·4, D)
function embed(image, { 0: conv, 1: norm, 3: secondConv, 4: secondNorm }) {
  const x = relu(batchNorm(convolution(image, SIDE, conv, { kernel: 4, stride: 4 }), norm));  // (8·8, 48)
  return relu(batchNorm(convolution(x, 8, secondConv, { kernel: 3, stride: 2, padding: 1 }), secondNorm));
}

// image (32·32, 3) in [0, 1] → logits and probabilities (16, 11), and the attention weights (layers, heads, 16, 16).
// off: heads that say nothing, numbered layer after layer. They attend, but what they find is multiplied by 0.
function answer(image, off = []) {
  const maps = [];
  let number = 0;
  const record = (map) => {
    maps.push(...map);
    if (off.includes(number++)) map.fill(0);
  };
  let z = embed(image, model.embed);
  z = add(z, sincos2d(GRID, GRID, z.length / GRID ** 2));  // (16, D)
  for (const layer of Object.values(model.blocks)) z = transformerBlock(z, layer, { heads: HEADS, record });
  const logits = linear(layerNorm(z, model.norm), model.head);
  return { logits, probabilities: softmax(logits, CLASSES), maps: Float32Array.from(maps) };
}

function load(packed) { model = unpacked(packed); }

export default { load, answer };
