// Bytes from the text that packing.py made of them: 5 letters for 4 bytes, after one digit that counts the bytes to leave out.

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%.()*+-;,=>?@^_`{|}~";

export function unpackedText(text) {
  const digits = new Uint8Array(128);
  for (let i = 0; i < LETTERS.length; i++) digits[LETTERS.charCodeAt(i)] = i;
  const bytes = new DataView(new ArrayBuffer(((text.length - 1) / 5) * 4));
  for (let i = 0; i < bytes.byteLength / 4; i++) {
    let word = 0;
    for (let k = 1; k <= 5; k++) word = word * 85 + digits[text.charCodeAt(5 * i + k)];
    bytes.setUint32(4 * i, word);
  }
  return new DataView(bytes.buffer, 0, bytes.byteLength - Number(text[0]));
}
