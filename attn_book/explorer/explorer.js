// The explorer of the book: pick a query on the left, see what it attends to on the right.
// One ES module without dependencies: an anywidget in live Jupyter, inlined in the static page (see explorer.py).

// ---- numbers ---------------------------------------------------------------------------------------------------------

const VIRIDIS = "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725"
  .split(" ").map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));

function viridis(t) {
  const x = t * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(x), VIRIDIS.length - 2);
  return VIRIDIS[i].map((c, k) => c + (x - i) * (VIRIDIS[i + 1][k] - c));
}

// Colours for 0 to 1: as they are, and as light that is thrown on a picture, where 0 must be dark.
const PLAIN = Array.from({ length: 256 }, (_, i) => viridis(i / 255).map(Math.round));
const LIGHT = PLAIN.map((colour, i) => colour.map((c) => Math.round(c * Math.min(1, 1.15 * (i / 255) ** 0.55))));
const colourOf = (t, colours = PLAIN) => colours[Math.round(Math.min(Math.max(t, 0), 1) * 255)];
const gradient = (colours) => `linear-gradient(90deg, ${colours.filter((_, i) => i % 15 === 0).map((c) => `rgb(${c})`).join(", ")})`;

// Two or three digits, and never more than the stored steps can tell.
function format(value, step = 0) {
  if (value === 0) return "0";
  if (value < 0.0001) return value.toExponential(0);
  const digits = value >= 1 ? 3 : 2;
  const decimals = Math.max(digits - 1 - Math.floor(Math.log10(value)), 0);
  const told = step > 0 ? Math.max(Math.ceil(-Math.log10(step)), 0) : decimals;
  return String(Number(value.toFixed(Math.min(decimals, told))));
}

// All maps, unpacked from the blob of explorer.py: for each map its peak f4, effective keys f4, place of the peak u4;
// then the values of all maps in steps of their peak, u1 or u2.
class Maps {
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

// ---- places: a grid, boxes or words ----------------------------------------------------------------------------------

function count(places) {
  if (places.kind === "grid") return places.rows * places.cols;
  return (places.boxes || places.words).length;
}

const NOWHERE = -1;

function nameOf(places, i) {
  if (places.kind === "grid") return `row ${Math.floor(i / places.cols) + 1}, column ${(i % places.cols) + 1}`;
  return places.kind === "words" ? `“${places.words[i]}”` : `box ${i + 1}`;
}

// x0, y0, x1, y1 as fractions of the picture's sides
function boxOf(places, i) {
  if (places.kind === "boxes") return places.boxes[i];
  const row = Math.floor(i / places.cols), col = i % places.cols;
  return [col / places.cols, row / places.rows, (col + 1) / places.cols, (row + 1) / places.rows];
}

// The place under a point: the cell, or the smallest box around it.
function hit(places, x, y) {
  if (places.kind === "grid") {
    const clamp = (v, n) => Math.min(Math.max(Math.floor(v * n), 0), n - 1);
    return clamp(y, places.rows) * places.cols + clamp(x, places.cols);
  }
  const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
  const inside = ([x0, y0, x1, y1]) => x >= x0 && x <= x1 && y >= y0 && y <= y1;
  const under = places.boxes.flatMap((box, i) => (inside(box) ? [{ i, area: area(box) }] : []));
  return under.length ? under.reduce((a, b) => (b.area < a.area ? b : a)).i : NOWHERE;
}

// The place that a key press moves to, or undefined where the key has no meaning.
function moved(places, i, event) {
  const last = count(places) - 1;
  const cols = places.kind === "grid" ? places.cols : last + 1;
  const rows = places.kind === "grid" ? places.rows : 1;
  const row = Math.floor(i / cols), col = i % cols;
  const at = (r, c) => Math.min(Math.max(r, 0), rows - 1) * cols + Math.min(Math.max(c, 0), cols - 1);
  const page = Math.max(1, Math.round(rows / 4));
  const step = rows === 1 ? { up: at(0, col - 1), down: at(0, col + 1) } : { up: at(row - 1, col), down: at(row + 1, col) };
  return {
    ArrowLeft: at(row, col - 1), ArrowRight: at(row, col + 1), ArrowUp: step.up, ArrowDown: step.down,
    Home: event.ctrlKey || event.metaKey ? 0 : at(row, 0), End: event.ctrlKey || event.metaKey ? last : at(row, cols - 1),
    PageUp: at(row - page, col), PageDown: at(row + page, col),
  }[event.key];
}

// ---- DOM -------------------------------------------------------------------------------------------------------------

let serial = 0;

function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  set(node, props);
  node.append(...children.filter(Boolean));
  return node;
}

function set(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// Native radio buttons: one segmented control, or words to choose from.
function radios(options, onchange, labelled = () => ({})) {
  const group = `group${serial++}`;
  const inputs = options.map((_, i) => h("input", { type: "radio", name: group, onchange: () => onchange(i) }));
  const nodes = options.map((option, i) => h("label", labelled(i), inputs[i], h("span", {}, option)));
  return { nodes, show: (i) => { inputs[i].checked = true; } };
}

function segments(name, options, onchange, { quiet = false } = {}) {
  const { nodes, show } = radios(options, onchange);
  const legend = h("legend", { class: quiet ? "sr" : "name" }, name);
  return { node: h("fieldset", { class: quiet ? "quiet" : "control" }, legend, h("div", { class: "segments" }, ...nodes)), show };
}

function slider(name, options, onchange) {
  const told = h("output");
  const oninput = () => onchange(Number(input.value));
  const input = h("input", { type: "range", "aria-label": name, min: 0, max: options.length - 1, step: 1, oninput });
  const show = (i) => {
    input.value = i;
    told.textContent = options[i];
    input.setAttribute("aria-valuetext", options[i]);
  };
  return { node: h("label", { class: "control slider" }, h("span", { class: "name" }, name, told), input), show };
}

// Buttons for a few short options, a slider for more.
function selector(name, options, onchange) {
  const short = options.length <= 6 && options.join("").length <= 28;
  return (short ? segments : slider)(capital(name), options, onchange);
}

async function loaded(picture) {
  if (!picture) return null;
  const image = new Image();
  image.src = picture.url;
  await image.decode();
  return image;
}

// As the page says (the book's theme, JupyterLab, VS Code), or else as the reader's system does.
function pageTheme() {
  const { theme } = document.documentElement.dataset, { jpThemeLight } = document.body.dataset;
  if (theme === "dark" || theme === "light") return theme;
  if (jpThemeLight) return jpThemeLight === "false" ? "dark" : "light";
  if (/vscode-(dark|high-contrast)(?!-light)/.test(document.body.className)) return "dark";
  if (document.body.className.includes("vscode-")) return "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// ---- drawing ---------------------------------------------------------------------------------------------------------
// A rect is [x, y, width, height] in CSS pixels.

const QUERY = "#ff7a1a";
const FONT = "system-ui, sans-serif";
const inkOn = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff");

function rectOf(places, i, { width, height }) {
  const [x0, y0, x1, y1] = boxOf(places, i);
  return [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height];
}

// Strokes the path twice, so that it shows on any picture: dark and wide below, coloured above.
function stroke(ctx, colour, line, dash = []) {
  for (const [style, width, pattern] of [["rgba(0, 0, 0, .7)", line + 2.5, []], [colour, line, dash]]) {
    ctx.strokeStyle = style;
    ctx.lineWidth = width;
    ctx.setLineDash(pattern);
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

// Just inside a large rect, just around a small one, never over the edge of the canvas.
function outline(ctx, [x, y, wide, tall], colour, size, { line = 2.5, dash = [] } = {}) {
  const inset = wide > 24 ? line / 2 + 1 : -1, edge = line / 2 + 1;
  const left = Math.max(x + inset, edge), right = Math.min(x + wide - inset, size.width - edge);
  const above = Math.max(y + inset, edge), below = Math.min(y + tall - inset, size.height - edge);
  ctx.beginPath();
  ctx.roundRect(left, above, right - left, below - above, Math.min(5, (right - left) / 4));
  stroke(ctx, colour, line, dash);
}

function ring(ctx, [x, y, wide, tall]) {
  ctx.beginPath();
  ctx.arc(x + wide / 2, y + tall / 2, Math.min(Math.max(Math.min(wide, tall) * 0.7, 8), 40), 0, 2 * Math.PI);
  stroke(ctx, "#fff", 2);
}

function write(ctx, text, [x, y, wide, tall], colour, size, halo) {
  ctx.font = `600 ${size}px ${FONT}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  if (halo) {
    ctx.strokeStyle = halo;
    ctx.lineWidth = size / 4;
    ctx.lineJoin = "round";
    ctx.strokeText(text, x + wide / 2, y + tall / 2);
  }
  ctx.fillStyle = colour;
  ctx.fillText(text, x + wide / 2, y + tall / 2);
}

// A small label over a place, or under it where there is no room.
function tag(ctx, text, [x, y, wide, tall], size) {
  ctx.font = `600 12px ${FONT}`;
  const width = ctx.measureText(text).width + 12, height = 20, gap = 5;
  const left = Math.min(Math.max(x + wide / 2 - width / 2, 3), size.width - width - 3);
  const above = y - height - gap > 2 ? y - height - gap : Math.min(y + tall + gap, size.height - height - 3);
  ctx.fillStyle = "rgba(10, 14, 19, .9)";
  ctx.beginPath();
  ctx.roundRect(left, above, width, height, 5);
  ctx.fill();
  write(ctx, text, [left, above + 0.5, width, height], "#fff", 12);
}

function gridLines(ctx, { kind, rows, cols }, { width, height }) {
  if (kind !== "grid" || width / cols < 16 || height / rows < 16) return;
  ctx.fillStyle = "rgba(140, 140, 150, .3)";
  for (let col = 1; col < cols; col++) ctx.fillRect(Math.round((col * width) / cols), 0, 1, height);
  for (let row = 1; row < rows; row++) ctx.fillRect(0, Math.round((row * height) / rows), width, 1);
}

// Small pictures keep their pixels, photographs are smoothed.
function paint(ctx, image, { width, height }) {
  ctx.imageSmoothingEnabled = Math.max(image.width, image.height) > 64;
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(image, 0, 0, width, height);
}

// A canvas of the given pixels: f gets each [r, g, b, i] of the image scaled to that size, and returns its new colour.
function repainted(image, width, height, f) {
  const canvas = h("canvas", { width, height });
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  ctx.drawImage(image, 0, 0, width, height);
  const pixels = ctx.getImageData(0, 0, width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set(f([...pixels.data.subarray(4 * i, 4 * i + 3), i]), 4 * i);
  ctx.putImageData(pixels, 0, 0);
  return canvas;
}

// What a response is laid over: grey, and dark enough for light to show on it.
const dimmed = (image) => repainted(image, image.naturalWidth, image.naturalHeight, ([r, g, b]) => {
  const grey = 0.34 * (0.2126 * r + 0.7152 * g + 0.0722 * b);
  return [grey, grey, grey];
});

// ---- panes -----------------------------------------------------------------------------------------------------------
// Each is { node, redraw, stop }. They read `state`, and tell what the reader does through callbacks.

// A canvas that keeps its shape, redraws crisply at any size, and answers to pointer, touch and keys.
function stage({ label, hint, aspect, places, draw, hover, press, from }) {
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

function sourceStage(state, callbacks) {
  const { spec } = state, { queries, labels, source } = spec;
  const Q = count(queries);
  let means;  // the picture's mean colour under each cell

  function draw(ctx, size) {
    if (!state.source) return;
    paint(ctx, state.source, size);
    gridLines(ctx, queries, size);
    const now = state.now();
    if (queries.kind === "boxes") {
      for (let i = 0; i < Q; i++) outline(ctx, rectOf(queries, i, size), "rgba(255, 255, 255, .8)", size, { line: 1.25 });
      if (labels) tag(ctx, labels[now], rectOf(queries, now, size), size);
    } else if (labels && Q <= 64 && size.width / queries.cols >= 30) {
      if (!means) {
        means = [];
        repainted(state.source, queries.cols, queries.rows, ([r, g, b, i]) => (means[i] = [r, g, b]));
      }
      labels.forEach((label, i) => {
        const rect = rectOf(queries, i, size);
        write(ctx, label, rect, inkOn(means[i]), Math.min(rect[3] * 0.34, 22, (1.5 * rect[2]) / Math.max(label.length, 2)));
      });
    }
    const pinned = state.query();
    if (now !== pinned) outline(ctx, rectOf(queries, pinned, size), "rgba(255, 255, 255, .9)", size, { line: 1.5, dash: [3, 3] });
    outline(ctx, rectOf(queries, now, size), QUERY, size);
  }

  const aspect = source.width / source.height;
  return stage({ label: "Query", hint: "hint-source", aspect, places: queries, draw, from: state.query, ...callbacks });
}

function targetStage(state, callbacks) {
  const { spec } = state, { queries, keys } = spec;
  const M = count(keys);
  const picture = spec.target === "source" ? spec.source : spec.target;
  const aspect = picture ? picture.width / picture.height : keys.cols / keys.rows;

  function drawColours(ctx, size, colours) {
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
      ctx.fillStyle = `rgb(${colour})`;
      ctx.fillRect(...rectOf(keys, i, size));
    });
  }

  function draw(ctx, size) {
    if (!state.maps) return;
    const { maps } = state, map = state.map(), overlay = state.overlay();
    const colours = Array.from(state.shown, (t) => colourOf(t, overlay ? LIGHT : PLAIN));
    if (overlay) {  // as light thrown on a dim picture: more weight is always brighter
      paint(ctx, state.dimmed, size);
      ctx.globalCompositeOperation = "screen";
    } else {
      ctx.fillStyle = "#15151c";
      ctx.fillRect(0, 0, size.width, size.height);
    }
    drawColours(ctx, size, colours);
    ctx.globalCompositeOperation = "source-over";
    if (keys.kind === "boxes") {
      colours.forEach((colour, i) => outline(ctx, rectOf(keys, i, size), `rgb(${colour})`, size, { line: 1.5 }));
    }
    gridLines(ctx, keys, size);

    const numbers = keys.kind === "grid" && M <= (overlay ? 16 : 36) && size.width / keys.cols >= 40;
    for (let i = 0; numbers && i < M; i++) {
      const rect = rectOf(keys, i, size), ink = inkOn(colours[i]);
      const text = maps.value(map, i).toFixed(maps.top(map) >= 10 ? 1 : rect[2] >= 58 ? 3 : 2);
      write(ctx, text, rect, ink, Math.min(rect[2] * 0.25, 19), overlay && ink === "#fff" && "rgba(0, 0, 0, .6)");
    }

    if (spec.target === "source") outline(ctx, rectOf(queries, state.now(), size), QUERY, size, { line: 2, dash: [4, 3] });
    const best = rectOf(keys, maps.best[map], size);
    if (keys.kind === "grid" && best[2] > 24) outline(ctx, best, "#fff", size);
    else ring(ctx, best);
    if (state.probe === null) return;
    const rect = rectOf(keys, state.probe, size);
    outline(ctx, rect, "#fff", size, { line: 1.5 });
    if (!numbers) tag(ctx, format(maps.value(map, state.probe), maps.step(map)), rect, size);
  }

  const from = () => state.probe ?? state.maps.best[state.map()];
  return stage({ label: "Response", hint: "hint-target", aspect, places: keys, draw, from, ...callbacks });
}

function sourceWords(state, { hover, press }) {
  const { nodes, show } = radios(state.spec.queries.words, press, (i) => ({
    onpointerenter: (event) => { if (event.pointerType === "mouse") hover(i); },
    onpointerleave: () => hover(NOWHERE),
  }));
  const node = h("div", { class: "words", role: "radiogroup", "aria-label": "Query" }, ...nodes);
  return { node, redraw: () => show(state.query()), stop: () => {} };
}

function targetWords(state) {
  const rows = state.spec.keys.words.map((word) => {
    const bar = h("span", { class: "bar" }), value = h("span", { class: "value" });
    return { bar, value, node: h("li", {}, h("span", { class: "word" }, word), h("span", { class: "track" }, bar), value) };
  });
  const redraw = () => {
    if (!state.maps) return;
    const { maps } = state, map = state.map();
    rows.forEach(({ node, bar, value }, i) => {
      const t = state.shown[i];
      bar.style.width = `${100 * t}%`;
      bar.style.background = `rgb(${colourOf(0.25 + 0.65 * t)})`;
      value.textContent = maps.value(map, i).toFixed(maps.top(map) >= 10 ? 1 : 3);
      node.classList.toggle("best", maps.best[map] === i);
    });
  };
  return { node: h("ul", { class: "bars" }, ...rows.map(({ node }) => node)), redraw, stop: () => {} };
}

// ---- the view --------------------------------------------------------------------------------------------------------

function render({ model, el }) {
  const spec = model.get("_spec");
  const { queries, keys, selectors } = spec;
  const fromWords = queries.kind === "words", toWords = keys.kind === "words";
  const stops = [];

  // What is shown. What the reader chose lives in the model alone: query, choice, view.
  const state = {
    spec,
    maps: null,
    source: null,  // the picture that queries are picked from
    dimmed: null,  // the picture under the response
    preview: null,  // the query under the pointer
    probe: null,  // the key under the pointer, or the one that arrow keys read
    shown: new Float32Array(count(keys)),  // the colours on their way: 0 to 1
    query: () => model.get("query"),
    now: () => state.preview ?? state.query(),
    map: () => state.maps.index(model.get("choice"), state.now()),
    overlay: () => model.get("view") === "overlay" && state.dimmed !== null,
  };

  function change(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  // -- parts

  const source = (fromWords ? sourceWords : sourceStage)(state, {
    hover: (query) => peek(query === NOWHERE ? null : query),
    press: (query) => {
      if (query === NOWHERE) return;
      peek(null);
      if (query !== state.query()) change("query", query);
    },
  });
  const look = (key) => {
    state.probe = key === NOWHERE ? null : key;
    target.redraw();
    readout();
  };
  const target = toWords ? targetWords(state) : targetStage(state, { hover: look, press: look });
  if (!toWords) target.node.addEventListener("blur", () => look(NOWHERE));

  const controls = selectors.map(([name, options]) =>
    selector(name, options, (i) => change("choice", { ...model.get("choice"), [name]: options[i] })));
  const views = ["overlay", "map"];
  const toggle = spec.target && !toWords
    ? segments("Show", views.map(capital), (i) => change("view", views[i]), { quiet: true })
    : null;

  const where = h("span", { class: "where" });
  const strongest = h("dd"), effective = h("dd"), probed = h("dd");
  const spread = h("div", {}, h("dt", {}, "Effective keys"), effective);
  const tick = h("span", { class: "tick" }), ramp = h("span", { class: "ramp" }, tick), most = h("span");
  const status = h("p", { class: "sr", role: "status", "aria-live": "polite" });
  const hint = fromWords ? "Point at a word to preview; click to choose." : "Point to preview; click or arrow keys choose.";
  const name = spec.title ? { "aria-labelledby": "title" } : { "aria-label": "Explorer" };
  const card = h("section", { class: "card", role: "group", ...name },
    spec.title && h("p", { class: "title", id: "title" }, spec.title),
    spec.caption && h("p", { class: "caption" }, spec.caption),
    controls.length && h("div", { class: "controls" }, ...controls.map(({ node }) => node)),
    h("div", { class: `panes ${fromWords ? "words" : "picture"}-${toWords ? "words" : "picture"}` },
      h("div", { class: "pane source" }, h("div", { class: "head" }, h("b", {}, "Query"), where), source.node),
      h("div", { class: "pane target" }, h("div", { class: "head" }, h("b", {}, "Response"), toggle?.node), target.node),
      h("p", { class: "hint", id: "hint-source" }, hint),
      h("div", { class: "legend", "aria-hidden": "true" }, h("b", {}, capital(spec.value_label)), h("span", {}, "0"), ramp, most),
      h("dl", {},
        h("div", { class: "strongest" }, h("dt", {}, "Strongest"), strongest),
        spread,
        !toWords && h("div", { class: "probe" }, h("dt", {}, "Under the pointer"), probed))),
    h("p", { class: "sr", id: "hint-target" }, "Arrow keys read the response place by place, Escape returns to the strongest."),
    status);
  card.addEventListener("keydown", (event) => {  // our keys are not for the page or the notebook around
    if (event.key !== "Tab" && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });

  // -- showing

  const queryName = (query) => (spec.labels ? spec.labels[query] : nameOf(queries, query));
  const figures = (value, place) => [h("b", {}, value), " ", h("span", {}, place)];

  function peek(query) {
    if (query === state.preview) return;
    state.preview = query;
    refresh();
  }

  function readout() {
    const { maps, probe } = state;
    if (!maps) return;
    const map = state.map(), best = maps.best[map];
    const told = (key) => format(maps.value(map, key), maps.step(map));
    where.textContent = queryName(state.now());
    strongest.replaceChildren(...figures(format(maps.peak[map]), nameOf(keys, best)));
    spread.hidden = !maps.distribution;
    effective.replaceChildren(...figures(format(Number(maps.effective[map].toPrecision(3))), `of ${maps.keys}`));
    probed.replaceChildren(...(probe === null ? ["–"] : figures(told(probe), nameOf(keys, probe))));
    ramp.style.background = gradient(state.overlay() ? LIGHT : PLAIN);
    most.textContent = format(maps.top(map));
    tick.hidden = probe === null;
    if (probe !== null) tick.style.left = `${(100 * maps.value(map, probe)) / maps.top(map)}%`;
    if (!fromWords) set(source.node, { "aria-valuenow": state.query() + 1, "aria-valuetext": queryName(state.query()) });
    if (!toWords) {
      const text = `${nameOf(keys, probe ?? best)}: ${spec.value_label} ${told(probe ?? best)}`;
      set(target.node, { "aria-valuenow": (probe ?? best) + 1, "aria-valuetext": probe === null ? `${text}, the strongest` : text });
    }
  }

  // Colours glide to the new map, unless the reader asked for no motion.
  const motionless = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  function glide(milliseconds = 140) {
    cancelAnimationFrame(frame);
    const { maps, shown } = state, map = state.map();
    const from = shown.slice(), goal = shown.map((_, key) => maps.value(map, key) / maps.top(map));
    const begin = performance.now();
    const step = (now) => {
      // the time of a frame may lie before begin
      const x = motionless.matches ? 1 : Math.min(Math.max((now - begin) / milliseconds, 0), 1);
      for (let key = 0; key < shown.length; key++) shown[key] = from[key] + x * (2 - x) * (goal[key] - from[key]);
      target.redraw();
      if (x < 1) frame = requestAnimationFrame(step);
    };
    step(begin);
  }

  function refresh() {
    if (!state.maps) return;
    source.redraw();
    readout();
    glide();
  }

  // Tells a screen reader what is seen, once the reader has settled.
  let speaking = 0;
  function announce(opening = "") {
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      const { maps } = state, map = maps.index(model.get("choice"), state.query());
      const seen = `strongest at ${nameOf(keys, maps.best[map])}, ${spec.value_label} ${format(maps.peak[map])}`;
      status.textContent = `${opening}query ${queryName(state.query())}; ${seen}`;
    }, 250);
  }

  // -- following the model: the reader's own changes and the kernel's come in alike

  function follow(name, f) {
    model.on(`change:${name}`, f);
    stops.push(() => model.off(`change:${name}`, f));
  }
  const showChoice = () => selectors.forEach(([name, options], i) => controls[i].show(options.indexOf(model.get("choice")[name])));
  const showView = () => toggle?.show(views.indexOf(model.get("view")));
  follow("query", () => { state.preview = null; refresh(); announce(); });
  follow("choice", () => {
    showChoice();
    refresh();
    announce(selectors.map(([name]) => `${name} ${model.get("choice")[name]}; `).join(""));
  });
  follow("view", () => { showView(); readout(); target.redraw(); });
  follow("_data", load);
  showChoice();
  showView();

  let loads = 0;
  async function load() {
    const turn = ++loads;
    const maps = await Maps.unpack(model.get("_data"), model.get("_spec"));
    if (turn !== loads) return;  // newer maps came meanwhile
    state.maps = maps;
    refresh();
  }

  async function start() {
    state.source = await loaded(spec.source);
    const under = spec.target === "source" ? state.source : await loaded(spec.target);
    state.dimmed = under && dimmed(under);
    await load();
    host.dataset.ready = "";
  }

  // -- on the page

  const host = h("div", { "data-lm-suppress-shortcuts": "true" });  // arrow keys are ours, not JupyterLab's
  host.attachShadow({ mode: "open" }).append(h("style", {}, CSS), card);
  el.style.cssText += "width:100%;min-width:0";
  el.replaceChildren(host);
  const theme = () => { host.dataset.theme = pageTheme(); };
  const watcher = new MutationObserver(theme);
  for (const node of [document.documentElement, document.body]) watcher.observe(node, { attributes: true });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", theme);
  theme();
  start().catch((error) => {
    status.className = "caption";
    status.textContent = `This figure could not be shown: ${error.message}`;
  });

  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(speaking);
    watcher.disconnect();
    scheme.removeEventListener("change", theme);
    for (const stop of [...stops, source.stop, target.stop]) stop();
  };
}

// On the static page: the figure takes the place of its still, and of the light box that the theme puts behind outputs.
function mountStatic({ model, el }) {
  const box = el.closest(".text_html");
  if (box) box.style.cssText += "background:none;padding:0;overflow:visible";
  render({ model, el });
}

const CSS = `
:host {
  --surface: #ffffff; --ink: #1d2733; --soft: #566373; --line: #dfe4ea; --well: #eff2f5; --raised: #ffffff;
  --accent: #00619a; --query: #b34e00; --on-query: #ffffff;
  display: block; container-type: inline-size; contain-intrinsic-inline-size: 18rem; color-scheme: light;
}
:host([data-theme="dark"]) {
  --surface: #171f28; --ink: #e4eaf0; --soft: #a3b1be; --line: #303c48; --well: #232e3a; --raised: #415063;
  --accent: #6cbcec; --query: #ff8a3d; --on-query: #1a0f05;
  color-scheme: dark;
}
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.card {
  margin: 0; padding: 1.1rem 1.2rem .9rem; border: 1px solid var(--line); border-radius: 14px; background: var(--surface);
  color: var(--ink);
  font: 400 .9rem/1.45 var(--pst-font-family-base, var(--jp-ui-font-family, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif));
  text-align: left;
}
p, dl, dd, ul, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
.title { font-size: 1.1rem; font-weight: 650; line-height: 1.3; text-wrap: balance; }
.caption { margin-top: .2rem; color: var(--soft); max-width: 80ch; text-wrap: pretty; }
.controls { display: flex; flex-wrap: wrap; gap: .7rem 1.4rem; margin-top: .9rem; }
.name, .head b, dt, .legend b { font-size: .76rem; font-weight: 600; letter-spacing: .02em; color: var(--soft); padding: 0; }
.segments {
  display: flex; flex-wrap: wrap; margin-top: .25rem; padding: 3px; border-radius: 10px; background: var(--well);
  width: fit-content;
}
.segments label, .words label { position: relative; cursor: pointer; }
.segments input, .words input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.segments span {
  display: grid; place-items: center; min-width: 2.3rem; min-height: 1.9rem; padding: 0 .7rem; border-radius: 8px;
  font-variant-numeric: tabular-nums;
}
.segments input:checked + span {
  background: var(--raised); font-weight: 600; box-shadow: 0 0 0 1px rgb(0 0 0 / .06), 0 1px 3px rgb(0 0 0 / .16);
}
.segments input:focus-visible + span, .words input:focus-visible + span, .stage:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px;
}
.slider { flex: 1 1 11rem; max-width: 20rem; }
.slider .name { display: flex; justify-content: space-between; }
output { color: var(--ink); font-variant-numeric: tabular-nums; }
input[type="range"] { width: 100%; height: 1.9rem; margin: .25rem 0 0; accent-color: var(--accent); }
.quiet .segments { margin: 0; padding: 2px; border-radius: 8px; }
.quiet .segments span { min-height: 1.45rem; padding: 0 .55rem; border-radius: 6px; font-size: .76rem; }
.panes {
  display: grid; grid-template: "source target" auto "hint legend" auto "stats stats" auto / 1fr 1fr; gap: .75rem 1.25rem;
  margin-top: 1rem;
}
.panes.words-picture {
  grid-template: "source target" auto "stats target" auto "legend target" auto "hint target" 1fr / minmax(9rem, 2fr) 3fr;
}
.panes.picture-words { grid-template: "source target" auto "source stats" 1fr "hint hint" auto / 1fr 1fr; }
.panes.words-words { grid-template: "source target" auto "hint stats" auto / 1fr 1fr; }
.source { grid-area: source; } .target { grid-area: target; } .hint { grid-area: hint; } .legend { grid-area: legend; } dl { grid-area: stats; }
.picture-words .legend, .words-words .legend { display: none; }
.pane { min-width: 0; display: flex; flex-direction: column; }
.head { display: flex; gap: .6rem; align-items: center; margin-bottom: .45rem; min-height: 1.75rem; }
.head .where {
  font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
}
.head .quiet { margin-left: auto; }
.source .head b::before, .strongest dt::before {
  content: ""; display: inline-block; width: .72em; height: .72em; margin-right: .45em; border: 2px solid #ff7a1a;
  border-radius: 3px;
}
.strongest dt::before { border-color: var(--ink); border-radius: 50%; }
.stage {
  position: relative; width: 100%; max-width: calc(28rem * var(--aspect)); aspect-ratio: var(--aspect); border-radius: 8px;
  cursor: crosshair; touch-action: pan-y pinch-zoom; background: var(--well); user-select: none; -webkit-user-select: none;
}
.stage::after {
  content: ""; position: absolute; inset: 0; border-radius: inherit; box-shadow: inset 0 0 0 1px rgb(128 128 128 / .28);
  pointer-events: none;
}
canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; border-radius: inherit; }
.words { display: flex; flex-wrap: wrap; gap: .4rem; }
.words span { display: block; padding: .35rem .8rem; border-radius: 999px; background: var(--well); }
.words label:hover span { box-shadow: inset 0 0 0 1.5px var(--query); }
.words input:checked + span { background: var(--query); color: var(--on-query); font-weight: 600; }
.bars { list-style: none; display: grid; grid-template-columns: minmax(3rem, auto) 1fr auto; gap: .45rem .75rem; }
.bars li { display: grid; grid-template-columns: subgrid; grid-column: 1 / -1; align-items: center; }
.bars .word { overflow-wrap: anywhere; max-width: 9rem; }
.bars .track { height: 1.15rem; border-radius: 4px; background: var(--well); overflow: hidden; }
.bars .bar { display: block; height: 100%; border-radius: 0 3px 3px 0; }
.bars .value { text-align: right; font-variant-numeric: tabular-nums; }
.bars .best .word, .bars .best .value { font-weight: 650; }
.legend {
  display: flex; align-items: center; gap: .5rem; font-size: .8rem; font-variant-numeric: tabular-nums; align-self: start;
}
.ramp { position: relative; flex: 1; height: .65rem; border-radius: 3px; }
.tick {
  position: absolute; top: -3px; bottom: -3px; width: 3px; margin-left: -1.5px; background: var(--ink);
  box-shadow: 0 0 0 1.5px var(--surface); border-radius: 2px;
}
dl {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(9.5rem, 100%), 1fr)); gap: .6rem 1rem;
  padding-top: .75rem; border-top: 1px solid var(--line); align-self: start;
}
dd { min-height: 1.75rem; font-size: .84rem; color: var(--soft); font-variant-numeric: tabular-nums; }
dd span { white-space: nowrap; }
dd b { font-size: 1.12rem; font-weight: 650; color: var(--ink); margin-right: .15rem; }
.hint { font-size: .78rem; color: var(--soft); }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@container (max-width: 520px) {
  .card { padding: .9rem .85rem .8rem; }
  .panes, .panes.words-picture, .panes.picture-words, .panes.words-words {
    grid-template: "source" "target" "legend" "stats" "hint" / minmax(0, 1fr); gap: .7rem;
  }
  .stage { margin-inline: auto; max-width: calc(22rem * var(--aspect)); }
  dl { grid-template-columns: repeat(2, 1fr); }
  .probe { grid-column: 1 / -1; }
}
@media (pointer: coarse) {
  .control .segments span, .words span { min-height: 2.75rem; display: grid; place-items: center; min-width: 2.75rem; }
}
@media (prefers-reduced-motion: no-preference) {
  .segments span, .words span { transition: background-color .15s, box-shadow .15s; }
}
@media (forced-colors: active) { .segments input:checked + span, .words input:checked + span { outline: 2px solid Highlight; } }
`;
export default { render };
