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

async function inflate(view) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// The blob of explorer.py, for each map: peak f4, effective keys f4, place of the peak u4; then all values, u1 or u2.
async function unpack(view, spec) {
  const buffer = await inflate(view);
  const M = count(spec.keys);
  const maps = spec.selectors.reduce((n, [, options]) => n * options.length, count(spec.queries));
  const Codes = spec.levels < 256 ? Uint8Array : Uint16Array;
  const data = {
    peak: new Float32Array(buffer, 0, maps),
    effective: new Float32Array(buffer, 4 * maps, maps),
    best: new Uint32Array(buffer, 8 * maps, maps),
    codes: new Codes(buffer, 12 * maps, maps * M),
  };
  data.top = data.peak.reduce((a, b) => Math.max(a, b), 0);
  return data;
}

// ---- places: a grid, boxes or words ----------------------------------------------------------------------------------

function count(places) {
  if (places.kind === "grid") return places.rows * places.cols;
  return (places.boxes || places.words).length;
}

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

function hit(places, x, y) {
  if (places.kind === "grid") {
    const clamp = (v, n) => Math.min(Math.max(Math.floor(v * n), 0), n - 1);
    return clamp(y, places.rows) * places.cols + clamp(x, places.cols);
  }
  const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
  const inside = places.boxes.map((box, i) => [box, i]).filter(([[x0, y0, x1, y1]]) => x >= x0 && x <= x1 && y >= y0 && y <= y1);
  return inside.length ? inside.reduce((a, b) => (area(b[0]) < area(a[0]) ? b : a))[1] : -1;
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
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") node.style.cssText = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// A group of native radio buttons that look like one segmented control.
function segments(name, options, chosen, onchange, quiet = false) {
  const group = `g${serial++}`;
  const inputs = options.map((option, i) => h("input", { type: "radio", name: group, value: i, onchange: () => onchange(i) }));
  const node = h("fieldset", { class: quiet ? "quiet" : "control" }, h("legend", { class: quiet ? "sr" : "name" }, name),
    h("div", { class: "segments" }, ...options.map((option, i) => h("label", {}, inputs[i], h("span", {}, option)))));
  const set = (i) => { inputs[i].checked = true; };
  set(chosen);
  return { node, set };
}

function slider(name, options, chosen, onchange) {
  const told = h("output", {});
  const input = h("input", { type: "range", "aria-label": name, min: 0, max: options.length - 1, step: 1, oninput: () => { show(); onchange(Number(input.value)); } });
  const show = () => {
    told.textContent = options[input.value];
    input.setAttribute("aria-valuetext", options[input.value]);
    input.style.setProperty("--filled", `${(100 * input.value) / Math.max(options.length - 1, 1)}%`);
  };
  const set = (i) => { input.value = i; show(); };
  set(chosen);
  return { node: h("label", { class: "control slider" }, h("span", { class: "name" }, name, told), input), set };
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function selector(name, options, chosen, onchange) {
  const short = options.length <= 6 && options.join("").length <= 28;
  return (short ? segments : slider)(capital(name), options, chosen, onchange);
}

function loaded(picture) {
  if (!picture) return Promise.resolve(null);
  const image = new Image();
  image.src = picture.url;
  return image.decode().then(() => image);
}

function pageTheme() {
  const root = document.documentElement.dataset.theme;
  if (root === "dark" || root === "light") return root;
  const lab = document.body.dataset.jpThemeLight;
  if (lab !== undefined) return lab === "false" ? "dark" : "light";
  if (document.body.className.includes("vscode-")) return document.body.className.includes("vscode-light") ? "light" : "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// ---- drawing ---------------------------------------------------------------------------------------------------------

// A canvas that keeps the shape of what it shows and redraws, crisp, at any size.
function stage(aspect, draw, label, describe) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const node = h("div", {
    class: "stage", tabindex: 0, role: "slider", "aria-label": label, "aria-describedby": describe,
    style: `--aspect:${aspect}`,
  }, canvas);
  const redraw = () => {
    const { clientWidth: width, clientHeight: height } = node;
    if (!width || !height) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    const [w, hh] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== hh) Object.assign(canvas, { width: w, height: hh });
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, width, height);
    draw(ctx, width, height);
  };
  const observer = new ResizeObserver(redraw);
  observer.observe(node);
  return { node, redraw, stop: () => observer.disconnect() };
}

function rectOf(places, i, width, height) {
  const [x0, y0, x1, y1] = boxOf(places, i);
  return [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height];
}

// Strokes the path twice, so that it shows on any picture: dark and wide below, coloured above.
function stroke(ctx, colour, line, dash = []) {
  ctx.strokeStyle = "rgba(0, 0, 0, .7)";
  ctx.lineWidth = line + 2.5;
  ctx.setLineDash([]);
  ctx.stroke();
  ctx.strokeStyle = colour;
  ctx.lineWidth = line;
  ctx.setLineDash(dash);
  ctx.stroke();
  ctx.setLineDash([]);
}

// Round the rectangle where it is small, just inside where it is large, never over the edge of the stage.
function outline(ctx, rect, colour, { line = 2.5, dash = [] } = {}) {
  const stageBox = ctx.canvas.getBoundingClientRect();
  const inset = rect[2] > 24 ? line / 2 + 1 : -1, edge = line / 2 + 1;
  const x0 = Math.max(rect[0] + inset, edge), y0 = Math.max(rect[1] + inset, edge);
  const x1 = Math.min(rect[0] + rect[2] - inset, stageBox.width - edge), y1 = Math.min(rect[1] + rect[3] - inset, stageBox.height - edge);
  ctx.beginPath();
  ctx.roundRect(x0, y0, x1 - x0, y1 - y0, Math.min(5, (x1 - x0) / 4));
  stroke(ctx, colour, line, dash);
}

function ring(ctx, rect) {
  const [x, y, w, hh] = rect;
  ctx.beginPath();
  ctx.arc(x + w / 2, y + hh / 2, Math.min(Math.max(Math.min(w, hh) * 0.7, 8), 40), 0, 2 * Math.PI);
  stroke(ctx, "#fff", 2);
}

// A small label over a place, or under it where there is no room.
function tag(ctx, text, [x, y, w, hh], width) {
  ctx.font = "600 12px system-ui, sans-serif";
  const wide = ctx.measureText(text).width + 12, tall = 20;
  const left = Math.min(Math.max(x + w / 2 - wide / 2, 3), width - wide - 3);
  const top = y - tall - 5 > 2 ? y - tall - 5 : y + hh + 5;
  ctx.fillStyle = "rgba(10, 11, 15, .88)";
  ctx.beginPath();
  ctx.roundRect(left, top, wide, tall, 5);
  ctx.fill();
  write(ctx, text, [left, top + 0.5, wide, tall], "#fff", 12);
}

function gridLines(ctx, places, width, height) {
  if (places.kind !== "grid" || width / places.cols < 16 || height / places.rows < 16) return;
  ctx.strokeStyle = "rgba(140, 140, 150, .3)";
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let c = 1; c < places.cols; c++) { const x = Math.round((c * width) / places.cols) + 0.5; ctx.moveTo(x, 0); ctx.lineTo(x, height); }
  for (let r = 1; r < places.rows; r++) { const y = Math.round((r * height) / places.rows) + 0.5; ctx.moveTo(0, y); ctx.lineTo(width, y); }
  ctx.stroke();
}

function paint(ctx, image, width, height) {
  ctx.imageSmoothingEnabled = Math.max(image.naturalWidth, image.naturalHeight) > 64;
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(image, 0, 0, width, height);
}

function write(ctx, text, [x, y, w, hh], colour, size, halo) {
  ctx.font = `600 ${size}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  if (halo) {
    ctx.strokeStyle = halo;
    ctx.lineWidth = size / 4;
    ctx.lineJoin = "round";
    ctx.strokeText(text, x + w / 2, y + hh / 2);
  }
  ctx.fillStyle = colour;
  ctx.fillText(text, x + w / 2, y + hh / 2);
}

const inkOn = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff");
const QUERY = "#ff7a1a";

// ---- the view --------------------------------------------------------------------------------------------------------

function render({ model, el }) {
  const spec = { ...model.get("_spec") };
  const host = h("div", { "data-lm-suppress-shortcuts": "true" });  // the arrow keys are ours, not JupyterLab's
  el.replaceChildren(host);
  el.style.cssText += "width:100%;min-width:0";
  const root = host.attachShadow({ mode: "open" });
  const { queries, keys, selectors } = spec;
  const Q = count(queries), M = count(keys);
  const samePlaces = spec.target === "source" && keys.kind !== "words";
  const hasPicture = Boolean(spec.target);
  const ui = { query: model.get("query"), preview: null, probe: null, data: null, shown: new Float32Array(M), source: null, target: null, view: model.get("view") };
  ui.choice = selectors.map(([name, options]) => Math.max(options.indexOf(model.get("choice")[name]), 0));
  const cleanups = [];

  const queryNow = () => ui.preview ?? ui.query;
  const mapIndex = (query) => selectors.reduce((index, [, options], i) => index * options.length + ui.choice[i], 0) * Q + query;
  const top = (map) => (spec.scale === "shared" ? ui.data.top : ui.data.peak[map]) || 1;
  const stepOf = (map) => ui.data.peak[map] / spec.levels;
  const valueOf = (map, key) => (ui.data.codes[map * M + key] / spec.levels) * ui.data.peak[map];
  const queryName = (i) => (spec.labels ? spec.labels[i] : nameOf(queries, i));

  // -- drawing the two panes

  function drawSource(ctx, width, height) {
    if (ui.source) paint(ctx, ui.source, width, height);
    gridLines(ctx, queries, width, height);
    const now = queryNow();
    if (queries.kind === "boxes") for (let i = 0; i < Q; i++) if (i !== now) outline(ctx, rectOf(queries, i, width, height), "rgba(255, 255, 255, .8)", { line: 1.25 });
    if (ui.source && queries.kind === "grid" && spec.labels && Q <= 64 && width / queries.cols >= 30) {
      for (let i = 0; i < Q; i++) {
        const rect = rectOf(queries, i, width, height);
        write(ctx, spec.labels[i], rect, inkOn(pixelUnder(i)), Math.min(rect[3] * 0.34, 22, (1.5 * rect[2]) / Math.max(spec.labels[i].length, 2)));
      }
    }
    if (ui.preview !== null && ui.preview !== ui.query) outline(ctx, rectOf(queries, ui.query, width, height), "rgba(255, 255, 255, .9)", { line: 1.5, dash: [3, 3] });
    outline(ctx, rectOf(queries, now, width, height), QUERY);
  }

  function pixelUnder(i) {
    if (!ui.average) {
      const canvas = h("canvas", { width: queries.cols, height: queries.rows });
      const ctx = canvas.getContext("2d", { willReadFrequently: true });
      ctx.drawImage(ui.source, 0, 0, queries.cols, queries.rows);
      ui.average = ctx.getImageData(0, 0, queries.cols, queries.rows).data;
    }
    return ui.average.slice(4 * i, 4 * i + 3);
  }

  function drawTarget(ctx, width, height) {
    if (!ui.data) return;
    const overlay = ui.view === "overlay" && ui.target;
    const colours = Array.from(ui.shown, (t) => colourOf(t, overlay ? LIGHT : PLAIN));
    if (overlay) {  // the response as light thrown on a dim grey picture: more weight is always brighter
      ctx.filter = "grayscale(1) brightness(.34)";
      paint(ctx, ui.target, width, height);
      ctx.filter = "none";
      ctx.globalCompositeOperation = "screen";
    }
    if (keys.kind === "grid") {
      const cells = h("canvas", { width: keys.cols, height: keys.rows });
      const image = new ImageData(keys.cols, keys.rows);
      colours.forEach((colour, i) => image.data.set([...colour, 255], 4 * i));
      cells.getContext("2d").putImageData(image, 0, 0);
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(cells, 0, 0, width, height);
    } else {
      if (!overlay) { ctx.fillStyle = "#15151c"; ctx.fillRect(0, 0, width, height); }
      for (let i = 0; i < M; i++) {
        ctx.fillStyle = `rgb(${colours[i]})`;
        ctx.fillRect(...rectOf(keys, i, width, height));
      }
    }
    ctx.globalCompositeOperation = "source-over";
    if (keys.kind === "boxes") for (let i = 0; i < M; i++) outline(ctx, rectOf(keys, i, width, height), `rgb(${colours[i]})`, { line: 1.5 });
    gridLines(ctx, keys, width, height);

    const map = mapIndex(queryNow());
    const numbers = keys.kind === "grid" && M <= (overlay ? 16 : 36) && width / keys.cols >= 40;
    if (numbers) {
      for (let i = 0; i < M; i++) {
        const rect = rectOf(keys, i, width, height);
        const text = valueOf(map, i).toFixed(top(map) >= 10 ? 1 : rect[2] >= 58 ? 3 : 2);
        const ink = inkOn(colours[i]);
        write(ctx, text, rect, ink, Math.min(rect[2] * 0.25, 19), overlay && ink === "#fff" && "rgba(0, 0, 0, .6)");
      }
    }
    if (samePlaces) outline(ctx, rectOf(queries, queryNow(), width, height), QUERY, { line: 2, dash: [4, 3] });
    const best = rectOf(keys, ui.data.best[map], width, height);
    if (keys.kind === "grid" && best[2] > 24) outline(ctx, best, "#fff"); else ring(ctx, best);
    if (ui.probe !== null) {
      const rect = rectOf(keys, ui.probe, width, height);
      outline(ctx, rect, "#fff", { line: 1.5 });
      if (!numbers) tag(ctx, format(valueOf(map, ui.probe), stepOf(map)), rect, width);
    }
  }

  // -- parts

  const aspectOf = (picture, places) => (picture ? picture.width / picture.height : places.cols / places.rows);
  const sourceKind = queries.kind === "words" ? "words" : "picture";
  const told = h("span", { class: "where" });
  let source, target;
  if (sourceKind === "words") {
    const group = `g${serial++}`;
    const inputs = queries.words.map((_, i) => h("input", { type: "radio", name: group, onchange: () => pin(i) }));
    source = {
      node: h("div", { class: "words", role: "radiogroup", "aria-label": "Query" },
        ...queries.words.map((word, i) => h("label", { onpointerenter: (e) => e.pointerType === "mouse" && peek(i), onpointerleave: () => peek(null) }, inputs[i], h("span", {}, word)))),
      redraw: () => { inputs[ui.query].checked = true; },
      stop: () => {},
    };
  } else {
    source = stage(aspectOf(spec.source, queries), drawSource, "Query", "hint-source");
    pointing(source.node, queries, { hover: peek, press: pin });
    source.node.addEventListener("keydown", (event) => {
      const next = moved(queries, ui.query, event);
      if (next === undefined) return;
      event.preventDefault();
      pin(next);
    });
  }

  if (keys.kind === "words") {
    const bars = keys.words.map((word) => h("li", {}, h("span", { class: "word" }, word), h("span", { class: "track" }, h("span", { class: "bar" })), h("span", { class: "value" })));
    target = {
      node: h("ul", { class: "bars" }, ...bars),
      redraw: () => {
        if (!ui.data) return;
        const map = mapIndex(queryNow());
        bars.forEach((bar, i) => {
          const t = ui.shown[i];
          bar.querySelector(".bar").style.cssText = `width:${100 * t}%;background:rgb(${colourOf(0.25 + 0.65 * t)})`;
          bar.querySelector(".value").textContent = valueOf(map, i).toFixed(top(map) >= 10 ? 1 : 3);
          bar.classList.toggle("best", ui.data.best[map] === i);
        });
      },
      stop: () => {},
    };
  } else {
    const picture = spec.target === "source" ? spec.source : spec.target;
    target = stage(aspectOf(picture, keys), drawTarget, "Response", "hint-target");
    pointing(target.node, keys, { hover: probe, press: probe });
    target.node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return probe(null);
      const next = moved(keys, ui.probe ?? ui.data.best[mapIndex(ui.query)], event);
      if (next === undefined) return;
      event.preventDefault();
      probe(next);
    });
    target.node.addEventListener("blur", () => probe(null));
  }

  const controls = selectors.map(([name, options], i) => selector(name, options, ui.choice[i], (chosen) => {
    ui.choice[i] = chosen;
    model.set("choice", Object.fromEntries(selectors.map(([n, o], k) => [n, o[ui.choice[k]]])));
    model.save_changes();
    refresh({ announce: true, selectors: true });
  }));
  const toggle = hasPicture && keys.kind !== "words" && segments("Show", ["Overlay", "Map"], ui.view === "map" ? 1 : 0, (i) => {
    ui.view = ["overlay", "map"][i];
    model.set("view", ui.view);
    model.save_changes();
    readout();
    target.redraw();
  }, true);

  const stats = { strongest: h("dd", {}), spread: h("dd", {}), probe: h("dd", {}) };
  const spread = h("div", {}, h("dt", {}, "Effective keys"), stats.spread);
  const legendTop = h("span", {});
  const tick = h("span", { class: "tick" });
  const ramp = h("span", { class: "ramp" }, tick);
  const status = h("p", { class: "sr", role: "status", "aria-live": "polite" });
  const how = sourceKind === "words" ? "Point at a word to preview; click to choose." : "Point to preview; click or arrow keys choose.";
  const card = h("section", { class: "card", role: "group", "aria-labelledby": spec.title ? "title" : undefined, "aria-label": spec.title ? undefined : "Explorer" },
    spec.title ? h("p", { class: "title", id: "title" }, spec.title) : null,
    spec.caption ? h("p", { class: "caption" }, spec.caption) : null,
    controls.length ? h("div", { class: "controls" }, ...controls.map((c) => c.node)) : null,
    h("div", { class: `panes ${sourceKind}-${keys.kind === "words" ? "words" : "picture"}` },
      h("div", { class: "pane source" }, h("div", { class: "head" }, h("b", {}, "Query"), told), source.node),
      h("div", { class: "pane target" }, h("div", { class: "head" }, h("b", {}, "Response"), toggle ? toggle.node : null), target.node),
      h("p", { class: "hint", id: "hint-source" }, how),
      h("div", { class: "legend", "aria-hidden": "true" }, h("b", {}, capital(spec.value_label)), h("span", {}, "0"), ramp, legendTop),
      h("dl", {}, h("div", { class: "strongest" }, h("dt", {}, "Strongest"), stats.strongest), spread,
        keys.kind === "words" ? null : h("div", { class: "probe" }, h("dt", {}, "Under the pointer"), stats.probe))),
    h("p", { class: "sr", id: "hint-target" }, "Arrow keys read the response place by place, Escape returns to the strongest."),
    status);
  root.append(h("style", {}, CSS), card);

  // -- behaviour

  function pin(query) {
    ui.preview = null;
    if (query === ui.query || query < 0) return refresh({});
    ui.query = query;
    model.set("query", query);
    model.save_changes();
    refresh({ announce: true });
  }

  function peek(query) {
    const next = query === null || query < 0 ? null : query;
    if (next === ui.preview) return;
    ui.preview = next;
    refresh({});
  }

  function probe(key) {
    ui.probe = key === null || key < 0 ? null : key;
    target.redraw();
    readout();
  }

  function summary(withSelectors) {
    const map = mapIndex(ui.query);
    const chosen = withSelectors ? selectors.map(([name, options], i) => `${name} ${options[ui.choice[i]]}; `).join("") : "";
    return `${chosen}query ${queryName(ui.query)}; strongest at ${nameOf(keys, ui.data.best[map])}, ${spec.value_label} ${format(ui.data.peak[map])}`;
  }

  const figures = (value, step, where) => [h("b", {}, format(value, step)), " ", h("span", {}, where)];

  function readout() {
    if (!ui.data) return;
    const query = queryNow(), map = mapIndex(query), best = ui.data.best[map];
    told.textContent = queryName(query);
    stats.strongest.replaceChildren(...figures(ui.data.peak[map], 0, nameOf(keys, best)));
    spread.hidden = !spec.distribution;
    stats.spread.replaceChildren(...figures(Number(ui.data.effective[map].toPrecision(3)), 0, `of ${M}`));
    stats.probe.replaceChildren(...(ui.probe === null ? ["–"] : figures(valueOf(map, ui.probe), stepOf(map), nameOf(keys, ui.probe))));
    ramp.style.background = gradient(ui.view === "overlay" && ui.target ? LIGHT : PLAIN);
    legendTop.textContent = format(top(map));
    tick.hidden = ui.probe === null;
    if (ui.probe !== null) tick.style.left = `${Math.min(100, (100 * valueOf(map, ui.probe)) / top(map))}%`;
    if (sourceKind !== "words") {
      const attributes = { "aria-valuemin": 1, "aria-valuemax": Q, "aria-valuenow": ui.query + 1, "aria-valuetext": queryName(ui.query) };
      for (const [name, value] of Object.entries(attributes)) source.node.setAttribute(name, value);
    }
    if (keys.kind !== "words") {
      const key = ui.probe ?? best;
      const text = `${nameOf(keys, key)}: ${spec.value_label} ${format(valueOf(map, key), stepOf(map))}${ui.probe === null ? ", the strongest" : ""}`;
      const attributes = { "aria-valuemin": 1, "aria-valuemax": M, "aria-valuenow": key + 1, "aria-valuetext": text };
      for (const [name, value] of Object.entries(attributes)) target.node.setAttribute(name, value);
    }
  }

  // Colours glide to the new map, unless the reader asked for no motion.
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  function glide() {
    cancelAnimationFrame(frame);
    const map = mapIndex(queryNow());
    const goal = Float32Array.from({ length: M }, (_, i) => valueOf(map, i) / top(map));
    const from = ui.shown.slice(), begin = performance.now(), span = still.matches || !ui.ready ? 0 : 140;
    ui.ready = true;
    const step = (now) => {
      const x = span ? Math.min(Math.max((now - begin) / span, 0), 1) : 1, ease = x * (2 - x);
      for (let i = 0; i < M; i++) ui.shown[i] = from[i] + ease * (goal[i] - from[i]);
      target.redraw();
      if (x < 1) frame = requestAnimationFrame(step);
    };
    if (span) frame = requestAnimationFrame(step); else step(begin);
  }

  let speaking = 0;
  function refresh({ announce = false, selectors: withSelectors = false }) {
    if (!ui.data) return;
    source.redraw();
    readout();
    glide();
    if (!announce) return;
    clearTimeout(speaking);
    speaking = setTimeout(() => { status.textContent = summary(withSelectors); }, 250);
  }

  function pointing(node, places, { hover, press }) {
    const at = (event) => {
      const box = node.getBoundingClientRect();
      return hit(places, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    };
    let pressed = false;
    node.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pressed = true;
      if (event.pointerType !== "touch") node.setPointerCapture(event.pointerId);
      if (at(event) >= 0) press(at(event));
    });
    node.addEventListener("pointermove", (event) => {
      const place = at(event);
      if (pressed) { if (place >= 0) press(place); } else if (event.pointerType !== "touch") hover(place);
    });
    const release = () => { pressed = false; };
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) node.addEventListener(kind, release);
    node.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hover(null); });
  }

  // -- page and kernel

  const theme = () => { host.dataset.theme = pageTheme(); };
  theme();
  const watcher = new MutationObserver(theme);
  watcher.observe(document.documentElement, { attributes: true });
  watcher.observe(document.body, { attributes: true });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", theme);
  cleanups.push(() => watcher.disconnect(), () => scheme.removeEventListener("change", theme), source.stop, target.stop);
  // keys are for this view, not for the notebook or the page around it
  card.addEventListener("keydown", (event) => { if (!["Tab", "Escape"].includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation(); });

  const follow = (name, f) => { model.on(`change:${name}`, f); cleanups.push(() => model.off(`change:${name}`, f)); };
  follow("query", () => { if (model.get("query") !== ui.query) { ui.query = model.get("query"); ui.preview = null; refresh({ announce: true }); } });
  follow("choice", () => {
    selectors.forEach(([name, options], i) => { ui.choice[i] = Math.max(options.indexOf(model.get("choice")[name]), 0); controls[i].set(ui.choice[i]); });
    refresh({});
  });
  follow("view", () => { ui.view = model.get("view"); if (toggle) toggle.set(ui.view === "map" ? 1 : 0); readout(); target.redraw(); });
  let loads = 0;
  const load = () => {
    const { levels, distribution } = model.get("_spec"), turn = ++loads;
    return unpack(model.get("_data"), { ...spec, levels }).then((data) => {
      if (turn !== loads) return;
      Object.assign(spec, { levels, distribution });
      ui.data = data;
      refresh({});
    });
  };
  follow("_data", load);
  const pictures = Promise.all([loaded(spec.source), spec.target === "source" ? null : loaded(spec.target)]).then(([first, second]) => {
    ui.source = first;
    ui.target = spec.target === "source" ? first : second;
  });
  pictures.then(load).then(() => { host.dataset.ready = ""; }).catch((error) => {
    status.className = "caption";
    status.textContent = `This figure could not be shown: ${error.message}`;
  });
  return () => { cancelAnimationFrame(frame); clearTimeout(speaking); cleanups.forEach((f) => f()); };
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
  margin: 0; padding: 1.1rem 1.2rem .9rem; border: 1px solid var(--line); border-radius: 14px; background: var(--surface); color: var(--ink);
  font: 400 .9rem/1.45 var(--pst-font-family-base, var(--jp-ui-font-family, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif)); text-align: left;
}
p, dl, dd, ul, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
.title { font-size: 1.1rem; font-weight: 650; line-height: 1.3; text-wrap: balance; }
.caption { margin-top: .2rem; color: var(--soft); max-width: 80ch; text-wrap: pretty; }
.controls { display: flex; flex-wrap: wrap; gap: .7rem 1.4rem; margin-top: .9rem; }
.name, .head b, dt, .legend b { font-size: .76rem; font-weight: 600; letter-spacing: .02em; color: var(--soft); padding: 0; }
.segments { display: flex; flex-wrap: wrap; margin-top: .25rem; padding: 3px; border-radius: 10px; background: var(--well); width: fit-content; }
.segments label, .words label { position: relative; cursor: pointer; }
.segments input, .words input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.segments span { display: grid; place-items: center; min-width: 2.3rem; min-height: 1.9rem; padding: 0 .7rem; border-radius: 8px; font-variant-numeric: tabular-nums; }
.segments input:checked + span { background: var(--raised); font-weight: 600; box-shadow: 0 0 0 1px rgb(0 0 0 / .06), 0 1px 3px rgb(0 0 0 / .16); }
.segments input:focus-visible + span, .words input:focus-visible + span, .stage:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.slider { flex: 1 1 11rem; max-width: 20rem; }
.slider .name { display: flex; justify-content: space-between; }
output { color: var(--ink); font-variant-numeric: tabular-nums; }
input[type="range"] { width: 100%; height: 1.9rem; margin: .25rem 0 0; accent-color: var(--accent); }
.quiet .segments { margin: 0; padding: 2px; border-radius: 8px; }
.quiet .segments span { min-height: 1.45rem; padding: 0 .55rem; border-radius: 6px; font-size: .76rem; }
.panes { display: grid; grid-template: "source target" auto "hint legend" auto "stats stats" auto / 1fr 1fr; gap: .75rem 1.25rem; margin-top: 1rem; }
.panes.words-picture { grid-template: "source target" auto "stats target" auto "legend target" auto "hint target" 1fr / minmax(9rem, 2fr) 3fr; }
.panes.picture-words { grid-template: "source target" auto "source stats" 1fr "hint hint" auto / 1fr 1fr; }
.panes.words-words { grid-template: "source target" auto "hint stats" auto / 1fr 1fr; }
.source { grid-area: source; } .target { grid-area: target; } .hint { grid-area: hint; } .legend { grid-area: legend; } dl { grid-area: stats; }
.picture-words .legend, .words-words .legend { display: none; }
.pane { min-width: 0; display: flex; flex-direction: column; }
.head { display: flex; gap: .6rem; align-items: center; margin-bottom: .45rem; min-height: 1.75rem; }
.head .where { font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.head .quiet { margin-left: auto; }
.source .head b::before, .strongest dt::before { content: ""; display: inline-block; width: .72em; height: .72em; margin-right: .45em; border: 2px solid #ff7a1a; border-radius: 3px; }
.strongest dt::before { border-color: var(--ink); border-radius: 50%; }
.stage { position: relative; width: 100%; max-width: calc(28rem * var(--aspect)); aspect-ratio: var(--aspect); border-radius: 8px; cursor: crosshair; touch-action: pan-y pinch-zoom; background: var(--well); user-select: none; -webkit-user-select: none; }
.stage::after { content: ""; position: absolute; inset: 0; border-radius: inherit; box-shadow: inset 0 0 0 1px rgb(128 128 128 / .28); pointer-events: none; }
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
.legend { display: flex; align-items: center; gap: .5rem; font-size: .8rem; font-variant-numeric: tabular-nums; align-self: start; }
.ramp { position: relative; flex: 1; height: .65rem; border-radius: 3px; }
.tick { position: absolute; top: -3px; bottom: -3px; width: 3px; margin-left: -1.5px; background: var(--ink); box-shadow: 0 0 0 1.5px var(--surface); border-radius: 2px; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(9.5rem, 100%), 1fr)); gap: .6rem 1rem; padding-top: .75rem; border-top: 1px solid var(--line); align-self: start; }
dd { min-height: 1.75rem; font-size: .84rem; color: var(--soft); font-variant-numeric: tabular-nums; }
dd span { white-space: nowrap; }
dd b { font-size: 1.12rem; font-weight: 650; color: var(--ink); margin-right: .15rem; }
.hint { font-size: .78rem; color: var(--soft); }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@container (max-width: 520px) {
  .card { padding: .9rem .85rem .8rem; }
  .panes, .panes.words-picture, .panes.picture-words, .panes.words-words { grid-template: "source" "target" "legend" "stats" "hint" / minmax(0, 1fr); gap: .7rem; }
  .stage { margin-inline: auto; max-width: calc(22rem * var(--aspect)); }
  dl { grid-template-columns: repeat(2, 1fr); }
  .probe { grid-column: 1 / -1; }
}
@media (pointer: coarse) { .control .segments span, .words span { min-height: 2.75rem; display: grid; place-items: center; min-width: 2.75rem; } }
@media (prefers-reduced-motion: no-preference) { .segments span, .words span { transition: background-color .15s, box-shadow .15s; } }
@media (forced-colors: active) { .segments input:checked + span, .words input:checked + span { outline: 2px solid Highlight; } }
`;

export default { render };
