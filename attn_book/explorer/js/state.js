// What is shown now. What the reader chose lives in the model alone: query, choice, view.

import { count } from "./places.js";

export function newState(model) {
  const spec = model.get("_spec");
  const state = {
    spec,
    maps: null,
    source: null,  // the picture that queries are picked from
    dimmed: null,  // the picture under the response
    preview: null,  // the query under the pointer
    probe: null,  // the key under the pointer, or the one that arrow keys read
    shown: new Float32Array(count(spec.keys)),  // the colours on their way: 0 to 1
    query: () => model.get("query"),
    choice: () => model.get("choice"),
    now: () => state.preview ?? state.query(),
    map: () => state.maps.index(state.choice(), state.now()),
    overlay: () => model.get("view") === "overlay" && state.dimmed !== null,
    change: (name, value) => {
      model.set(name, value);
      model.save_changes();
    },
  };
  return state;
}
