// Pictures at another size. A picture is rows of pixels with their channels, (height · width, C).

// At twice the size, each pixel a mixture of the nearest four: torch's "bilinear" with align_corners=False
export const enlarged = (x, width, C) => doubled(doubled(x, width, C), x.length / C / width, 2 * width * C);

// Along one axis, (outer, n, inner) → (outer, 2 n, inner): ¾ of the nearer neighbour and ¼ of the other; at the ends both are one.
function doubled(x, n, inner) {
  const y = new Float32Array(2 * x.length);
  for (let start = 0; start < x.length; start += n * inner) {
    for (let i = 0; i < 2 * n; i++) {
      const near = i >> 1, far = Math.min(Math.max(near + (i % 2 ? 1 : -1), 0), n - 1);
      for (let k = 0, at = 2 * start + i * inner; k < inner; k++, at++) {
        y[at] = 0.75 * x[start + near * inner + k] + 0.25 * x[start + far * inner + k];
      }
    }
  }
  return y;
}

// The mean over each step · step pixels
export function pooled(x, width, C, step) {
  const y = new Float32Array(x.length / step ** 2);
  for (let i = 0; i < x.length; i++) {
    const pixel = Math.floor(i / C), r = Math.floor(pixel / width / step), c = Math.floor((pixel % width) / step);
    y[((r * width) / step + c) * C + (i % C)] += x[i] / step ** 2;
  }
  return y;
}
