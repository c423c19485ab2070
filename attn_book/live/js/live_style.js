// What live models add to the explorer's look.

export const LIVE_CSS = `
.live {
  display: grid; grid-template: "picture answer" auto "picture maps" auto "edit maps" 1fr / 1fr 1fr; gap: .75rem 1.25rem;
  margin-top: 1rem;
}
.picture { grid-area: picture; min-width: 0; }
.edit { grid-area: edit; display: grid; gap: .6rem; align-content: start; min-width: 0; }
.live dl { grid-area: answer; padding: 0; border: 0; grid-template-columns: repeat(3, auto); }
.beside { grid-area: maps; min-width: 0; }
.maps { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem .75rem; margin-bottom: .6rem; }
.maps figure { margin: 0; min-width: 0; }
.maps canvas { position: static; width: 100%; height: auto; aspect-ratio: 1; border-radius: 6px; }
.maps figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 .4rem; font-size: .76rem; color: var(--soft); }
.maps figcaption b { color: var(--ink); font-variant-numeric: tabular-nums; }
.edit .segments span { padding: .1rem .5rem; min-width: 2rem; }
button {
  font: inherit; color: var(--ink); background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .25rem .7rem;
  min-height: 1.9rem; cursor: pointer;
}
button:disabled { opacity: .4; cursor: default; }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.note { min-height: 2.9em; font-size: .8rem; color: var(--soft); }
@container (max-width: 520px) {
  .live { grid-template: "picture" "answer" "edit" "maps" / minmax(0, 1fr); }
  .maps { grid: auto auto / auto-flow 1fr; }
  .maps figcaption { font-size: .7rem; }
}
@media (pointer: coarse) { button { min-height: 2.75rem; } }
`;
