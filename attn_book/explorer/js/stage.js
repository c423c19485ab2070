// A canvas that keeps its shape, redraws crisply at any size, and answers to pointer, touch and keys.

import { h, set } from "./dom.js";
import { count, hit, moved, NOWHERE } from "./places.js";

// draw(ctx, size) paints it; hover(place) and press(place) tell what the reader does; keys move on from the place from().
// For a screen reader it is a slider over its places.
export function stage({ label, hint, aspect, places, draw, hover, press, from }) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const node = h("div", {
    class: "stage", tabindex: 0, role: "slider", style: `--aspect:${aspect}`,
    "aria-label": label, "aria-describedby": hint, "aria-valuemin": 1, "aria-valuemax": count(places), "aria-valuenow": 1,
  }, canvas);

  const redraw = () => {
    const size = { width: node.clientWidth, height: node.clientHeight };
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    const width = Math.round(size.width * ratio), height = Math.round(size.height * ratio);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, size.width, size.height);
    draw(ctx, size);
  };

  const at = (event) => {
    const box = node.getBoundingClientRect();
    return hit(places, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  const touch = (event) => event.pointerType === "touch";
  let pressed = false;
  const release = () => { pressed = false; };
  set(node, {
    onpointerdown: (event) => {
      if (event.button !== 0) return;
      pressed = true;
      if (!touch(event)) node.setPointerCapture(event.pointerId);
      press(at(event));
    },
    onpointermove: (event) => {
      if (pressed) press(at(event));
      else if (!touch(event)) hover(at(event));
    },
    onpointerup: release,
    onpointercancel: release,
    onlostpointercapture: release,
    onpointerleave: (event) => { if (!touch(event)) hover(NOWHERE); },
    onkeydown: (event) => {
      const next = event.key === "Escape" ? NOWHERE : moved(places, from(), event);
      if (next === undefined) return;
      event.preventDefault();
      press(next);
    },
  });
  const observer = new ResizeObserver(redraw);
  observer.observe(node);
  return { node, redraw, stop: () => observer.disconnect() };
}
