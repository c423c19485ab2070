"""Trained weights for the page, from the files that `python -m evidence.live` writes."""

from attn_book import runs
from attn_book.live.packing import Packed

FOLDER = runs.RESULTS / "live"


def load(name: str) -> Packed:
    """Weights of results/live/, from whatever folder the chapter runs in.

    Args:
        name: of the file, such as "ch07".

    Raises:
        FileNotFoundError: there is no such file; the error says how it is made.
    """
    content = runs.read(f"live/{name}", f"`python -m evidence.live {name.removeprefix('ch')}`")
    return Packed(content["text"], content["tensors"])
