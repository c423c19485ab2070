// Moving what stands in a cell: by dragging it, or lifted with Enter or a button and put down in another cell.

import { h } from "../../explorer/js/dom.js";
import { boxOf, NOWHERE } from "../../explorer/js/places.js";
import { PLACES } from "./scene.js";

// Two cells change places. choose(place) makes a cell the chosen one, changed() says that the scene is another.
export function mover(state, node, { choose, changed }) {
  const handle = h("span", { class: "handle" });  // over the chosen cell: a finger here moves it, elsewhere it scrolls the page
  node.append(handle);
  let dragging = false;

  function to(place, from) {
    state.scene.swap(from, place);
    state.chosen = place;
    state.lifted = state.over = null;
    changed();
  }

  function lift() {
    if (state.lifted !== null) return to(state.chosen, state.lifted);
    state.lifted = state.chosen;
    choose(state.chosen);
  }

  function press(place) {
    if (place === NOWHERE) {  // Escape
      state.lifted = null;
      choose(state.chosen);
    } else if (!dragging) {
      choose(place);
    } else if (place !== state.over) {
      state.over = place;
      choose(state.chosen);
    }
  }

  function show() {
    const [left, top] = boxOf(PLACES, state.chosen);
    handle.style.cssText = `left:${100 * left}%;top:${100 * top}%`;
  }

  const release = () => {
    dragging = false;
    if (state.over === null) return;
    state.over = null;
    choose(state.chosen);
  };
  node.addEventListener("pointerdown", (event) => { dragging = event.button === 0; });
  node.addEventListener("pointerup", () => {
    if (dragging && state.over !== null && state.over !== state.chosen) to(state.over, state.chosen);
    release();
  });
  node.addEventListener("pointercancel", release);
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    lift();
  });
  return { press, lift, show };
}
