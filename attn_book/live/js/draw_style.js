// The look of what only the drawing of a digit has.

export const DRAW_CSS = `
.guess { margin: 0 0 .6rem; width: 50%; }
.guess canvas { position: static; width: 100%; height: auto; aspect-ratio: 1; border-radius: 6px; image-rendering: pixelated; }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
.edit .slider { max-width: none; }
@container (max-width: 520px) { .maps { grid: auto-flow / 1fr 1fr; } }
`;
