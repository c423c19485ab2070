// The network of chapter 9 that answers a click, forwards: the lines of its ClickModel once more. Widths are those of the weights.
// This module and what it imports run in a worker: engine.js takes what it exports.

import { convolution, transposedConvolution } from "./convolution.js";
import { add, batchNorm, linear, matrix, relu, sincos2d, transpose } from "./layers.js";
import { unpacked, woven } from "./letters.js";
import { enlarged, pooled } from "./resizing.js";
import { unsqueezed } from "./squeezed.js";
import { twoWayDecoder } from "./two_way.js";
import { walked, walkWeights } from "./walk.js";

const SIDE = 64, CELLS = 16;  // px, and cells in a row of tokens
let model, network, pictures, seen;

// A 3×3 convolution, batch norm, ReLU
const conv = (x, width, layer, stride = 1) =>
  relu(batchNorm(convolution(x, width, layer[0], { stride, padding: 1 }), layer[1]));

const mlp = (x, layer) => linear(relu(linear(x, layer[0])), layer[2]);

// A convolution with holes, added on
function dilated(x, { norm, look, mix }, reach) {
  const found = convolution(relu(batchNorm(x, norm)), CELLS, look, { padding: reach, dilation: reach });
  return add(x, linear(relu(found), mix));
}

// What does not depend on the click, once a picture (64·64, 3) in [0, 1]: maps of 64², 32² and 16² pixels, the picture's tokens, what
// the middle map adds to the pixels' keys, and who listens to whom in the walk
function look(image) {
  const { fine: first, middle: second, coarse: third, down, detail } = model.encoder;
  let fine = conv(image.map((v) => 4 * v - 2), SIDE, first);
  const middle = conv(conv(fine, SIDE, second[0], 2), SIDE / 2, second[1]);
  let coarse = conv(middle, SIDE / 2, third[0], 2);
  for (let i = 1; third[i]; i++) coarse = dilated(coarse, third[i], 2 ** (i - 1));
  fine = add(fine, enlarged(linear(middle, down), SIDE / 2, down.weight.shape[0]));
  fine = convolution(relu(batchNorm(fine, detail[0])), SIDE, detail[2], { padding: 1 });  // (64·64, F)
  const picture = add(coarse, model.cellPlaces), beside = linear(middle, model.beside);
  return { fine, middle, coarse, picture, beside, listen: walkWeights(middle, SIDE / 2, model.walk) };
}

// The three tokens of a click: of the part, of the whole, and of the click itself, from its place and from what is seen there
function prompt({ fine, middle, coarse }, row, col) {
  const here = (map, step) => rowOf(map, (SIDE / step) ** 2, Math.floor(row / step) * (SIDE / step) + Math.floor(col / step));
  const { from_place, from_here, masks } = model.prompt, place = rowOf(model.places, SIDE ** 2, row * SIDE + col);
  const click = add(linear(place, from_place), linear(joined(here(fine, 1), here(middle, 2), here(coarse, 4)), from_here));
  return joined(masks.data, click);
}

// A click → logits of both masks (2, 64·64), and their scores (2)
function decode(seen, row, col) {
  const D = model.cell_places.weight.shape[0];
  const [all, grid] = twoWayDecoder(prompt(seen, row, col), seen.picture, model.cellPlaces, model.decoder, network.heads);
  const tokens = all.subarray(0, 2 * D), before = draw(tokens, grid, seen, row, col), coarse = pooled(before, SIDE, 2, 2);
  const after = walked(coarse, SIDE / 2, 2, seen.listen, model.walk, network.steps).map((v, i) => v - coarse[i]);
  return { logits: transpose(add(before, enlarged(after, SIDE / 2, 2)), 2), scores: mlp(tokens, model.to_score) };
}

// The dot products that draw both masks (64·64, 2). Keys of a pixel are f from the decoder's picture at 32², h from the encoder at 64²
// and c from its place relative to the click; the masks' queries for them are u, v and w.
function draw(tokens, grid, { fine, beside }, row, col) {
  const F = model.same.weight.shape[0], M = model.beside.weight.shape[0];
  for (const [i, layer] of Object.entries(model.spread)) grid = dilated(grid, layer, 2 ** i);
  const pixels = relu(add(transposedConvolution(grid, CELLS, model.up), beside));  // (32·32, M)
  const queries = mlp(tokens, model.to_query), part = rowOf(queries, 2, 0), whole = rowOf(queries, 2, 1);
  const same = linear(rowOf(fine, SIDE ** 2, row * SIDE + col), model.same);  // the pixel under the click asks, too
  const u = joined(part.subarray(0, M), whole.subarray(0, M));
  const v = joined(add(part.subarray(M, M + F), same), add(whole.subarray(M, M + F), same));
  const w = joined(part.subarray(M + F), whole.subarray(M + F));
  const fits = [linear(pixels, matrix(u, 2, M)), linear(fine, matrix(v, 2, F)), linear(conicMaps(row, col), matrix(w, 2, 6))];
  return add(add(enlarged(fits[0], SIDE / 2, 2), fits[1]), fits[2]);
}

// 1, x, y, x², x y, y² of each pixel, from the click on, in units of 8 px: (64·64, 6)
function conicMaps(row, col) {
  const maps = new Float32Array(6 * SIDE ** 2);
  for (let i = 0; i < SIDE ** 2; i++) {
    const y = (Math.floor(i / SIDE) - row) / 8, x = ((i % SIDE) - col) / 8;
    maps.set([1, x, y, x * x, x * y, y * y], 6 * i);
  }
  return maps;
}

const rowOf = (x, rows, r) => x.subarray((r * x.length) / rows, ((r + 1) * x.length) / rows);

function joined(...arrays) {
  const all = new Float32Array(arrays.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}

// network: { weights, squeezed, and what they do not tell: heads of the decoder, steps of the walk }; pictures: each (64·64, 3) in [0, 1]
async function load(given) {
  ({ network, pictures } = given);
  model = unpacked(woven(await unsqueezed(network.weights)));
  seen = new Map();
  const D = model.cell_places.weight.shape[0];
  model.places = sincos2d(SIDE, SIDE, D, 64);
  model.cellPlaces = linear(pooled(model.places, SIDE, D, SIDE / CELLS), model.cell_places);
}

// A picture's number and a pixel of it → these, and what decode finds
function answer({ picture, row, col }) {
  if (!seen.has(picture)) seen.set(picture, look(pictures[picture]));
  return { picture, row, col, ...decode(seen.get(picture), row, col) };
}

export default { load, answer };
