// Five menus that make a caption, and its words to choose from.

import { radios } from "../../explorer/js/controls.js";
import { h } from "../../explorer/js/dom.js";

const MENUS = [["first colour", "colour"], ["first digit", "digit"], ["relation", "relation"], ["second colour", "colour"], ["second digit", "digit"]];

// kinds: { kind: [first place in the vocabulary, words] }. changed() is called when a menu is. Returns { node, caption, show }.
export function captionMenus(kinds, changed) {
  const menus = MENUS.map(([name, kind]) => {
    const [first, words] = kinds[kind];
    return h("select", { "aria-label": name, onchange: changed }, ...words.map((word, i) => h("option", { value: first + i }, word)));
  });
  return {
    node: h("fieldset", { class: "control" }, h("legend", { class: "name" }, "Caption"), h("div", { class: "menus" }, ...menus)),
    caption: () => menus.map((menu) => Number(menu.value)),
    show: (caption) => menus.forEach((menu, i) => { menu.value = caption[i]; }),
  };
}

// Words to choose from. hover(i) follows a mouse, hover(null) says that it left. Returns { node, show, rename }.
export function wordChips(choose, hover) {
  const texts = MENUS.map(() => document.createTextNode(""));
  const { nodes, show } = radios(texts, choose, (i) => ({
    onpointerenter: (event) => { if (event.pointerType === "mouse") hover(i); },
    onpointerleave: () => hover(null),
  }));
  const node = h("div", { class: "words", role: "radiogroup", "aria-label": "Word", "aria-describedby": "hint" }, ...nodes);
  return { node, show, rename: (words) => texts.forEach((text, i) => { text.textContent = words[i]; }) };
}
