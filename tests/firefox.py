"""Firefox for tests: launched headless and driven over WebDriver BiDi, which it speaks itself, with no driver program.

`Firefox().open(path)`, then `evaluate`, `click`, `press`, `screenshot`; like a reader's Firefox it keeps files apart
(`security.fileuri.strict_origin_policy`), and it cannot reach any network. https://www.w3.org/TR/webdriver-bidi/
"""

import base64
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = (
    "firefox-esr",
    "firefox",
    "/Applications/Firefox.app/Contents/MacOS/firefox",
    r"C:\Program Files\Mozilla Firefox\firefox.exe",
)
PREFERENCES = {
    "remote.prefs.recommended": False,  # Firefox would relax strict_origin_policy, among much else, because it is driven
    "security.fileuri.strict_origin_policy": True,
    "network.proxy.type": 1,  # every host is asked for at a port where nobody listens
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.allow_hijacking_localhost": True,
    "services.settings.server": "data:,#nothing",  # of its own accord it asks for nothing, such as wallpapers for its first page
    "browser.newtabpage.enabled": False,
    "browser.newtab.preload": False,
    "browser.startup.page": 0,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "termsofuse.bypassNotification": True,
    "ui.prefersReducedMotion": 1,
}
KEYS = {"Tab": "\ue004", "Home": "\ue011", "End": "\ue010", "Escape": "\ue00c", "Enter": "\ue007"}
KEYS |= {"ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015"}


def find_firefox():
    """The path of an installed Firefox, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Firefox:
    """One headless Firefox with a fresh profile and one tab; a context manager that ends it.

    Attributes:
        errors: texts of the errors that the open page wrote to the console or threw.
        requests: addresses that it asked for over the network.
    """

    def __init__(self, program, seconds=60):
        """Launch the program found by `find_firefox`, and wait at most so many seconds for its start and for each answer."""
        import websocket  # websocket-client, which comes with jupyter-server

        self._profile = tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True)
        folder = Path(self._profile.name)
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
        (folder / "user.js").write_text("".join(lines), "utf8")
        command = [program, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port=0"]
        self._log = (folder / "log").open("w+", encoding="utf8", errors="replace")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        self._socket, self._numbers = None, itertools.count(1)
        self.errors, self.requests = [], []
        try:
            address = f"{self._listening(folder / 'log', seconds)}/session"
            self._socket = websocket.create_connection(address, timeout=seconds, suppress_origin=True)
            self.command("session.new", capabilities={})
            self.command("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
            self._tab = self.command("browsingContext.getTree")["contexts"][0]["context"]
        except BaseException:
            self.close()
            raise

    def _listening(self, log, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"WebDriver BiDi listening on (\S+)", log.read_text("utf8", errors="replace")):
                return found[1]
            time.sleep(0.05)
        raise TimeoutError(f"Firefox does not listen after {seconds} s:\n{log.read_text('utf8', errors='replace')[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """End Firefox and remove its profile."""
        if self._socket is not None:
            self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._profile.cleanup()

    def command(self, method, **params):
        """The result of one BiDi command, or a RuntimeError; events that come before it go to `errors` and `requests`."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message["type"] == "event":
                self._keep(message["method"], message["params"])
            elif message["id"] == number:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
                return message["result"]

    def _keep(self, event, params):
        if event == "network.beforeRequestSent":
            address = params["request"]["url"]
            if not address.startswith(("file:", "data:", "blob:")):
                self.requests.append(address)
        elif params["level"] == "error":
            self.errors.append(params["text"])

    def open(self, path, *, width=1280, height=900):
        """Load a file (or an address) in a window of width × height CSS px and wait for its load event."""
        self.errors.clear()
        self.requests.clear()
        self.resize(width, height)
        url = path.resolve().as_uri() if isinstance(path, Path) else path
        self.command("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def resize(self, width, height):
        """Give the window another size in CSS px."""
        self.command("browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height})

    def evaluate(self, script, argument=None):
        """The value, through JSON, of a JavaScript expression; a function is called with `argument`, a promise is awaited."""
        expression = (
            f"(async () => {{ const it = ({script}\n); const value = typeof it === 'function' ? it({json.dumps(argument)}) : it;"
        )
        expression += " return JSON.stringify(await value) ?? 'null'; })()"
        done = self.command("script.evaluate", expression=expression, target={"context": self._tab}, awaitPromise=True)
        if done["type"] == "exception":
            raise RuntimeError(done["exceptionDetails"]["text"])
        return json.loads(done["result"]["value"])

    def wait_for(self, script, seconds=10):
        """Wait until the JavaScript expression is true; TimeoutError after so many seconds."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(script):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds} s not true: {script}; console: {self.errors}")
            time.sleep(0.05)

    def click(self, x, y, kind="mouse"):
        """Press and release at a point in CSS px of the window, with a "mouse" or by "touch"."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y)}]
        moves += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._act(type="pointer", id=kind, parameters={"pointerType": kind}, actions=moves)

    def press(self, key):
        """Press and release one key: a character, or a name as in KEYS."""
        value = KEYS.get(key, key)
        self._act(type="key", id="keys", actions=[{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}])

    def _act(self, **source):
        self.command("input.performActions", context=self._tab, actions=[source])

    def screenshot(self, whole=False):
        """PNG bytes of the window, or of the whole page."""
        origin = "document" if whole else "viewport"
        return base64.b64decode(self.command("browsingContext.captureScreenshot", context=self._tab, origin=origin)["data"])
