// Elements in one call, and their attributes.

export function h(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  set(node, attributes);
  node.append(...children.filter(Boolean));
  return node;
}

// Attributes of a node; those that begin with "on" are its listeners.
export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
}

// What a reader is asked to do: with a finger, or with a mouse and keys.
export const instruction = (finger, mouse) => (matchMedia("(pointer: coarse)").matches ? finger : mouse);

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
