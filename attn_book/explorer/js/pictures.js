// The two panes where queries or keys lie on a picture. Panes read the state and are { node, redraw, stop }.

import { colourOf, css, inkOn, LIGHT, PLAIN, QUERY } from "./colours.js";
import { h } from "./dom.js";
import { gridLines, outline, paint, rectOf, repainted, ring, tag, write } from "./drawing.js";
import { fixed, format } from "./maps.js";
import { count } from "./places.js";
import { stage } from "./stage.js";

export function sourcePicture(state, callbacks) {
  const { queries, labels, source } = state.spec;
  const Q = count(queries);
  let means;  // the picture's mean colour under each cell

  function writeLabels(ctx, size) {
    if (!means) {
      means = [];
      repainted(state.source, queries.cols, queries.rows, ([r, g, b, i]) => (means[i] = [r, g, b]));
    }
    labels.forEach((label, i) => {
      const rect = rectOf(queries, i, size);
      write(ctx, label, rect, inkOn(means[i]), Math.min(rect[3] * 0.34, 22, (1.5 * rect[2]) / Math.max(label.length, 2)));
    });
  }

  function draw(ctx, size) {
    if (!state.source) return;
    paint(ctx, state.source, size);
    gridLines(ctx, queries, size);
    const now = state.now(), pinned = state.query();
    if (queries.kind === "boxes") {
      for (let i = 0; i < Q; i++) outline(ctx, rectOf(queries, i, size), "rgba(255, 255, 255, .8)", size, { line: 1.25 });
      if (labels) tag(ctx, labels[now], rectOf(queries, now, size), size);
    } else if (labels && Q <= 64 && size.width / queries.cols >= 30) {
      writeLabels(ctx, size);
    }
    if (now !== pinned) outline(ctx, rectOf(queries, pinned, size), "rgba(255, 255, 255, .9)", size, { line: 1.5, dash: [3, 3] });
    outline(ctx, rectOf(queries, now, size), QUERY, size);
  }

  const aspect = source.width / source.height;
  return stage({ label: "Query", hint: "hint-source", aspect, places: queries, draw, from: state.query, ...callbacks });
}

export function targetPicture(state, callbacks) {
  const { spec } = state, { queries, keys } = spec;
  const M = count(keys);
  const picture = spec.target === "source" ? spec.source : spec.target;
  const aspect = picture ? picture.width / picture.height : keys.cols / keys.rows;

  function paintKeys(ctx, size, colours) {
    if (keys.kind === "grid") {
      const image = new ImageData(keys.cols, keys.rows);
      colours.forEach((colour, i) => image.data.set([...colour, 255], 4 * i));
      const cells = h("canvas", { width: keys.cols, height: keys.rows });
      cells.getContext("2d").putImageData(image, 0, 0);
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(cells, 0, 0, size.width, size.height);
      return;
    }
    colours.forEach((colour, i) => {
      ctx.fillStyle = css(colour);
      ctx.fillRect(...rectOf(keys, i, size));
    });
  }

  function paintResponse(ctx, size, colours, overlay) {
    if (overlay) {  // as light thrown on a dim picture: more weight is always brighter
      paint(ctx, state.dimmed, size);
      ctx.globalCompositeOperation = "screen";
    } else {
      ctx.fillStyle = "#15151c";
      ctx.fillRect(0, 0, size.width, size.height);
    }
    paintKeys(ctx, size, colours);
    ctx.globalCompositeOperation = "source-over";
    if (keys.kind === "boxes") {
      colours.forEach((colour, i) => outline(ctx, rectOf(keys, i, size), css(colour), size, { line: 1.5 }));
    }
    gridLines(ctx, keys, size);
  }

  function writeValues(ctx, size, colours, overlay) {
    const { maps } = state, map = state.map();
    colours.forEach((colour, i) => {
      const rect = rectOf(keys, i, size), ink = inkOn(colour);
      const text = fixed(maps.value(map, i), maps.top(map), rect[2] >= 58 ? 3 : 2);
      write(ctx, text, rect, ink, Math.min(rect[2] * 0.25, 19), overlay && ink === "#fff" && "rgba(0, 0, 0, .6)");
    });
  }

  function draw(ctx, size) {
    if (!state.maps) return;
    const { maps } = state, map = state.map(), overlay = state.overlay();
    const colours = Array.from(state.shown, (t) => colourOf(t, overlay ? LIGHT : PLAIN));
    const numbers = keys.kind === "grid" && M <= (overlay ? 16 : 36) && size.width / keys.cols >= 40;
    paintResponse(ctx, size, colours, overlay);
    if (numbers) writeValues(ctx, size, colours, overlay);
    if (spec.target === "source") outline(ctx, rectOf(queries, state.now(), size), QUERY, size, { line: 2, dash: [4, 3] });
    const best = rectOf(keys, maps.best[map], size);
    if (keys.kind === "grid" && best[2] > 24) outline(ctx, best, "#fff", size);
    else ring(ctx, best);
    if (state.probe === null) return;
    const probed = rectOf(keys, state.probe, size);
    outline(ctx, probed, "#fff", size, { line: 1.5 });
    if (!numbers) tag(ctx, format(maps.value(map, state.probe), maps.step(map)), probed, size);
  }

  const from = () => state.probe ?? state.maps.best[state.map()];
  return stage({ label: "Response", hint: "hint-target", aspect, places: keys, draw, from, ...callbacks });
}
