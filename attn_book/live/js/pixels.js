// Pictures as the network sees them, (height · width, 3) in [0, 1], and on a canvas.

import { h } from "../../explorer/js/dom.js";
import { shares, wholeNumbers } from "./letters.js";

// From letters: of each colour its three shares, of each pixel the number of its colour.
export function pixelsOf({ colours, pixels }) {
  const palette = shares(colours), all = new Float32Array(3 * pixels.length);
  wholeNumbers(pixels).forEach((colour, i) => all.set(palette.subarray(3 * colour, 3 * colour + 3), 3 * i));
  return all;
}

export function canvasOf(image, side) {
  const canvas = h("canvas", { width: side, height: side });
  putPixels(canvas, image);
  return canvas;
}

export function putPixels(canvas, image) {
  const pixels = new ImageData(canvas.width, canvas.height);
  for (let i = 0; i < image.length / 3; i++) {
    pixels.data.set([...image.subarray(3 * i, 3 * i + 3)].map((v) => Math.round(255 * v)).concat(255), 4 * i);
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

// What light or a mask is to show on: grey, and dark
export function dim([r, g, b]) {
  const grey = 0.34 * (0.2126 * r + 0.7152 * g + 0.0722 * b);
  return [grey, grey, grey];
}
