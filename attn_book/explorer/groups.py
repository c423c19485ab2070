"""Patches of a picture that became one token, drawn on it while a slider makes them fewer, and the network's answer beside it."""

import numpy as np

from attn_book.arrays import as_array
from attn_book.explorer.modules import FOLDER, joined
from attn_book.explorer.packing import as_text, data_url, resized
from attn_book.explorer.page import self_contained, within_bounds

DROPPED = 255  # the byte that stands for -1
MOST_GROUPS = 255


class Groups:
    """A figure that shows as the last expression of a cell: HTML with everything in it, live and on the page alike.

    Args:
        pictures: (P, H, W), values in [0, 1], 1 = ink.
        groups: (ways, steps, P, h, w), whole numbers: patches of one number are one token; -1 for patches that were dropped.
        answers: (ways, steps, P, classes), the network's shares, which sum to 1.
        ways: a name for each way to have fewer tokens.
        truth: (P,), the right class of each picture.
        names: of the pictures.
        title: names the figure.
        caption: what to try.

    Raises:
        ValueError: sizes that do not fit, patches that do not tile the picture, more than 255 groups, steps with another number of tokens
            for one way than for another, or more than `MAX_BYTES` on the page.
    """

    def __init__(self, pictures, groups, answers, *, ways, truth, names, title, caption):
        pictures, groups, answers = (
            as_array(x, name) for x, name in ((pictures, "pictures"), (groups, "groups"), (answers, "answers"))
        )
        if pictures.ndim != 3 or groups.ndim != 5 or answers.ndim != 4:
            shapes = pictures.shape, groups.shape, answers.shape
            raise ValueError(
                "pictures (P, H, W), groups (ways, steps, P, h, w), answers (ways, steps, P, classes); got {}, {}, {}".format(
                    *shapes
                )
            )
        P, H, W = pictures.shape
        h, w = groups.shape[3:]
        if groups.shape[:3] != answers.shape[:3] or groups.shape[2] != P or len(ways) != len(groups):
            raise ValueError(f"{len(ways)} ways and {P} pictures do not fit groups {groups.shape} and answers {answers.shape}")
        if len(names) != P or len(truth) != P:
            raise ValueError(f"names and truth must hold one entry for each of {P} pictures, got {len(names)} and {len(truth)}")
        if H % h or W % w:
            raise ValueError(f"{h} × {w} patches do not tile pictures of {H} × {W}")
        if groups.min() < -1 or groups.max() >= MOST_GROUPS:
            raise ValueError(f"groups must be numbers from -1 to {MOST_GROUPS - 1}, got {groups.min()} to {groups.max()}")
        self.left = self._tokens_left(groups)
        self.title, self.ways, self._pictures, self._answers = str(title), [str(way) for way in ways], pictures, answers
        parts = [
            np.rint(pictures.clip(0, 1) * 255).astype(np.uint8).tobytes(),
            np.where(groups < 0, DROPPED, groups).astype(np.uint8).tobytes(),
            np.rint(answers * 255).astype(np.uint8).tobytes(),
        ]
        self._payload = {
            "title": self.title,
            "caption": str(caption),
            "ways": self.ways,
            "left": self.left,
            "names": [str(name) for name in names],
            "truth": [int(label) for label in truth],
            "size": [H, W],
            "grid": [h, w],
            "lengths": [len(part) for part in parts],
            "data": as_text(b"".join(parts)),
        }

    @staticmethod
    def _tokens_left(groups):
        """How many tokens each step leaves: for all pictures and ways as many."""
        counts = [[{len(np.unique(one[one >= 0])) for one in step} for step in way] for way in groups]
        left = [set().union(*step) for step in zip(*counts, strict=True)]
        if any(len(step) != 1 for step in left):
            raise ValueError(
                f"a step must leave as many tokens of every picture, in every way; got {[sorted(step) for step in left]}"
            )
        return [step.pop() for step in left]

    @property
    def summary(self):
        """One sentence: of the first picture, in the first way, what the network says with all tokens and with the fewest."""
        first, last = self._answers[0, 0, 0], self._answers[0, -1, 0]
        return f"of {self._payload['names'][0]} the network says {first.argmax()} with {self.left[0]} tokens, {last.argmax()} with {self.left[-1]}"

    def to_html(self):
        """The figure: a string of HTML, ≤ 300 kB, to stand in any page, any number of times."""
        module, sentence = joined(FOLDER / "groups", "groups.js"), self.summary[:1].upper() + self.summary[1:]
        still = data_url(
            resized(1 - self._pictures[0].clip(0, 1), 168, 168 * self._pictures.shape[1] // self._pictures.shape[2]), 8_000
        )
        html = self_contained(
            module, "mountGroups", self._payload, self.title, [("a digit", still)], sentence, "allow scripts to merge tokens"
        )
        return within_bounds(html, self.title)

    def _repr_html_(self):
        return self.to_html()

    def __repr__(self):
        return f"Groups: {self.summary}"
