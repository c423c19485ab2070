// Where queries and keys are: a grid, boxes or words. Their geometry is in fractions of the picture's sides.

export const NOWHERE = -1;

export function count(places) {
  if (places.kind === "grid") return places.rows * places.cols;
  return (places.boxes || places.words).length;
}

export function nameOf(places, i) {
  if (places.kind === "grid") return `row ${Math.floor(i / places.cols) + 1}, column ${(i % places.cols) + 1}`;
  return places.kind === "words" ? `“${places.words[i]}”` : `box ${i + 1}`;
}

// x0, y0, x1, y1
export function boxOf(places, i) {
  if (places.kind === "boxes") return places.boxes[i];
  const row = Math.floor(i / places.cols), col = i % places.cols;
  return [col / places.cols, row / places.rows, (col + 1) / places.cols, (row + 1) / places.rows];
}

// The place under a point: the cell, or the smallest box around it.
export function hit(places, x, y) {
  if (places.kind === "grid") {
    const clamp = (v, n) => Math.min(Math.max(Math.floor(v * n), 0), n - 1);
    return clamp(y, places.rows) * places.cols + clamp(x, places.cols);
  }
  const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
  const inside = ([x0, y0, x1, y1]) => x >= x0 && x <= x1 && y >= y0 && y <= y1;
  const under = places.boxes.flatMap((box, i) => (inside(box) ? [{ i, area: area(box) }] : []));
  return under.length ? under.reduce((a, b) => (b.area < a.area ? b : a)).i : NOWHERE;
}

// The place that a key press moves to, or undefined where the key has no meaning.
export function moved(places, i, event) {
  const last = count(places) - 1;
  const cols = places.kind === "grid" ? places.cols : last + 1;
  const rows = places.kind === "grid" ? places.rows : 1;
  const row = Math.floor(i / cols), col = i % cols;
  const at = (r, c) => Math.min(Math.max(r, 0), rows - 1) * cols + Math.min(Math.max(c, 0), cols - 1);
  const page = Math.max(1, Math.round(rows / 4));
  const step = rows === 1 ? { up: at(0, col - 1), down: at(0, col + 1) } : { up: at(row - 1, col), down: at(row + 1, col) };
  return {
    ArrowLeft: at(row, col - 1), ArrowRight: at(row, col + 1), ArrowUp: step.up, ArrowDown: step.down,
    Home: event.ctrlKey || event.metaKey ? 0 : at(row, 0), End: event.ctrlKey || event.metaKey ? last : at(row, cols - 1),
    PageUp: at(row - page, col), PageDown: at(row + page, col),
  }[event.key];
}
