// What is seen, in words and numbers: under the pictures, for a screen reader, and as one polite sentence.

import { gradient, LIGHT, PLAIN } from "./colours.js";
import { capital, h, set } from "./dom.js";
import { format } from "./maps.js";
import { nameOf } from "./places.js";

const queryName = ({ spec }, query) => (spec.labels ? spec.labels[query] : nameOf(spec.queries, query));
const numbers = (value, place) => [h("b", {}, value), " ", h("span", {}, place)];

// The query's name, the colour bar and the numbers, as nodes; update() brings them and the panes' values to the state.
export function readout(state, source, target) {
  const { queries, keys, value_label: label } = state.spec;
  const toWords = keys.kind === "words";
  const where = h("span", { class: "where" });
  const strongest = h("dd"), effective = h("dd"), probed = h("dd");
  const tick = h("span", { class: "tick" }), ramp = h("span", { class: "ramp" }, tick), most = h("span");
  const spread = h("div", {}, h("dt", {}, "Effective keys"), effective);
  const legend = h("div", { class: "legend", "aria-hidden": "true" }, h("b", {}, capital(label)), h("span", {}, "0"), ramp, most);
  const statistics = h("dl", {},
    h("div", { class: "strongest" }, h("dt", {}, "Strongest"), strongest),
    spread,
    !toWords && h("div", { class: "probe" }, h("dt", {}, "Under the pointer"), probed));

  function update() {
    const { maps, probe } = state;
    if (!maps) return;
    const map = state.map(), best = maps.best[map];
    const told = (key) => format(maps.value(map, key), maps.step(map));
    where.textContent = queryName(state, state.now());
    strongest.replaceChildren(...numbers(format(maps.peak[map]), nameOf(keys, best)));
    spread.hidden = !maps.distribution;
    effective.replaceChildren(...numbers(format(Number(maps.effective[map].toPrecision(3))), `of ${maps.keys}`));
    probed.replaceChildren(...(probe === null ? ["–"] : numbers(told(probe), nameOf(keys, probe))));
    ramp.style.background = gradient(state.overlay() ? LIGHT : PLAIN);
    most.textContent = format(maps.top(map));
    tick.hidden = probe === null;
    if (probe !== null) tick.style.left = `${(100 * maps.value(map, probe)) / maps.top(map)}%`;
    if (queries.kind !== "words") {
      set(source.node, { "aria-valuenow": state.query() + 1, "aria-valuetext": queryName(state, state.query()) });
    }
    if (!toWords) {
      const text = `${nameOf(keys, probe ?? best)}: ${label} ${told(probe ?? best)}`;
      set(target.node, { "aria-valuenow": (probe ?? best) + 1, "aria-valuetext": probe === null ? `${text}, the strongest` : text });
    }
  }
  return { where, legend, statistics, update };
}

// Tells a screen reader what is seen, once the reader has settled.
export function announcer(state) {
  const node = h("p", { class: "sr", role: "status", "aria-live": "polite" });
  let speaking = 0;
  function announce(opening = "") {
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      const { maps, spec } = state, map = maps.index(state.choice(), state.query());
      const seen = `strongest at ${nameOf(spec.keys, maps.best[map])}, ${spec.value_label} ${format(maps.peak[map])}`;
      node.textContent = `${opening}query ${queryName(state, state.query())}; ${seen}`;
    }, 250);
  }
  return { node, announce, stop: () => clearTimeout(speaking) };
}
