// Attention to the eight neighbours and oneself, step by step: a random walk that shuns what the network takes for edges.

import { linear, softmax } from "./layers.js";

// For each pixel of a map the numbers of its nine, row by row, its own in the middle; -1 is outside.
function nine(width, height) {
  const around = new Int32Array(9 * width * height);
  for (let i = 0; i < around.length; i++) {
    const pixel = Math.floor(i / 9), r = Math.floor(pixel / width) + Math.floor((i % 9) / 3) - 1, c = (pixel % width) + (i % 3) - 1;
    around[i] = r < 0 || c < 0 || r >= height || c >= width ? -1 : r * width + c;
  }
  return around;
}

// a_pq = softmax over the nine q of q_p · k_q / √d + near_(q − p): (height · width, channels) → (height · width, 9)
export function walkWeights(map, width, { q, k, near }) {
  const d = q.weight.shape[0], queries = linear(map, q), keys = linear(map, k);
  const scores = Float32Array.from(nine(width, queries.length / d / width), (other, i) => {
    if (other < 0) return -Infinity;
    let score = 0;
    for (let j = 0, own = Math.floor(i / 9) * d; j < d; j++) score += queries[own + j] * keys[other * d + j];
    return score / Math.sqrt(d) + near.data[i % 9];
  });
  return softmax(scores, 9);
}

// y ← (1 − κ) Σ_q a_pq y_q + κ y⁰, so many times: (height · width, C)
export function walked(start, width, C, weights, { keep }, steps) {
  const around = nine(width, start.length / C / width), stay = 1 / (1 + Math.exp(-keep.data[0]));
  let y = start;
  for (let step = 0; step < steps; step++) {
    const next = start.map((v) => stay * v);
    around.forEach((other, i) => {
      for (let k = 0, at = Math.floor(i / 9) * C; other >= 0 && k < C; k++) {
        next[at + k] += (1 - stay) * weights[i] * y[other * C + k];
      }
    });
    y = next;
  }
  return y;
}
