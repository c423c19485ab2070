// A pad to draw a digit on with finger, pen or mouse, and what a scanner of 8 × 8 pixels would make of it.

import { h, set } from "../../explorer/js/dom.js";

const FINE = 32, BLOCK = 4;  // the scans were 32 × 32 black or white pixels, counted in blocks of 4 × 4
const PEN = 2.4;  // radius of the pen in these pixels: drawings then have as much ink as the scans, 0.30

// changed(strokes) is told as the reader draws; a stroke is a list of points [x, y] in [0, 1].
export function pad(changed) {
  const canvas = h("canvas", { width: 256, height: 256 });
  const node = h("div", { class: "pad", role: "img", "aria-label": "Pad to draw a digit on with finger or mouse" }, canvas);
  let strokes = [], drawing = false, enabled = true;

  const redraw = () => {
    node.toggleAttribute("data-empty", !strokes.length);
    const ctx = canvas.getContext("2d");
    ctx.clearRect(0, 0, 256, 256);
    Object.assign(ctx, { lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: getComputedStyle(node).color });
    for (const line of strokes) {
      ctx.beginPath();
      for (const [x, y] of [line[0], ...line]) ctx.lineTo(256 * x, 256 * y);
      ctx.stroke();
    }
  };
  const extend = (event) => {
    const box = node.getBoundingClientRect();
    const point = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    strokes = [...strokes.slice(0, -1), [...strokes.at(-1), point]];
    redraw();
    changed(strokes);
  };
  const stop = () => { drawing = false; };
  set(node, {
    onpointerdown: (event) => {
      if (!enabled || event.button !== 0) return;
      node.setPointerCapture(event.pointerId);
      drawing = true;
      strokes = [...strokes, []];
      extend(event);
    },
    onpointermove: (event) => { if (drawing) extend(event); },
    onpointerup: stop,
    onpointercancel: stop,
  });
  const show = (some, able) => {
    strokes = some;
    enabled = able;
    node.toggleAttribute("data-disabled", !able);
    redraw();
  };
  return { node, show };
}

// Strokes (in whatever place and size) → ink (8·8) in [0, 1]: scaled to the height or width of 32 pixels, and counted in blocks.
export function scanned(strokes) {
  const ink = new Float32Array((FINE / BLOCK) ** 2), points = strokes.flat();
  if (!points.length) return ink;
  const [low, high] = [Math.min, Math.max].map((f) => [0, 1].map((axis) => f(...points.map((point) => point[axis]))));
  const extent = Math.max(high[0] - low[0], high[1] - low[1], 0.05), scale = (FINE - 2 * PEN) / extent;
  const placed = strokes.map((line) => line.map((point) =>
    point.map((t, axis) => FINE / 2 + scale * (t - (low[axis] + high[axis]) / 2))));
  for (let i = 0; i < FINE ** 2; i++) {
    const x = (i % FINE) + 0.5, y = Math.floor(i / FINE) + 0.5;
    if (placed.some((line) => line.some((point, k) => distance([x, y], line[Math.max(k - 1, 0)], point) <= PEN))) {
      ink[Math.floor(y / BLOCK) * (FINE / BLOCK) + Math.floor(x / BLOCK)] += 1 / BLOCK ** 2;
    }
  }
  return ink;
}

// From a point to the segment a–b
function distance([x, y], [ax, ay], [bx, by]) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const t = length ? Math.min(Math.max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0), 1) : 0;
  return Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay));
}
