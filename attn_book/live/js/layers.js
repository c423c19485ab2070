// The layers of the book once more, in plain JavaScript: what a trained network needs to run in a page.
// Every array is a Float32Array of rows: a row is a token, or a pixel with its channels. So nearly all work is one function, linear.
// A layer is { weight, bias }, each { data, shape }, under its name in torch's state_dict.

// y = x Wᵀ + b: rows (n, I) → (n, O). Two rows and four outputs at a time, so that each number that is read is used more than once.
export function linear(x, { weight, bias }) {
  const [O, I] = weight.shape, n = x.length / I, w = weight.data, b = bias ? bias.data : new Float32Array(O);
  const y = new Float32Array(n * O), blocked = O - (O % 4);
  for (let r = 0; r < n; r += 2) {
    const next = r + 1 < n ? 1 : 0;  // the last of an odd number of rows is computed twice
    for (let o = 0; o < blocked; o += 4) {
      let s0 = b[o], s1 = b[o + 1], s2 = b[o + 2], s3 = b[o + 3], t0 = s0, t1 = s1, t2 = s2, t3 = s3;
      for (let i = r * I, j = i + next * I, k = o * I, end = i + I; i < end; i++, j++, k++) {
        const u = x[i], v = x[j], w0 = w[k], w1 = w[k + I], w2 = w[k + 2 * I], w3 = w[k + 3 * I];
        s0 += u * w0; s1 += u * w1; s2 += u * w2; s3 += u * w3;
        t0 += v * w0; t1 += v * w1; t2 += v * w2; t3 += v * w3;
      }
      const p = r * O + o, q = p + next * O;
      y[p] = s0; y[p + 1] = s1; y[p + 2] = s2; y[p + 3] = s3;
      y[q] = t0; y[q + 1] = t1; y[q + 2] = t2; y[q + 3] = t3;
    }
  }
  for (let r = 0; r < n; r++) {
    for (let o = blocked; o < O; o++) {
      let s = b[o];
      for (let i = 0; i < I; i++) s += x[r * I + i] * w[o * I + i];
      y[r * O + o] = s;
    }
  }
  return y;
}

export const relu = (x) => x.map((v) => Math.max(v, 0));

// ½ x (1 + erf(x / √2))
export const gelu = (x) => x.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2)));

// 2/√π ∫₀ˣ exp(−t²) dt, which JavaScript does not have: Abramowitz and Stegun 7.1.26, wrong by at most 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x);
  return x < 0 ? tail - 1 : 1 - tail;
}

// x + y
export const add = (x, y) => x.map((v, i) => v + y[i]);

// γ (x − mean) / √(variance + ε) + β in each row, the variance over n (not n − 1)
export function layerNorm(x, { weight, bias }, epsilon = 1e-5) {
  const D = weight.data.length, y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += D) {
    let mean = 0, variance = 0;
    for (let i = 0; i < D; i++) mean += x[start + i] / D;
    for (let i = 0; i < D; i++) variance += (x[start + i] - mean) ** 2 / D;
    const scale = 1 / Math.sqrt(variance + epsilon);
    for (let i = 0; i < D; i++) y[start + i] = weight.data[i] * (x[start + i] - mean) * scale + bias.data[i];
  }
  return y;
}

// γ (x − μ) / √(σ² + ε) + β in each channel, which with fixed μ and σ is factor · x + offset: packing.py writes these two
export function batchNorm(x, { weight, bias }) {
  const C = weight.data.length;
  return x.map((v, i) => weight.data[i % C] * v + bias.data[i % C]);
}

// exp(x) / Σ exp(x) in each row of M; less the largest of the row above and below, which changes nothing and keeps exp finite
export function softmax(x, M) {
  const y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += M) {
    let top = -Infinity, sum = 0;
    for (let i = start; i < start + M; i++) top = Math.max(top, x[i]);
    for (let i = start; i < start + M; i++) sum += Math.exp(x[i] - top);
    for (let i = start; i < start + M; i++) y[i] = Math.exp(x[i] - top) / sum;
  }
  return y;
}

// softmax(q kᵀ / √d) v in each head: q (N, D), k and v (M, D) → (N, D). record(weights (N, M), head) is told what each attends to,
// before the values are mixed: what it writes into the weights counts.
export function multiHead(q, k, v, { D, heads, record = () => {} }) {
  const d = D / heads, N = q.length / D, M = k.length / D, out = new Float32Array(N * D);
  for (let head = 0; head < heads; head++) {
    const [qh, kh, vh] = [q, k, v].map((x) => columns(x, D, head * d, d));
    const scores = linear(qh.map((x) => x / Math.sqrt(d)), matrix(kh, M, d));
    const weights = softmax(scores, M);
    record(weights, head);
    const mix = linear(weights, matrix(transpose(vh, d), d, M));
    for (let r = 0; r < N; r++) out.set(mix.subarray(r * d, (r + 1) * d), r * D + head * d);
  }
  return out;
}

// attention with q, k, v = x W_qkvᵀ + b, and then a matrix that joins the heads
export function selfAttention(x, { qkv, out }, { heads, record }) {
  const D = out.weight.shape[0], all = linear(x, qkv);
  const [q, k, v] = [0, D, 2 * D].map((start) => columns(all, 3 * D, start, D));
  return linear(multiHead(q, k, v, { D, heads, record }), out);
}

export const matrix = (data, rows, cols) => ({ weight: { data, shape: [rows, cols] } });

// x[:, start : start + d] of rows of `width`
export function columns(x, width, start, d) {
  const n = x.length / width, y = new Float32Array(n * d);
  for (let r = 0; r < n; r++) y.set(x.subarray(r * width + start, r * width + start + d), r * d);
  return y;
}

// xᵀ of rows of `width`
export function transpose(x, width) {
  const n = x.length / width, y = new Float32Array(x.length);
  for (let r = 0; r < n; r++) for (let c = 0; c < width; c++) y[c * n + r] = x[r * width + c];
  return y;
}

// PE[r·W + c] = [wave(r), wave(c)], wave(n)[2i] = sin(n / base^(2i/w)), wave(n)[2i + 1] = cos(…), each of width w = D/2
export function sincos2d(H, W, D, base = 10000) {
  const w = D / 2, table = new Float32Array(H * W * D);
  const wave = (n, at) => {
    for (let i = 0; i < w; i += 2) {
      table[at + i] = Math.sin(n / base ** (i / w));
      table[at + i + 1] = Math.cos(n / base ** (i / w));
    }
  };
  for (let r = 0; r < H; r++) {
    for (let c = 0; c < W; c++) {
      wave(r, (r * W + c) * D);
      wave(c, (r * W + c) * D + w);
    }
  }
  return table;
}
