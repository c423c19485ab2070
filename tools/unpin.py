"""Take the pins out of the requirement files, for the weekly test with the newest versions of everything but Jupyter Book.

    python -m tools.unpin

This changes requirements.txt and book/requirements.txt in place; `git checkout` brings the pins back.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = [ROOT / "requirements.txt", ROOT / "book" / "requirements.txt"]
KEPT = "jupyter-book"  # from version 2 on it is another program


def unpin(text):
    """The lines of a requirement file without versions and without constraints; names, markers and comments stay."""
    lines = [line for line in text.splitlines() if not line.startswith("-c ")]
    return "".join((line if line.startswith(KEPT) else re.sub(r"^([\w.-]+)==[^\s;#]+", r"\1", line)) + "\n" for line in lines)


if __name__ == "__main__":
    for path in FILES:
        path.write_text(unpin(path.read_text(encoding="utf8")), encoding="utf8")
