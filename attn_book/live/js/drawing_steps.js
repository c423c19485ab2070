// A drawing step by step: its pictures, the step that is seen, a slider to scrub through them, and a button that plays them.

import { selector } from "../../explorer/js/controls.js";
import { h } from "../../explorer/js/dom.js";
import { canvasOf } from "./pixels.js";

const PLAYED = 1400;  // ms that all steps take when they play
export const GUIDANCE = [0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5];

// show() displays the step that `at` says. Returns { at, node, button, goTo, pause, play }.
export function stepper(steps, show) {
  let playing;
  const scrub = selector("step", Array.from({ length: steps + 1 }, (_, step) => `${step} of ${steps}`), (step) => {
    pause();
    goTo(step);
  });
  const self = { at: steps, node: scrub.node, button: h("button", { type: "button", onclick: play }, "Play"), goTo, pause, play };

  function goTo(step) {
    self.at = step;
    scrub.show(step);
    show();
  }

  function pause() { clearInterval(playing); }

  // From noise to the end; at once where less motion is wanted.
  function play() {
    pause();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return goTo(steps);
    goTo(0);
    playing = setInterval(() => (self.at < steps ? goTo(self.at + 1) : pause()), PLAYED / steps);
  }

  scrub.show(steps);
  return self;
}

export const lightOf = (number, [dark, light]) => Math.min(Math.max((number - dark) / (light - dark), 0), 1);

// Canvases of pictures (n, side², channels), in one channel or three, whose numbers are dark and light at the ends of `range`.
export function canvasesOf(numbers, side, channels, range) {
  const size = side ** 2 * channels, picture = (n, i) => lightOf(numbers[n * size + Math.floor((i * channels) / 3)], range);
  return Array.from({ length: numbers.length / size }, (_, n) =>
    canvasOf(Float32Array.from({ length: 3 * side ** 2 }, (_, i) => picture(n, i)), side));
}
