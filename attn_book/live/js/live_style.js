// What a live model adds to the explorer's look.

export const LIVE_CSS = `
.live {
  display: grid; grid-template: "picture answer" auto "picture maps" auto "edit maps" 1fr / 1fr 1fr; gap: .75rem 1.25rem;
  margin-top: 1rem;
}
.picture { grid-area: picture; min-width: 0; }
.edit { grid-area: edit; display: grid; gap: .6rem; align-content: start; min-width: 0; }
.live dl { grid-area: answer; padding: 0; border: 0; grid-template-columns: repeat(3, auto); }
.attention { grid-area: maps; min-width: 0; }
.maps { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem .75rem; margin-bottom: .6rem; }
.maps figure { margin: 0; min-width: 0; }
.maps canvas { position: static; width: 100%; height: auto; aspect-ratio: 1; border-radius: 6px; }
.maps figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 .4rem; font-size: .76rem; color: var(--soft); }
.maps figcaption b { color: var(--ink); font-variant-numeric: tabular-nums; }
.handle { position: absolute; width: 25%; height: 25%; cursor: grab; touch-action: none; }
.handle:active { cursor: grabbing; }
.edit fieldset[disabled], .pad[data-disabled] { opacity: .4; pointer-events: none; }
.edit .segments span { padding: .1rem .5rem; min-width: 2rem; }
.named { display: inline-flex !important; align-items: center; gap: .35rem; padding: 0 !important; min-width: 0 !important; min-height: 0 !important; box-shadow: none !important; }
.swatch { width: .85rem; height: .85rem; min-width: 0 !important; min-height: 0 !important; padding: 0 !important; border-radius: 4px !important; box-shadow: 0 0 0 1px rgb(128 128 128 / .6) !important; }
.drawing { display: flex; gap: .8rem; align-items: flex-end; }
.pad {
  position: relative; width: 8rem; flex: none; aspect-ratio: 1; border-radius: 8px; background: var(--well); color: var(--ink);
  box-shadow: inset 0 0 0 1px var(--line); cursor: crosshair; touch-action: none; user-select: none; -webkit-user-select: none;
}
.pad[data-empty]::before { content: "draw here"; position: absolute; inset: 0; display: grid; place-items: center; color: var(--soft); font-size: .8rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .4rem; }
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
