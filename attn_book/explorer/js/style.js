// The look of the explorer, inside its shadow root: nothing of the page leaks in, nothing of it out.

export const CSS = `
:host {
  --surface: #ffffff; --ink: #1d2733; --soft: #566373; --line: #dfe4ea; --well: #eff2f5; --raised: #ffffff;
  --accent: #00619a; --query: #b34e00; --on-query: #ffffff;
  display: block; container-type: inline-size; contain-intrinsic-inline-size: 18rem; color-scheme: light;
}
:host([data-theme="dark"]) {
  --surface: #171f28; --ink: #e4eaf0; --soft: #a3b1be; --line: #303c48; --well: #232e3a; --raised: #415063;
  --accent: #6cbcec; --query: #ff8a3d; --on-query: #1a0f05;
  color-scheme: dark;
}
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.card {
  margin: 0; padding: 1.1rem 1.2rem .9rem; border: 1px solid var(--line); border-radius: 14px; background: var(--surface);
  color: var(--ink);
  font: 400 .9rem/1.45 var(--pst-font-family-base, var(--jp-ui-font-family, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif));
  text-align: left;
}
p, dl, dd, ul, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
.title { font-size: 1.1rem; font-weight: 650; line-height: 1.3; text-wrap: balance; }
.caption { margin-top: .2rem; color: var(--soft); max-width: 80ch; text-wrap: pretty; }
.controls { display: flex; flex-wrap: wrap; gap: .7rem 1.4rem; margin-top: .9rem; }
.name, .head b, dt, .legend b { font-size: .76rem; font-weight: 600; letter-spacing: .02em; color: var(--soft); padding: 0; }
.segments {
  display: flex; flex-wrap: wrap; margin-top: .25rem; padding: 3px; border-radius: 10px; background: var(--well);
  width: fit-content;
}
.segments label, .words label { position: relative; cursor: pointer; }
.segments input, .words input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.segments span {
  display: grid; place-items: center; min-width: 2.3rem; min-height: 1.9rem; padding: .1rem .7rem; border-radius: 8px;
  font-variant-numeric: tabular-nums; text-align: center; line-height: 1.25;
}
.segments input:checked + span {
  background: var(--raised); font-weight: 600; box-shadow: 0 0 0 1px rgb(0 0 0 / .06), 0 1px 3px rgb(0 0 0 / .16);
}
.segments input:focus-visible + span, .words input:focus-visible + span, .stage:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px;
}
.slider { flex: 1 1 11rem; max-width: 20rem; }
.slider .name, .ends { display: flex; justify-content: space-between; gap: 1rem; }
.ends { font-size: .76rem; color: var(--soft); }
output { color: var(--ink); font-variant-numeric: tabular-nums; }
input[type="range"] { width: 100%; height: 1.9rem; margin: .25rem 0 0; accent-color: var(--accent); }
.quiet .segments { margin: 0; padding: 2px; border-radius: 8px; }
.quiet .segments span { min-height: 1.45rem; padding: 0 .55rem; border-radius: 6px; font-size: .76rem; }
.panes {
  display: grid; grid-template: "source target" auto "hint legend" auto "stats stats" auto / 1fr 1fr; gap: .75rem 1.25rem;
  margin-top: 1rem;
}
.panes.words-picture {
  grid-template: "source target" auto "stats target" auto "legend target" auto "hint target" 1fr / minmax(9rem, 2fr) 3fr;
}
.panes.picture-words { grid-template: "source target" auto "source stats" 1fr "hint hint" auto / 1fr 1fr; }
.panes.words-words { grid-template: "source target" auto "hint stats" auto / 1fr 1fr; }
.panes.stacked { grid-template: "source" "target" "legend" "stats" "hint" / minmax(0, 1fr); }
.source { grid-area: source; } .target { grid-area: target; } .hint { grid-area: hint; } .legend { grid-area: legend; } dl { grid-area: stats; }
.picture-words .legend, .words-words .legend { display: none; }
.pane { min-width: 0; display: flex; flex-direction: column; }
.head { display: flex; gap: .6rem; align-items: center; margin-bottom: .45rem; min-height: 1.75rem; }
.head .where {
  font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
}
.head .quiet { margin-left: auto; }
.source .head b::before, .strongest dt::before {
  content: ""; display: inline-block; width: .72em; height: .72em; margin-right: .45em; border: 2px solid #ff7a1a;
  border-radius: 3px;
}
.strongest dt::before { border-color: var(--ink); border-radius: 50%; }
.stage {
  position: relative; width: 100%; max-width: calc(28rem * var(--aspect)); aspect-ratio: var(--aspect); border-radius: 8px;
  min-width: 4rem; min-height: 4rem; max-height: 28rem; flex: none;
  cursor: crosshair; touch-action: pan-y pinch-zoom; background: var(--well); user-select: none; -webkit-user-select: none;
}
.stage::after {
  content: ""; position: absolute; inset: 0; border-radius: inherit; box-shadow: inset 0 0 0 1px rgb(128 128 128 / .28);
  pointer-events: none;
}
canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; border-radius: inherit; }
.words { display: flex; flex-wrap: wrap; gap: .4rem; }
.words span { display: block; padding: .35rem .8rem; border-radius: 999px; background: var(--well); }
.words label:hover span { box-shadow: inset 0 0 0 1.5px var(--query); }
.words input:checked + span { background: var(--query); color: var(--on-query); font-weight: 600; }
.bars { list-style: none; display: grid; grid-template-columns: minmax(3rem, auto) 1fr auto; gap: .45rem .75rem; }
.bars li { display: grid; grid-template-columns: subgrid; grid-column: 1 / -1; align-items: center; }
.bars .word { overflow-wrap: anywhere; max-width: 9rem; }
.bars .track { height: 1.15rem; border-radius: 4px; background: var(--well); overflow: hidden; }
.bars .bar { display: block; height: 100%; border-radius: 0 3px 3px 0; }
.bars .value { text-align: right; font-variant-numeric: tabular-nums; }
.bars .best .word, .bars .best .value { font-weight: 650; }
.legend {
  display: flex; align-items: center; gap: .5rem; font-size: .8rem; font-variant-numeric: tabular-nums; align-self: start;
}
.ramp { position: relative; flex: 1; height: .65rem; border-radius: 3px; }
.tick {
  position: absolute; top: -3px; bottom: -3px; width: 3px; margin-left: -1.5px; background: var(--ink);
  box-shadow: 0 0 0 1.5px var(--surface); border-radius: 2px;
}
dl {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(9.5rem, 100%), 1fr)); gap: .6rem 1rem;
  padding-top: .75rem; border-top: 1px solid var(--line); align-self: start;
}
dd { min-height: 1.75rem; font-size: .84rem; color: var(--soft); font-variant-numeric: tabular-nums; }
dd span { white-space: nowrap; }
dd b { font-size: 1.12rem; font-weight: 650; color: var(--ink); margin-right: .15rem; }
.hint { font-size: .78rem; color: var(--soft); }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@container (max-width: 520px) {
  .card { padding: .9rem .85rem .8rem; }
  .panes, .panes.words-picture, .panes.picture-words, .panes.words-words {
    grid-template: "source" "target" "legend" "stats" "hint" / minmax(0, 1fr); gap: .7rem;
  }
  .stage { margin-inline: auto; max-width: calc(22rem * var(--aspect)); }
  dl { grid-template-columns: repeat(2, 1fr); }
  .probe { grid-column: 1 / -1; }
}
@media (pointer: coarse) {
  .control .segments span, .words span { min-height: 2.75rem; display: grid; place-items: center; min-width: 2.75rem; }
}
@media (prefers-reduced-motion: no-preference) {
  .segments span, .words span { transition: background-color .15s, box-shadow .15s; }
}
@media (forced-colors: active) { .segments input:checked + span, .words input:checked + span { outline: 2px solid Highlight; } }
`;
