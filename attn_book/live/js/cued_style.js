// The look of what only the figure of cued search has.

export const CUED_CSS = `
.handle { position: absolute; width: 25%; height: 25%; cursor: grab; touch-action: none; }
.handle:active { cursor: grabbing; }
.edit fieldset[disabled], .pad[data-disabled] { opacity: .4; pointer-events: none; }
.named { display: inline-flex !important; align-items: center; gap: .35rem; padding: 0 !important; min-width: 0 !important; min-height: 0 !important; box-shadow: none !important; }
.swatch { width: .85rem; height: .85rem; min-width: 0 !important; min-height: 0 !important; padding: 0 !important; border-radius: 4px !important; box-shadow: 0 0 0 1px rgb(128 128 128 / .6) !important; }
.drawing { display: flex; gap: .8rem; align-items: flex-end; }
.pad {
  position: relative; width: 8rem; flex: none; aspect-ratio: 1; border-radius: 8px; background: var(--well); color: var(--ink);
  box-shadow: inset 0 0 0 1px var(--line); cursor: crosshair; touch-action: none; user-select: none; -webkit-user-select: none;
}
.pad[data-empty]::before { content: "draw here"; position: absolute; inset: 0; display: grid; place-items: center; color: var(--soft); font-size: .8rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .4rem; }
.switches { display: flex; flex-wrap: wrap; gap: .4rem .9rem; margin-bottom: .6rem; }
.maps figure[data-off] canvas { opacity: .3; }
`;
