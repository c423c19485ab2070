// Random numbers that are the same on every device.

// n numbers, normally distributed with mean 0 and standard deviation 1, for a whole number as seed.
export function gaussians(n, seed) {
  const uniform = uniforms(seed), numbers = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    numbers[i] = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());  // Box and Muller 1958
  }
  return numbers;
}

// Numbers in [0, 1): a counter, mixed by the steps of MurmurHash3 that end a hash (fmix32).
function uniforms(seed) {
  let counter = Math.imul(seed + 1, 0x9e3779b1);
  return () => {
    let x = (counter = (counter + 0x6d2b79f5) | 0);
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
}
