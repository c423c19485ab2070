// A click on a picture and the network's two answers: the masks of the part and of the whole, each with its score.

import { QUERY } from "../../explorer/js/colours.js";
import { segments } from "../../explorer/js/controls.js";
import { h, instruction, set } from "../../explorer/js/dom.js";
import { paint, rectOf, stroke } from "../../explorer/js/drawing.js";
import { nameOf, NOWHERE } from "../../explorer/js/places.js";
import { stage } from "../../explorer/js/stage.js";
import { answerOf } from "./click_answer.js";
import { CLICK_CSS } from "./click_style.js";
import { framed } from "./frame.js";
import { maskPanes, outlineMasks } from "./mask_panes.js";
import { canvasOf, pixelsOf } from "./pixels.js";
import { firstSeen, questions } from "./questions.js";

const SIDE = 64;
const PLACES = { kind: "grid", rows: SIDE, cols: SIDE };

export function mountLive({ title, caption, network, pictures }, el) {
  if (!el) return;  // an equal figure's script took it
  el.dataset.ready = "";
  const images = pictures.map(pixelsOf), canvases = images.map((image) => canvasOf(image, SIDE));
  // the picture that is seen, where the cursor is, where the last click was, and what came of it
  const state = { picture: 0, cursor: 0, clicked: 0, answer: null };

  // -- parts

  const view = stage({
    label: "Picture", hint: "hint", aspect: 1, places: PLACES, draw: drawPicture, from: () => state.cursor, hover: () => {},
    press: (place) => point(place === NOWHERE ? state.clicked : place),
  });
  const panes = maskPanes(PLACES), answer = h("dl"), where = h("span", { class: "where" });
  const choice = segments("Picture", pictures.map(({ name }, i) => h("div", { class: "pick" }, canvasOf(images[i], SIDE), name)), choose);
  const here = h("button", { type: "button", onclick: click }, "Click at the cross");
  set(view.node, {
    onpointerup: (event) => { if (event.button === 0) click(); },
    onpointercancel: () => point(state.clicked),  // the page was scrolled
    onkeydown: (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      click();
    },
  });

  // -- showing

  function drawPicture(ctx, size) {
    paint(ctx, canvases[state.picture], size);
    if (state.answer) outlineMasks(ctx, state.answer, PLACES, size);
    const [x, y, side] = rectOf(PLACES, state.clicked, size);
    ctx.beginPath();
    ctx.arc(x + side / 2, y + side / 2, 5, 0, 2 * Math.PI);
    ctx.fillStyle = QUERY;
    ctx.fill();
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = "#fff";
    ctx.stroke();
    if (state.cursor !== state.clicked) drawCross(ctx, rectOf(PLACES, state.cursor, size));
  }

  function show() {
    const place = nameOf(PLACES, state.cursor);
    where.textContent = place;
    here.disabled = state.cursor === state.clicked;
    set(view.node, {
      "aria-valuenow": state.cursor + 1, "aria-valuetext": `${place}, ${here.disabled ? "clicked" : "press Enter to click"}`,
    });
    view.redraw();
  }

  function showAnswer() {
    panes.update(canvases[state.picture], state.answer);
    answer.replaceChildren(...(state.answer?.terms ?? []).map(([term, value, note]) =>
      h("div", {}, h("dt", {}, term), h("dd", {}, h("b", {}, value), " ", h("span", {}, note)))));
    show();
  }

  // -- what the reader does

  function point(place) {
    state.cursor = place;
    show();
  }

  function click() {
    state.clicked = state.cursor;
    show();
    ask.about({ picture: state.picture, row: Math.floor(state.clicked / SIDE), col: state.clicked % SIDE });
  }

  function choose(picture) {
    const [row, col] = pictures[picture].start;
    Object.assign(state, { picture, cursor: row * SIDE + col, answer: null });
    click();
    showAnswer();
  }

  // -- asking the network

  const ask = questions({ network, pictures: images }, { engine, host: () => host, answered, failed: (error) => answered(null, error) });

  function answered(found, error) {
    if (found && found.picture !== state.picture) return;  // another was chosen meanwhile, and asked about
    state.answer = found && answerOf(found, PLACES);
    showAnswer();
    if (error) return failed(error);
    say(state.answer.sentence);
    host.dataset.ready = "";
  }

  const { host, say, failed } = framed(el, { title, caption, look: CLICK_CSS },
    h("div", { class: "live" },
      h("div", { class: "picture" }, h("div", { class: "head source" }, h("b", {}, "Picture"), where), view.node),
      answer,
      h("div", { class: "edit" }, choice.node, here,
        h("p", { class: "note", id: "hint" }, instruction(
          "Tap a thing.",
          "Click a thing. Or move the cross with the arrow keys, Home, End, Page Up and Page Down, and press Enter."))),
      h("div", { class: "beside" }, h("div", { class: "head" }, h("b", {}, "What may be meant")), panes.node)));
  choice.show(0);
  choose(0);
  firstSeen(host, ask.start);
}

// Where the keys have led
function drawCross(ctx, [x, y, side]) {
  const [middle, level] = [x + side / 2, y + side / 2];
  ctx.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    ctx.moveTo(middle + 4 * dx, level + 4 * dy);
    ctx.lineTo(middle + 13 * dx, level + 13 * dy);
  }
  stroke(ctx, "#fff", 2);
}
