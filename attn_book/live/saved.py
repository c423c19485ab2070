"""Trained weights for the page, from the files that `python -m evidence.live` writes."""

import json

from attn_book.live.packing import Packed
from attn_book.runs import RESULTS

FOLDER = RESULTS / "live"


def load(name: str) -> Packed:
    """Weights of results/live/, from whatever folder the chapter runs in.

    Args:
        name: of the file, such as "ch07".

    Raises:
        FileNotFoundError: there is no such file; the error says how it is made.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json"))) or "nothing"
        raise FileNotFoundError(
            f"results/live/{name}.json is not in the checkout that attn_book was imported from ({RESULTS.parent}); there is {there}. "
            f"It comes with a checkout of the book and is made by `python -m evidence.live {name.removeprefix('ch')}`."
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    return Packed(content["text"], content["tensors"])
