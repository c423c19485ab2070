// The view: its parts put together, and kept in step with the model and with what the reader does.

import { segments, selector } from "./controls.js";
import { capital, h, instruction } from "./dom.js";
import { dimmed, loaded } from "./drawing.js";
import { glider } from "./glide.js";
import { Maps } from "./maps.js";
import { sourcePicture, targetPicture } from "./pictures.js";
import { NOWHERE } from "./places.js";
import { announcer, readout } from "./readout.js";
import { newState } from "./state.js";
import { CSS } from "./style.js";
import { clearBackground, followTheme } from "./theme.js";
import { sourceWords, targetWords } from "./words.js";

const VIEWS = ["overlay", "map"];

export function render({ model, el }) {
  const state = newState(model), { spec } = state, { selectors } = spec;
  const fromWords = spec.queries.kind === "words", toWords = spec.keys.kind === "words";

  // -- parts

  const source = (fromWords ? sourceWords : sourcePicture)(state, {
    hover: (query) => peek(query === NOWHERE ? null : query),
    press: (query) => {
      if (query === NOWHERE) return;
      peek(null);
      if (query !== state.query()) state.change("query", query);
    },
  });
  const look = (key) => {
    state.probe = key === NOWHERE ? null : key;
    target.redraw();
    told.update();
  };
  const target = toWords ? targetWords(state) : targetPicture(state, { hover: look, press: look });
  if (!toWords) target.node.addEventListener("blur", () => look(NOWHERE));
  const told = readout(state, source, target);
  const voice = announcer(state);
  const { glide, stop: halt } = glider(state, target.redraw);
  const turns = selectors.map(([name, options]) =>
    selector(name, options, (i) => state.change("choice", { ...state.choice(), [name]: options[i] })));
  const toggle = spec.target && !toWords
    ? segments("Show", VIEWS.map(capital), (i) => state.change("view", VIEWS[i]), { quiet: true })
    : null;
  const card = cardOf(spec, { source, target, told, voice, turns, toggle });

  // -- showing

  function peek(query) {
    if (query === state.preview) return;
    state.preview = query;
    refresh();
  }

  function refresh() {
    if (!state.maps) return;
    source.redraw();
    told.update();
    glide();
  }

  // -- following the model: the reader's own changes and the kernel's come in alike

  const stops = [halt, voice.stop, source.stop, target.stop];
  function follow(name, f) {
    model.on(`change:${name}`, f);
    stops.push(() => model.off(`change:${name}`, f));
  }
  const showChoice = () => selectors.forEach(([name, options], i) => turns[i].show(options.indexOf(state.choice()[name])));
  const showView = () => toggle?.show(VIEWS.indexOf(model.get("view")));
  follow("query", () => { state.preview = null; refresh(); voice.announce(); });
  follow("choice", () => {
    showChoice();
    refresh();
    voice.announce(selectors.map(([name]) => `${name} ${state.choice()[name]}; `).join(""));
  });
  follow("view", () => { showView(); told.update(); target.redraw(); });
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
  clearBackground(el);
  stops.push(followTheme(host));
  start().catch((error) => {
    voice.node.className = "caption";
    voice.node.textContent = `This figure could not be shown: ${error.message}`;
  });
  return () => stops.forEach((stop) => stop());
}

// Everything that is seen, in reading order.
function cardOf(spec, { source, target, told, voice, turns, toggle }) {
  const [from, to] = [spec.queries, spec.keys].map(({ kind }) => (kind === "words" ? "words" : "picture"));
  const wide = [spec.source, spec.target].some((picture) => picture && picture.width > 3 * picture.height);
  const what = from === "words" ? "a word" : "a place";
  const keys = from === "words" ? "" : ", or use the arrow keys";
  const hint = instruction(`Tap ${what} to choose it.`, `Point at ${what} to preview; click to choose${keys}.`);
  const name = spec.title ? { "aria-labelledby": "title" } : { "aria-label": "Explorer" };
  const card = h("section", { class: "card", role: "group", ...name },
    spec.title && h("p", { class: "title", id: "title" }, spec.title),
    spec.caption && h("p", { class: "caption" }, spec.caption),
    turns.length && h("div", { class: "controls" }, ...turns.map(({ node }) => node)),
    h("div", { class: `panes ${from}-${to}${wide ? " stacked" : ""}` },
      h("div", { class: "pane source" }, h("div", { class: "head" }, h("b", {}, "Query"), told.where), source.node),
      h("div", { class: "pane target" }, h("div", { class: "head" }, h("b", {}, "Response"), toggle?.node), target.node),
      h("p", { class: "hint", id: "hint-source" }, hint),
      told.legend,
      told.statistics),
    h("p", { class: "sr", id: "hint-target" }, "Arrow keys read the response place by place, Escape returns to the strongest."),
    voice.node);
  card.addEventListener("keydown", (event) => {  // our keys are not for the page or the notebook around
    if (event.key !== "Tab" && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
  return card;
}
