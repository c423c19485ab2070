// A scene drawn step by step from a caption by the network of chapter 11: the reader writes the caption, scrubs through the steps, sees
// which patches ask a word, and changes a word while the drawing is kept.

import { selector } from "../../explorer/js/controls.js";
import { h, instruction, set } from "../../explorer/js/dom.js";
import { paint } from "../../explorer/js/drawing.js";
import { attentionMaps } from "./attention_maps.js";
import { captionMenus, wordChips } from "./caption_menus.js";
import { CAPTION_CSS } from "./caption_style.js";
import { language } from "./caption_words.js";
import { canvasesOf, GUIDANCE, lightOf, stepper } from "./drawing_steps.js";
import { framed } from "./frame.js";
import { firstSeen, questions } from "./questions.js";

const SIDE = 28, CHANNELS = 3;  // px of a scene

export function mountLive({ title, caption, network, words, guidance, range, kinds, unseen, corners, layers, grid, steps, ways }, el) {
  if (!el) return;  // an equal figure's script took it
  el.dataset.ready = "";
  const { word, phrase, digits, change } = language({ kinds, unseen, corners });
  // what is asked for: a caption, or another one in its place (or null); which word is chosen, which under the mouse; what came of it,
  // and the largest weight of any word
  const state = { caption: words, other: null, guidance, sample: 0, chosen: 1, hovered: null, found: null, pictures: [], top: 1 };

  // -- parts

  const picture = (name) => h("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": name });
  const button = (name, onclick) => h("button", { type: "button", onclick }, name);
  const figure = (canvas, ...told) => h("figure", {}, canvas, h("figcaption", {}, ...told));
  const scene = picture("Drawing"), guess = picture("Bound for"), answer = h("dl"), where = h("span", { class: "where" });
  const menus = captionMenus(kinds, () => say(plan()));
  const draw = button("Draw", () => ask({ caption: menus.caption(), other: null }));
  const edit = button("Edit the drawing", () => ask({ other: menus.caption() }));
  const strength = selector("guidance", GUIDANCE.map(String), (i) => ask({ guidance: GUIDANCE[i] }));
  const player = stepper(steps, show);
  const another = button("Other noise", () => ask({ sample: state.sample + 1 }));
  const chips = wordChips((chosen) => look({ chosen, hovered: null }), (hovered) => look({ hovered }));
  const maps = attentionMaps(layers, 1, { kind: "grid", rows: grid, cols: grid }, words.length);
  const planned = h("p", { class: "note" }), edited = h("p", { class: "note" });
  const panes = ["before", ...ways].map((name) => ({ name, canvas: picture(name), far: h("b") }));
  const compared = h("div", { class: "maps", hidden: "" }, ...panes.map(({ name, canvas, far }) => figure(canvas, name, far)));

  // -- showing

  function show() {
    if (!state.found) return;
    const step = player.at, seen = Math.min(step, steps - 1), { found, pictures } = state;  // at the end: the last look
    const put = (canvas, from, name) => {
      paint(canvas.getContext("2d"), from, canvas);
      set(canvas, { "aria-label": `${name}, step ${step} of ${steps}` });
    };
    put(scene, pictures[0].states[step], phrase(found.caption));
    put(guess, pictures[0].bound[seen], "Bound for");
    if (found.other) panes.forEach(({ name, canvas }, i) => put(canvas, pictures[i].states[step], name));
    const size = layers * words.length * grid ** 2, weights = found.drawings[0].maps.subarray(seen * size, (seen + 1) * size);
    maps.update(pictures[0].states[step], state.hovered ?? state.chosen, weights, state.top);
  }

  // What the menus ask for, and what can be done about it; returns what is told
  function plan() {
    const wanted = menus.caption(), { differ, from, to } = change(state.caption, wanted);
    edit.disabled = differ !== 1;
    const next = differ === 0 ? "Choose other words, then press Draw."
      : differ > 1 ? `Press Draw for “${phrase(wanted)}”.`
      : `“${from}” becomes “${to}”: draw it anew, or edit the drawing.`;
    planned.textContent = next + (wanted[0] === wanted[3] ? " No caption of its training names one colour twice." : "");
    return planned.textContent;
  }

  function showAnswer({ caption, other, sample }) {
    where.textContent = phrase(caption);
    chips.rename(caption.map(word));
    const [first, second] = digits(caption).map(({ text, never }) => [text, never ? "never seen" : "seen in training"]);
    answer.replaceChildren(...[["First", ...first], ["Second", ...second], ["Noise", String(sample + 1), ""]].map(([term, value, note]) =>
      h("div", {}, h("dt", {}, term), h("dd", {}, h("b", {}, value), " ", h("span", {}, note)))));
    compared.hidden = !other;
    edited.textContent = "Change one word in its menu, then press Edit the drawing: it is drawn again from the same noise.";
    if (!other) return;
    const { from, to, stays } = change(caption, other);
    edited.textContent = `“${from}” became “${to}”. The numbers say how far the ${stays} is from before, 0 to 1.`;
    distances().forEach((far, i) => { panes[i + 1].far.textContent = far; });
  }

  // How far what should stay is from before, for each way of editing: the mean difference of its pixels, whose values are 0 to 1
  function distances() {
    const { caption, other, drawings } = state.found, { inside } = change(caption, other);
    const [before, ...after] = drawings.map(({ states }) => states.subarray(-(SIDE ** 2) * CHANNELS));
    const kept = Array.from(before.keys()).filter((i) => inside(Math.floor(i / CHANNELS / SIDE), Math.floor(i / CHANNELS) % SIDE));
    const apart = (end, i) => Math.abs(lightOf(end[i], range) - lightOf(before[i], range));
    return after.map((end) => (kept.reduce((sum, i) => sum + apart(end, i), 0) / kept.length).toFixed(3));
  }

  function sentence({ caption, other, guidance: w, sample }) {
    if (other) return [edited.textContent, ...distances().map((far, i) => ways[i] + ": " + far + "."), `Noise ${sample + 1}.`].join(" ");
    const never = digits(caption).filter((digit) => digit.never).map(({ text }) => " It has never seen a " + text + ".");
    return `“${phrase(caption)}” was drawn in ${steps} steps with guidance ${w}, noise ${sample + 1}.${never.join("")}`;
  }

  // -- what the reader does

  function look(changed) {
    Object.assign(state, changed);
    chips.show(state.chosen);
    show();
  }

  function ask(wanted) {
    player.pause();
    Object.assign(state, wanted);
    strength.show(GUIDANCE.indexOf(state.guidance));
    plan();
    request.about({ caption: state.caption, other: state.other, guidance: state.guidance, sample: state.sample });
  }

  // -- asking the network

  const request = questions(network, { engine, host: () => host, answered, failed: (error) => failed(error) });

  function answered(found) {
    const pictures = (numbers) => canvasesOf(numbers, SIDE, CHANNELS, range);
    state.found = found;
    state.top = found.drawings[0].maps.reduce((most, weight) => Math.max(most, weight), 0);
    state.pictures = found.drawings.map(({ states, bound }) => ({ states: pictures(states), bound: pictures(bound) }));
    showAnswer(found);
    player.play();
    say(sentence(found));
    host.dataset.ready = "";
  }

  const { host, say, failed } = framed(el, { title, caption, look: CAPTION_CSS },
    h("div", { class: "live" },
      h("div", { class: "picture" },
        h("div", { class: "head" }, h("b", {}, "Drawing"), where),
        h("div", { class: "scenes" }, scene, figure(guess, "bound for"))),
      answer,
      h("div", { class: "edit" },
        menus.node, h("div", { class: "buttons" }, draw, edit), planned,
        strength.node, player.node, h("div", { class: "buttons" }, another, player.button),
        h("div", { class: "edited" }, h("div", { class: "head" }, h("b", {}, "Change a word, keep the drawing")), edited, compared)),
      h("div", { class: "beside" },
        h("div", { class: "head" }, h("b", {}, "Which patches ask a word")), chips.node,
        h("p", { class: "note", id: "hint" },
          instruction("Tap a word", "Click a word, or use the arrow keys"), ": the maps show who asks it, mean over the heads."),
        maps.node, maps.legend)));
  menus.show(words);
  look({});
  firstSeen(host, request.start);
  ask({});
}
