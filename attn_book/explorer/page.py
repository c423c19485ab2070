"""The static form of an explorer, or of another figure that a script draws: one string of HTML with everything in it."""

import html
import json
import zlib

from attn_book.explorer.modules import joined
from attn_book.explorer.packing import FEW_VALUES, FINE_LEVELS, LEVELS, as_text, packed_maps

MAX_BYTES = 300_000  # of the whole static form: module, pictures and maps
STILL_BYTES = 12_000  # of them, kept free for the still pictures and their sentence

# The page's theme puts a light box behind outputs and pictures, in the dark too: not behind ours.
STYLE = (
    ".text_html.text_html:has(>.attn-explorer){background:none!important;color:inherit!important;padding:0!important;"
    "overflow:visible!important}.attn-explorer figure{margin:0}"
    "html .attn-explorer figure img{background:none!important;padding:0!important;max-width:49%;margin-right:1%}"
)


def within_bounds(page, title):
    """The page itself, where it takes no more than `MAX_BYTES`; else ValueError."""
    if len(page.encode()) > MAX_BYTES:
        raise ValueError(f"{title}: takes {len(page.encode()):,} bytes on the page; an explorer may take {MAX_BYTES:,}")
    return page


def static_page(state, data, stills, summary):
    """The joined module, and one call of it with the data; before it, for pages without scripts, what is seen at the start.

    Args:
        state: values of the widget's traits query, choice, view and _spec.
        data: bytes of the maps.
        stills: pairs (what it shows, data URL) of small pictures.
        summary: the sentence under them.
    """
    title, state = state["_spec"]["title"] or "Explorer", {**state, "_data": as_text(data)}
    sentence = summary[:1].upper() + summary[1:]
    return self_contained(joined(), "mountStatic", state, title, stills, sentence, "run the cell, or allow scripts, to explore")


def self_contained(module, mount, payload, title, stills, sentence, invitation):
    """A figure that a script draws, as HTML that stands in any page, any number of times, with no network.

    Args:
        module: text of an ES module.
        mount: its function that draws the figure: mount(payload, element).
        payload: what JSON can write.
        title: names the figure.
        stills: pairs (what it shows, data URL) of small pictures, seen until the script has run.
        sentence: says what they show.
        invitation: how to get more than that.
    """
    title = html.escape(title)
    payload = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    payload = payload.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    key = f"{zlib.crc32(payload.encode()):08x}"
    pictures = "".join(f'<img src="{url}" alt="{title}, {what}">' for what, url in stills)
    return f"""<style>{STYLE}</style>
<div class="attn-explorer" data-key="{key}"><figure role="group" aria-label="{title}">{pictures}
<figcaption><strong>{title}</strong> – {html.escape(sentence)}. <em>A still: {invitation}.</em></figcaption></figure></div>
<script type="module">
{module}
{mount}({payload}, document.querySelector('.attn-explorer[data-key="{key}"]:not([data-ready])'));
</script>"""


def fitted(spec, maps):
    """Spec and data of the finest quantisation whose static page fits into MAX_BYTES.

    Raises:
        ValueError: not even the coarsest fits.
    """
    for levels in (FINE_LEVELS,) if maps.size <= FEW_VALUES else LEVELS:
        data, distribution = packed_maps(maps, len(spec["selectors"]), levels)
        spec = {**spec, "levels": levels, "distribution": distribution}
        state = {"query": 0, "choice": {}, "view": "overlay", "_spec": spec}
        size = len(static_page(state, data, (), "").encode()) + STILL_BYTES
        if size <= MAX_BYTES:
            return spec, data
    raise ValueError(
        f"maps: {maps.shape} needs {size:,} bytes on the page even at {levels} levels; an explorer may take {MAX_BYTES:,}."
        " Use fewer queries, a coarser map (mean over 2 × 2 keys) or fewer options of a selector."
    )
