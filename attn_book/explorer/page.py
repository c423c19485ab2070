"""The static form of an explorer: one string of HTML with everything in it."""

import base64
import html
import json
import pathlib
import re
import zlib

MAX_BYTES = 300_000  # of the whole static form: module, pictures and maps
STILL_BYTES = 12_000  # of them, kept free for the still picture and its sentence
SOURCE = pathlib.Path(__file__).with_name("explorer.js")


def static_page(state, data, still, summary):
    """Module source + ten lines that stand in for the kernel's model + the data."""
    title = state["_spec"]["title"] or "Explorer"
    payload = json.dumps({**state, "_data": base64.b64encode(data).decode()}, separators=(",", ":"), ensure_ascii=False)
    payload = payload.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    key = f"{zlib.crc32(payload.encode()):08x}"
    title, summary = html.escape(title), html.escape(summary[:1].upper() + summary[1:])
    picture = f'<img src="{still}" alt="{title}, at the start" style="max-width:100%">' if still else ""
    return f"""<div class="attn-explorer" data-key="{key}"><figure role="group" aria-label="{title}" style="margin:0">{picture}
<figcaption><strong>{title}</strong> – {summary}. <em>A still: run the cell, or allow scripts, to explore.</em></figcaption></figure></div>
<script type="module">
{_module()}
const state = {payload};
state._data = new DataView(Uint8Array.from(atob(state._data), (c) => c.charCodeAt(0)).buffer);
const handlers = {{}};
const model = {{
  get: (name) => state[name],
  set: (name, value) => {{ state[name] = value; (handlers["change:" + name] || []).forEach((f) => f()); }},
  on: (event, f) => {{ (handlers[event] ||= []).push(f); }},
  off: () => {{}},
  save_changes: () => {{}},
}};
const el = document.querySelector('.attn-explorer[data-key="{key}"]:not([data-ready])');
if (el) {{ el.dataset.ready = ""; mountStatic({{ model, el }}); }}
</script>"""


def _module():
    """explorer.js without its comments and indentation, which readers of a page need not load."""
    return re.sub(r"^\s*//.*\n|^[ \t]+", "", SOURCE.read_text("utf-8"), flags=re.MULTILINE)
