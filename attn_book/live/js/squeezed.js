// What page.py squeezed into letters, back as the value that it was.

import { unpackedText } from "../../explorer/js/text.js";

export async function unsqueezed(text) {
  const stream = new Blob([unpackedText(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}
