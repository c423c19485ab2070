// Convolutions of pictures, each a linear layer on patches. A picture is rows of pixels with their channels, (height · width, C).

import { linear } from "./layers.js";

// y[r, c] = Σ_ij W_ij x[r·s + i·d − p, c·s + j·d − p] + b, outside the picture 0: (height · width, C) → (height' · width', O)
export function convolution(x, width, layer, { kernel = 3, stride = 1, padding = 0, dilation = 1 } = {}) {
  const C = layer.weight.shape[1] / kernel ** 2, height = x.length / C / width, reach = dilation * (kernel - 1) + 1;
  const [H, W] = [height, width].map((side) => Math.floor((side + 2 * padding - reach) / stride) + 1);
  const patches = new Float32Array(H * W * kernel ** 2 * C);
  let at = 0;
  for (let r = 0; r < H; r++) {
    for (let c = 0; c < W; c++) {
      for (let i = r * stride - padding; i < r * stride - padding + reach; i += dilation) {
        for (let j = c * stride - padding; j < c * stride - padding + reach; j += dilation, at += C) {
          if (i >= 0 && i < height && j >= 0 && j < width) {
            patches.set(x.subarray((i * width + j) * C, (i * width + j + 1) * C), at);
          }
        }
      }
    }
  }
  return linear(patches, layer);
}

// y[r·s + i − p, c·s + j − p] += W_ij x[r, c], and b once: (height · width, C) → (height' · width', O)
export function transposedConvolution(x, width, { weight, bias }, { kernel = 2, stride = kernel, padding = 0 } = {}) {
  const O = weight.shape[0] / kernel ** 2, height = x.length / weight.shape[1] / width, pieces = linear(x, { weight });
  const [H, W] = [height, width].map((side) => (side - 1) * stride - 2 * padding + kernel);
  const y = new Float32Array(H * W * O).map((_, i) => (bias ? bias.data[i % O] : 0));
  let at = 0;
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) {
      for (let i = r * stride - padding; i < r * stride - padding + kernel; i++) {
        for (let j = c * stride - padding; j < c * stride - padding + kernel; j++, at += O) {
          if (i < 0 || i >= H || j < 0 || j >= W) continue;
          for (let o = 0; o < O; o++) y[(i * W + j) * O + o] += pieces[at + o];
        }
      }
    }
  }
  return y;
}

// Each channel by itself: y[r, c] = Σ_ij w_ij x[r + i − 1, c + j − 1] + b with its own 3 × 3 weights (C, 9), outside the picture 0
export function depthwise(x, width, { weight, bias }) {
  const C = weight.shape[0], height = x.length / C / width, y = new Float32Array(x.length);
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) {
      const at = (r * width + c) * C;
      for (let k = 0; k < C; k++) y[at + k] = bias.data[k];
      for (let i = -1; i <= 1; i++) {
        for (let j = -1; j <= 1; j++) {
          if (r + i < 0 || r + i >= height || c + j < 0 || c + j >= width) continue;
          const from = ((r + i) * width + c + j) * C, tap = 3 * (i + 1) + j + 1;
          for (let k = 0; k < C; k++) y[at + k] += weight.data[9 * k + tap] * x[from + k];
        }
      }
    }
  }
  return y;
}
