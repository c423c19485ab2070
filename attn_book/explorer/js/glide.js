// Colours glide to the new map, unless the reader asked for no motion.

export function glider(state, redraw, milliseconds = 140) {
  const motionless = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  function glide() {
    cancelAnimationFrame(frame);
    const { maps, shown } = state, map = state.map();
    const from = shown.slice(), goal = shown.map((_, key) => maps.value(map, key) / maps.top(map));
    const begin = performance.now();
    const step = (now) => {
      // the time of a frame may lie before begin
      const x = motionless.matches ? 1 : Math.min(Math.max((now - begin) / milliseconds, 0), 1);
      for (let key = 0; key < shown.length; key++) shown[key] = from[key] + x * (2 - x) * (goal[key] - from[key]);
      redraw();
      if (x < 1) frame = requestAnimationFrame(step);
    };
    step(begin);
  }
  return { glide, stop: () => cancelAnimationFrame(frame) };
}
