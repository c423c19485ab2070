// The two-way decoder, forwards: the lines of attn_utils/segmentation.py once more. A few tokens t and a picture x, rows both,
// look at each other. places = { tokens, picture } are added to queries and keys, never to values.

import { add, layerNorm, linear, multiHead, relu } from "./layers.js";

const EPSILON = 1e-6;  // of the norms inside the blocks

// Several blocks, and one more look of the tokens at the picture: [tokens (N, D), picture (M, D)]
export function twoWayDecoder(t, x, picturePlaces, { blocks, last_look, norm }, heads) {
  const places = { tokens: t, picture: picturePlaces };
  for (const [number, layer] of Object.entries(blocks)) [t, x] = twoWayBlock(t, x, places, layer, { heads, first: number === "0" });
  const found = narrowAttention(add(t, places.tokens), add(x, places.picture), x, last_look, heads);
  return [layerNorm(add(t, found), norm), x];
}

// t = LN(t + SA(t));  t = LN(t + CA(t → x));  t = LN(t + MLP(t));  x = LN(x + CA(x → t))
function twoWayBlock(t, x, places, layer, { heads, first }) {
  const { self_attention, token_to_picture, mlp, picture_to_token, norms } = layer;
  const norm = (i, z) => layerNorm(z, norms[i], EPSILON), placed = (z) => add(z, places.tokens);
  const talk = narrowAttention(first ? t : placed(t), first ? t : placed(t), t, self_attention, heads);
  t = norm(0, first ? talk : add(t, talk));  // in the first block the tokens are still nothing but their places
  const asking = add(x, places.picture);
  t = norm(1, add(t, narrowAttention(placed(t), asking, x, token_to_picture, heads)));
  t = norm(2, add(t, linear(relu(linear(t, mlp[0])), mlp[2])));
  x = norm(3, add(x, narrowAttention(asking, placed(t), t, picture_to_token, heads)));
  return [t, x];
}

// Attention at the width that the projections have
function narrowAttention(queries, keys, values, { q, k, v, out }, heads) {
  const mix = multiHead(linear(queries, q), linear(keys, k), linear(values, v), { D: q.weight.shape[0], heads });
  return linear(mix, out);
}
