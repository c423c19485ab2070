// The explorer of the book: pick a query on the left, see what it attends to on the right.
// Where all modules come together: `render` for anywidget, in live Jupyter; `mountStatic` for the static page.

import { unpackedText } from "./text.js";
import { render } from "./view.js";

// Shows the state of a page without a kernel: a few lines stand in for the kernel's model.
export function mountStatic(state, el) {
  if (!el) return;  // an equal explorer's script took it
  el.dataset.ready = "";
  state._data = unpackedText(state._data);
  const listeners = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      state[name] = value;
      (listeners[`change:${name}`] || []).forEach((f) => f());
    },
    on: (event, f) => { (listeners[event] ||= []).push(f); },
    off: () => {},
    save_changes: () => {},
  };
  render({ model, el });
}

export default { render };
