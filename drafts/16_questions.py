"""Rows for chapter 17's table, once chapter 16 is in the book: python drafts/16_questions.py, before land.py, which removes it; then `python -m tools.execute 17_questions`."""

import json
from pathlib import Path

NOTEBOOK = Path("notebooks/17_questions.ipynb")
CHANGES = {
    "ask-101": [
        (
            '    ("MB held for 16,384 tokens, by a kernel"',
            '    ("a scene in words: exact captions, 1,000 steps", "ch16", "seen: exact")\n'
            '    + ("words: decoder", "mean of the places", "words: pooled"),\n'
            '    ("MB held for 16,384 tokens, by a kernel"',
        )
    ],
    "ask-102": [
        (
            '    ("cued search as in question 2, all 2,400 steps"',
            '    ("100 labels, after pictures without; the rival without these", "ch16", "tuned")\n'
            '    + ("labels: attention, patient", "convolution")\n'
            '    + ("labels: convolution, from scratch",),\n'
            '    ("a scene in words: exact captions, 1,000 steps, by choice", "ch16")\n'
            '    + ("seen: exact", "words: decoder, both", "convolutions, at once")\n'
            '    + ("words: convolutions, free",),\n'
            '    ("stereo, a real pair: off by more than 1 px", "ch16")\n'
            '    + ("real: off by 1 visible", "stereo: one step", "census on paths")\n'
            '    + ("stereo: census, 5, paths",),\n'
            '    ("cued search as in question 2, all 2,400 steps"',
        )
    ],
    "ask-103": [('"ch15": "15_scale.ipynb"}', '"ch15": "15_scale.ipynb"}\nPAGES["ch16"] = "16_beyond.ipynb"')],
    "ask-105": [
        (
            "one_digit, digit_later, many_pictures, *rest = margins(WEAKNESSES)\n",
            "one_digit, digit_later, many_pictures, *rest = margins(WEAKNESSES)\nfew_labels, in_words, real_pair, *rest = rest\n",
        ),
        (
            'claim("question 2, 2,400 steps: less linear',
            'claim("100 labels: attention, less a convolution without the pictures", few_labels, "<= -0.05")\n'
            'claim("captions: word by word, less at once by choice", in_words, "in [-0.1, 0.0]")\n'
            'claim("real pair: pixels off, more than the census has", real_pair, "in [0.02, 0.05]")\n'
            'claim("question 2, 2,400 steps: less linear',
        ),
    ],
    "ask-009": [
        (
            "{doc}`14_simplify` and {doc}`15_scale`, whose numbers",
            "{doc}`14_simplify`, {doc}`15_scale` and {doc}`16_beyond`, whose numbers",
        )
    ],
}


def put(notebook):
    """Each change, in the cell whose name it stands under."""
    cells = {cell["id"]: cell for cell in notebook["cells"]}
    for name, changes in CHANGES.items():
        source = "".join(cells[name]["source"])
        for old, new in changes:
            if source.count(old) != 1:
                raise SystemExit(f"{name}: {source.count(old)} times {old[:60]!r}")
            source = source.replace(old, new)
        cells[name]["source"] = source.splitlines(keepends=True)


if __name__ == "__main__":
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf8"))
    put(notebook)
    NOTEBOOK.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf8")
