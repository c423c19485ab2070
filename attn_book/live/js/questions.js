// One question to the model at a time; of those that come while it thinks, the newest is kept.

import { startEngine } from "./engine.js";

// answered(found) gets what the engine's `answer` returns. about(…) asks, start() starts the engine; until then it waits.
export function questions(model, { engine, host, answered, failed }) {
  let ask = null, newest = null, busy = false;

  async function next() {
    if (!ask || busy || !newest) return;
    const question = newest;
    newest = null;
    busy = true;
    try {
      answered(await ask("answer", ...question));
    } catch (error) {
      failed(error);
    }
    busy = false;
    next();
  }

  const about = (...question) => {
    newest = question;
    next();
  };
  const start = async () => {
    try {
      const started = await startEngine(engine);
      host().dataset.where = started.where;
      await started("load", model);
      ask = started;
      next();
    } catch (error) {
      failed(error);
    }
  };
  return { about, start };
}

// Calls f once, as soon as the node is seen.
export function firstSeen(node, f) {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    f();
  });
  observer.observe(node);
}
