// Patches of a picture that have become one token, with a line around each group, and what the network answers: a slider makes them fewer.

import { QUERY } from "../colours.js";
import { selector } from "../controls.js";
import { capital, h } from "../dom.js";
import { CSS } from "../style.js";
import { unpackedText } from "../text.js";
import { followTheme } from "../theme.js";

const SIDE = 336;  // of the drawing, in its own pixels
const DROPPED = 255;

const GROUPS_CSS = `
.groups { display: grid; grid-template-columns: minmax(0, 22rem) minmax(11rem, 1fr); gap: .9rem 1.4rem; margin-top: .9rem; align-items: start; }
.groups .stage { cursor: default; }
.groups .bars { gap: .25rem .6rem; font-size: .85rem; }
.groups .bars .track { height: 1rem; }
.groups .bars .bar { background: var(--accent); }
.groups .bars .true .word::after { content: " ✓"; }
.groups .told { margin-bottom: .6rem; font-weight: 600; font-variant-numeric: tabular-nums; min-height: 2.6em; }
@container (max-width: 520px) { .groups { grid-template-columns: minmax(0, 1fr); } }
`;

// Arrays of whole numbers, one after the other in one text: each with its length.
function arrays(text, lengths) {
  const view = unpackedText(text), found = [];
  let start = 0;
  for (const length of lengths) {
    found.push(new Uint8Array(view.buffer, start, length));
    start += length;
  }
  return found;
}

// The picture in which every patch shows the mean of its group's patches; what was dropped is left as it is.
function means(picture, group, [H, W], [rows, columns]) {
  const a = H / rows, b = W / columns, sums = new Map(), out = Float32Array.from(picture);
  const at = (patch, pixel) => (Math.floor(patch / columns) * a + Math.floor(pixel / b)) * W + (patch % columns) * b + pixel % b;
  group.forEach((name, patch) => {
    if (!sums.has(name)) sums.set(name, { count: 0, total: new Float32Array(a * b) });
    const sum = sums.get(name);
    sum.count++;
    for (let pixel = 0; pixel < a * b; pixel++) sum.total[pixel] += picture[at(patch, pixel)];
  });
  group.forEach((name, patch) => {
    if (name === DROPPED) return;
    const { count, total } = sums.get(name);
    for (let pixel = 0; pixel < a * b; pixel++) out[at(patch, pixel)] = total[pixel] / count;
  });
  return out;
}

export function mountGroups({ title, caption, ways, left, names, truth, size, grid, lengths, data }, el) {
  if (!el) return;  // an equal figure's script took it
  el.dataset.ready = "";
  const [H, W] = size, [rows, columns] = grid, [pictures, groups, answers] = arrays(data, lengths);
  const classes = answers.length / (ways.length * left.length * names.length), patches = rows * columns;
  let way = 0, step = 0, which = 0, view = 0;
  const canvas = h("canvas", { width: SIDE, height: SIDE * H / W, role: "img" });
  const stage = h("div", { class: "stage" }, canvas), told = h("p", { class: "told" });
  stage.style.setProperty("--aspect", W / H);
  const bars = h("ul", { class: "bars", "aria-label": "how sure the network is of each answer" });
  const voice = h("p", { class: "sr", role: "status", "aria-live": "polite" });
  const picks = selector("digit", names, (i) => { which = i; show(); });
  const turn = selector("tokens are", ways, (i) => { way = i; show(); });
  const slide = selector("tokens left", left.map(String), (i) => { step = i; show(); });
  const looks = selector("show", ["the digit", "the mean of each group"], (i) => { view = i; show(); });

  function show() {
    const place = (way * left.length + step) * names.length + which;
    const group = groups.subarray(place * patches, (place + 1) * patches);
    const shares = [...answers.subarray(place * classes, (place + 1) * classes)].map((share) => share / 255);
    const best = shares.indexOf(Math.max(...shares)), right = best === truth[which];
    draw(group);
    bars.replaceChildren(...shares.map((share, i) => {
      const bar = h("span", { class: "bar" }), classes = [i === best && "best", i === truth[which] && "true"].filter(Boolean);
      bar.style.cssText = `width:${100 * share}%`;
      return h("li", { class: classes.join(" ") }, h("span", { class: "word" }, String(i)), h("span", { class: "track" }, bar),
        h("span", { class: "value" }, `${Math.round(100 * share)} %`));
    }));
    const verdict = right ? "right" : `wrong, it is ${truth[which]}`, sure = Math.round(100 * shares[best]);
    told.textContent = `${left[step]} of ${patches} tokens, ${ways[way]}. The network says ${best}, ${sure} % sure: ${verdict}.`;
    voice.textContent = told.textContent;
    canvas.setAttribute("aria-label", `${capital(names[which])}, in ${left[step]} groups of patches`);
    for (const [control, i] of [[picks, which], [turn, way], [slide, step], [looks, view]]) control.show(i);
  }

  function draw(group) {
    const ink = pictures.subarray(which * H * W, (which + 1) * H * W), shown = view ? means(ink, group, size, grid) : ink;
    const pen = canvas.getContext("2d"), p = SIDE / W, a = canvas.height / rows, b = canvas.width / columns;
    for (let i = 0; i < H * W; i++) {
      const level = 255 - shown[i];
      pen.fillStyle = `rgb(${level},${level},${level})`;
      pen.fillRect((i % W) * p, Math.floor(i / W) * p, p + 1, p + 1);
    }
    pen.fillStyle = "rgb(128,136,148,.8)";
    group.forEach((name, patch) => {
      if (name === DROPPED) pen.fillRect((patch % columns) * b, Math.floor(patch / columns) * a, b, a);
    });
    pen.strokeStyle = QUERY;
    pen.lineWidth = 2;
    pen.beginPath();
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const here = group[row * columns + column], x = column * b, y = row * a;
        if (column && group[row * columns + column - 1] !== here) { pen.moveTo(x, y); pen.lineTo(x, y + a); }
        if (row && group[(row - 1) * columns + column] !== here) { pen.moveTo(x, y); pen.lineTo(x + b, y); }
      }
    }
    pen.stroke();
  }

  const card = h("section", { class: "card", role: "group", "aria-labelledby": "title" },
    h("p", { class: "title", id: "title" }, title),
    h("p", { class: "caption" }, caption),
    h("div", { class: "controls" }, slide.node, turn.node, picks.node, looks.node),
    h("div", { class: "groups" }, stage, h("div", {}, told, bars)),
    voice);
  card.addEventListener("keydown", (event) => {  // our keys are not for the page or the notebook around
    if (event.key !== "Tab" && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
  const host = h("div", { "data-lm-suppress-shortcuts": "true" });
  host.attachShadow({ mode: "open" }).append(h("style", {}, CSS + GROUPS_CSS), card);
  el.style.cssText += "width:100%;min-width:0";
  el.replaceChildren(host);
  followTheme(host);
  show();
  host.dataset.ready = "";
}
