// Flow matching: the lines of attn_utils/flow.py once more. Time t runs from 0, pure noise, to 1, data.

// What a network predicted, "x" or "v", as a velocity
export const asVelocity = (predicted, z, t, predicts) => (predicts === "v" ? predicted : predicted.map((x, i) => (x - z[i]) / (1 - t)));

// v_any + w (v_of − v_any); any() is asked only where it counts
export const guided = (of, any, w) => (w === 1 ? of : any().map((v, i) => v + w * (of[i] - v)));

// Follows velocity(z, t, step) from t = 0 to 1 in equal steps; Heun's second look in a step is told no number. Returns what z was
// before each step and at the end (steps + 1, size), and where it was bound for in each (steps, size).
export function sampled(velocity, start, { steps, method }) {
  const size = start.length, dt = 1 / steps;
  const states = new Float32Array((steps + 1) * size), bound = new Float32Array(steps * size);
  let z = start;
  for (let step = 0; step < steps; step++) {
    states.set(z, step * size);
    const t = step / steps;
    let v = velocity(z, t, step);
    bound.set(z.map((value, i) => value + (1 - t) * v[i]), step * size);
    if (method === "heun" && step < steps - 1) {
      const next = velocity(z.map((value, i) => value + dt * v[i]), (step + 1) / steps);
      v = v.map((value, i) => (value + next[i]) / 2);
    }
    z = z.map((value, i) => value + dt * v[i]);
  }
  states.set(z, steps * size);
  return { states, bound };
}
