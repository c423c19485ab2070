// The look of what only a click's figure has.

export const CLICK_CSS = `
.live { grid-template: "picture maps" auto "picture answer" auto "picture edit" 1fr / 1fr 1fr; }
.pick { display: grid; justify-items: center; gap: .15rem; font-size: .76rem; }
.pick canvas { position: static; width: 2.75rem; height: 2.75rem; border-radius: 6px; image-rendering: pixelated; }
.kind::before {
  content: ""; display: inline-block; width: 1.3em; margin-right: .4em; vertical-align: .25em; border-top: 3px var(--dash) var(--colour);
}
.edit > button { justify-self: start; }
@container (max-width: 520px) {
  .live { grid-template: "picture" "maps" "answer" "edit" / minmax(0, 1fr); }
  .maps { grid: auto / 1fr 1fr; }
}
`;
