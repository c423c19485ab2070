// Colours of values, and the ink that can be read on them.

const VIRIDIS = "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725"
  .split(" ").map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));

function viridis(t) {
  const x = t * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(x), VIRIDIS.length - 2);
  return VIRIDIS[i].map((c, k) => c + (x - i) * (VIRIDIS[i + 1][k] - c));
}

export const QUERY = "#ff7a1a";
// Colours for 0 to 1: as they are, and as light that is thrown on a picture, where 0 must be dark.
export const PLAIN = Array.from({ length: 256 }, (_, i) => viridis(i / 255).map(Math.round));
export const LIGHT = PLAIN.map((colour, i) => colour.map((c) => Math.round(c * Math.min(1, 1.15 * (i / 255) ** 0.55))));

export const colourOf = (t, colours = PLAIN) => colours[Math.round(Math.min(Math.max(t, 0), 1) * 255)];
export const css = (colour) => `rgb(${colour})`;
export const gradient = (colours) => `linear-gradient(90deg, ${colours.filter((_, i) => i % 15 === 0).map(css).join(", ")})`;

// Black or white, whichever contrasts more: at least 4.58, by the relative luminance of WCAG.
export function inkOn(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}
