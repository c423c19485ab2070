// The look of what only the drawing of a caption has.

export const CAPTION_CSS = `
.scenes { display: grid; grid-template-columns: 5fr 3fr; gap: .75rem; align-items: end; }
.scenes figure { margin: 0; }
.scenes figcaption { font-size: .76rem; color: var(--soft); }
.scenes canvas { position: static; width: 100%; height: auto; aspect-ratio: 1; border-radius: 8px; }
.scenes canvas, .maps canvas { image-rendering: pixelated; }
.menus { display: grid; grid-template-columns: 4.7fr 2.8fr 5.3fr 4.7fr 2.8fr; gap: .2rem; margin-top: .25rem; max-width: 24rem; }
select {
  font: inherit; min-width: 0; color: var(--ink); background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .2rem .15rem;
  min-height: 1.9rem; cursor: pointer;
}
select:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
.edit .slider { max-width: none; }
.beside .words { margin-bottom: .6rem; }
.beside .words span { padding: .2rem .65rem; }
.beside .note, .edited .note { min-height: 0; margin-bottom: .5rem; }
.edited { margin-top: .4rem; }
@container (max-width: 520px) {
  .maps { grid: auto-flow / 1fr 1fr; }
  select { font-size: .82rem; }
}
@media (pointer: coarse) { select { min-height: 2.75rem; } }
`;
