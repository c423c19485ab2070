// Marks on a canvas. A rect is [x, y, width, height] in CSS pixels, a size { width, height } that of the whole canvas.

import { h } from "./dom.js";
import { boxOf } from "./places.js";

const FONT = "system-ui, sans-serif";

export function rectOf(places, i, { width, height }) {
  const [x0, y0, x1, y1] = boxOf(places, i);
  return [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height];
}

// Strokes the path twice, so that it shows on any picture: dark and wide below, coloured above.
export function stroke(ctx, colour, line, dash = []) {
  for (const [style, width, pattern] of [["rgba(0, 0, 0, .7)", line + 2.5, []], [colour, line, dash]]) {
    ctx.strokeStyle = style;
    ctx.lineWidth = width;
    ctx.setLineDash(pattern);
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

// From where to where a side of an outline runs: just inside a large rect, just around a small one, on the canvas always.
function side(start, length, whole, line) {
  const inset = length > 24 ? line / 2 + 1 : -1, edge = line / 2 + 1, least = 2 * line;
  const from = Math.max(Math.min(start + inset, whole - edge - least), edge);
  return [from, Math.max(Math.min(start + length - inset, whole - edge), from + least)];
}

export function outline(ctx, [x, y, wide, tall], colour, size, { line = 2.5, dash = [] } = {}) {
  const [left, right] = side(x, wide, size.width, line), [above, below] = side(y, tall, size.height, line);
  ctx.beginPath();
  ctx.roundRect(left, above, right - left, below - above, Math.min(5, (right - left) / 4));
  stroke(ctx, colour, line, dash);
}

export function ring(ctx, [x, y, wide, tall]) {
  ctx.beginPath();
  ctx.arc(x + wide / 2, y + tall / 2, Math.min(Math.max(Math.min(wide, tall) * 0.7, 8), 40), 0, 2 * Math.PI);
  stroke(ctx, "#fff", 2);
}

// Text in the middle of a rect, with a halo of that colour where one is given; squeezed where the rect is narrow.
export function write(ctx, text, [x, y, wide, tall], colour, pixels, halo) {
  ctx.font = `600 ${pixels}px ${FONT}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  if (halo) {
    ctx.strokeStyle = halo;
    ctx.lineWidth = pixels / 4;
    ctx.lineJoin = "round";
    ctx.strokeText(text, x + wide / 2, y + tall / 2, wide);
  }
  ctx.fillStyle = colour;
  ctx.fillText(text, x + wide / 2, y + tall / 2, wide);
}

// A small label over a place, or under it where there is no room.
export function tag(ctx, text, [x, y, wide, tall], size) {
  ctx.font = `600 12px ${FONT}`;
  const width = Math.min(ctx.measureText(text).width + 12, size.width - 6), height = 20, gap = 5;
  const left = Math.min(Math.max(x + wide / 2 - width / 2, 3), size.width - width - 3);
  const above = y - height - gap > 2 ? y - height - gap : Math.min(y + tall + gap, size.height - height - 3);
  ctx.fillStyle = "rgba(10, 14, 19, .9)";
  ctx.beginPath();
  ctx.roundRect(left, above, width, height, 5);
  ctx.fill();
  write(ctx, text, [left + 4, above + 0.5, width - 8, height], "#fff", 12);
}

export function gridLines(ctx, { kind, rows, cols }, { width, height }) {
  if (kind !== "grid" || width / cols < 16 || height / rows < 16) return;
  ctx.fillStyle = "rgba(140, 140, 150, .3)";
  for (let col = 1; col < cols; col++) ctx.fillRect(Math.round((col * width) / cols), 0, 1, height);
  for (let row = 1; row < rows; row++) ctx.fillRect(0, Math.round((row * height) / rows), width, 1);
}

// Small pictures keep their pixels, photographs are smoothed.
export function paint(ctx, image, { width, height }) {
  ctx.imageSmoothingEnabled = Math.max(image.width, image.height) > 64;
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(image, 0, 0, width, height);
}

// A canvas of the given pixels: f gets each [r, g, b, i] of the image scaled to that size, and returns its new colour.
export function repainted(image, width, height, f) {
  const canvas = h("canvas", { width, height });
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  ctx.drawImage(image, 0, 0, width, height);
  const pixels = ctx.getImageData(0, 0, width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set(f([...pixels.data.subarray(4 * i, 4 * i + 3), i]), 4 * i);
  ctx.putImageData(pixels, 0, 0);
  return canvas;
}

// What a response is laid over: grey, and dark enough for light to show on it.
export const dimmed = (image) => repainted(image, image.naturalWidth, image.naturalHeight, ([r, g, b]) => {
  const grey = 0.34 * (0.2126 * r + 0.7152 * g + 0.0722 * b);
  return [grey, grey, grey];
});

export async function loaded(picture) {
  if (!picture) return null;
  const image = new Image();
  image.src = picture.url;
  await image.decode();
  return image;
}
