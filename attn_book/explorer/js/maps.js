// The maps, as packing.py wrote them, and how their numbers are written.

import { count } from "./places.js";

// For each map its peak f4, effective keys f4, place of the peak u4; then the values of all maps in steps of their peak,
// u1 or u2; all of it deflated.
export class Maps {
  static async unpack(view, spec) {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Maps(await new Response(stream).arrayBuffer(), spec);
  }

  constructor(buffer, { queries, keys, selectors, levels, distribution, scale }) {
    Object.assign(this, { queries: count(queries), keys: count(keys), selectors, levels, distribution });
    const total = selectors.reduce((n, [, options]) => n * options.length, this.queries);
    this.peak = new Float32Array(buffer, 0, total);
    this.effective = new Float32Array(buffer, 4 * total, total);
    this.best = new Uint32Array(buffer, 8 * total, total);
    this.codes = new (levels < 256 ? Uint8Array : Uint16Array)(buffer, 12 * total, total * this.keys);
    this.shared = scale === "shared" ? this.peak.reduce((a, b) => Math.max(a, b), 0) : 0;
  }

  // The number of the map of one query under the chosen options
  index(choice, query) {
    return this.selectors.reduce((i, [name, options]) => i * options.length + options.indexOf(choice[name]), 0) * this.queries + query;
  }

  step(map) { return this.peak[map] / this.levels; }
  value(map, key) { return this.codes[map * this.keys + key] * this.step(map); }
  top(map) { return this.shared || this.peak[map] || 1; }
}

// Two or three digits, and never more than the stored steps can tell.
export function format(value, step = 0) {
  if (value === 0) return "0";
  if (value < 0.0001) return value.toExponential(0);
  const digits = value >= 1 ? 3 : 2;
  const decimals = Math.max(digits - 1 - Math.floor(Math.log10(value)), 0);
  const told = step > 0 ? Math.max(Math.ceil(-Math.log10(step)), 0) : decimals;
  return String(Number(value.toFixed(Math.min(decimals, told))));
}

// A column of numbers shares its decimals.
export const fixed = (value, top, decimals = 3) => value.toFixed(top >= 10 ? 1 : decimals);
