"""What runs beside the page: one question at a time, the newest kept, and errors told wherever it runs."""

import pytest

# A model that takes 40 ms for an answer, and its asker; `asked` are the questions, all but the first while it thinks.
ASKER = """new Promise((resolve) => {
  const engine = () => {
    let at_work = 0, loaded;
    return {
      load(model) { if (model === "broken") throw new Error("no such weights"); loaded = model; },
      async answer(question) {
        if (at_work++) throw new Error("two questions at once");
        await new Promise((done) => setTimeout(done, 40));
        at_work--;
        if (question === "bad") throw new Error("a bad question");
        return `${loaded}: ${question}`;
      },
    };
  };
  const { Worker } = globalThis;
  if (refuse) globalThis.Worker = class { constructor() { throw new Error("refused"); } };
  const told = [], heard = (text) => {
    told.push(text);
    if (told.length === wanted) setTimeout(() => resolve([host.dataset.where, ...told]), 100);
  };
  const host = document.body;
  const ask = questions(model, { engine, host: () => host, answered: heard, failed: (error) => heard(`failed: ${error.message}`) });
  asked.slice(0, 1).forEach(ask.about);
  ask.start().then(() => {
    Object.assign(globalThis, { Worker });
    asked.slice(1).forEach(ask.about);
  });
})"""


@pytest.mark.parametrize(("refuse", "where"), [(False, "worker"), (True, "page")])
def test_one_question_at_a_time_and_the_newest_kept(javascript, refuse, where):
    values = {"refuse": refuse, "model": "m", "asked": ["first", "second", "third", "last"], "wanted": 2}
    assert javascript("questions.js")(ASKER, **values) == [where, "m: first", "m: last"]


@pytest.mark.parametrize(("refuse", "where"), [(True, "page"), (False, "worker")])
def test_errors_are_told_and_the_next_question_is_answered(javascript, refuse, where):
    evaluate = javascript("questions.js")
    bad = {"refuse": refuse, "model": "m", "asked": ["bad", "good"], "wanted": 2}
    place, failed, answered = evaluate(ASKER, **bad)
    assert place == where
    assert failed.startswith("failed: ")
    assert failed.endswith("a bad question")
    assert answered == "m: good"
    broken = {"refuse": refuse, "model": "broken", "asked": ["first"], "wanted": 1}
    assert evaluate(ASKER, **broken)[1].endswith("no such weights")
