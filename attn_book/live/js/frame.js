// What a live model stands in: a card in a shadow root of its own, which keeps its keys to itself and speaks to a screen reader.

import { h } from "../../explorer/js/dom.js";
import { CSS } from "../../explorer/js/style.js";
import { followTheme } from "../../explorer/js/theme.js";
import { LIVE_CSS } from "./live_style.js";

// Fills el. Returns { host, say, failed }: say(sentence) once the reader rests, failed(error) for all to see.
export function framed(el, { title, caption, look }, ...nodes) {
  const host = h("div", { "data-lm-suppress-shortcuts": "true" });  // arrow keys are ours, not JupyterLab's
  const voice = h("p", { class: "sr", role: "status", "aria-live": "polite" });
  const card = h("section", { class: "card", role: "group", "aria-labelledby": "title" },
    h("p", { class: "title", id: "title" }, title),
    h("p", { class: "caption" }, caption),
    ...nodes,
    voice);
  card.addEventListener("keydown", (event) => {  // our keys are not for the page or the notebook around
    if (event.key !== "Tab" && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
  host.attachShadow({ mode: "open" }).append(h("style", {}, CSS + LIVE_CSS + look), card);
  el.style.cssText += "width:100%;min-width:0";
  el.replaceChildren(host);
  followTheme(host);
  let speaking;
  const tell = (text, name, delay) => {
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      voice.className = name;
      voice.textContent = text;
    }, delay);
  };
  return {
    host,
    say: (sentence) => tell(sentence, "sr", 250),
    failed: (error) => tell(`The network could not be run: ${error.message}`, "caption", 0),
  };
}
