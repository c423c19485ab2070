// A model beside the page: in a worker, so that the page stays responsive, or in the page itself where a worker is refused.

// engine() → an object of functions, and closes over nothing: the worker is made from its text. Returns, when it is ready,
// ask(name, ...arguments), which answers later what the function of that name returns; ask.where says where it runs.
export function startEngine(engine) {
  return new Promise((resolve) => {
    const here = () => {
      const functions = engine();
      resolve(Object.assign(async (name, ...args) => functions[name](...args), { where: "page" }));
    };
    try {
      inWorker(engine, resolve, here);
    } catch {
      here();
    }
  });
}

function inWorker(engine, ready, refused) {
  const url = URL.createObjectURL(new Blob([`(${serve})((${engine})())`], { type: "text/javascript" }));
  const worker = new Worker(url);  // a classic one: Chromium refuses module workers from a file
  const waiting = new Map();
  let asked = 0, up = false;
  const ask = (name, ...args) => new Promise((resolve, reject) => {
    waiting.set(asked, { resolve, reject });
    worker.postMessage([asked++, name, args]);
  });
  worker.onmessage = ({ data: [question, value, error] }) => {
    if (question === null) {
      up = true;
      URL.revokeObjectURL(url);
      ready(Object.assign(ask, { where: "worker" }));
      return;
    }
    const { resolve, reject } = waiting.get(question);
    waiting.delete(question);
    if (error) reject(new Error(error));
    else resolve(value);
  };
  worker.onerror = (event) => {  // a page's policy says only here that it wants no worker
    event.preventDefault();
    if (!up) refused();
  };
}

// Runs in the worker.
function serve(functions) {
  onmessage = async ({ data: [question, name, args] }) => {
    try {
      postMessage([question, await functions[name](...args)]);
    } catch (error) {
      postMessage([question, null, String(error)]);
    }
  };
  postMessage([null]);
}
