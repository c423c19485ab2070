"""Groups of patches: what they are given is checked, and in a browser lines, bars and words follow the slider and the buttons."""

import numpy as np
import pytest

from attn_book.explorer import Groups
from attn_book.explorer.page import MAX_BYTES
from tests.attn_book.explorers import alone

LEFT = [16, 15, 14, 12, 10, 9, 8, 6, 4]  # nine steps: a slider


def merged(left):
    """The last patches of a 4 × 4 grid are one token."""
    return np.minimum(np.arange(16), left - 1).reshape(4, 4)


def dropped(left):
    return np.where(np.arange(16) < left, np.arange(16), -1).reshape(4, 4)


def groups(**changes):
    pictures = np.zeros((2, 8, 8))
    pictures[0, 2:6, 2:6] = 1
    where = np.stack([[[form(left)] * 2 for left in LEFT] for form in (merged, dropped)])  # (2, 9, 2, 4, 4)
    answers = np.full((2, 9, 2, 3), 0.1)
    answers[..., 1] = 0.8
    answers[1, -1] = [0.6, 0.2, 0.2]
    options = {
        "ways": ["merged", "dropped"],
        "truth": [1, 2],
        "names": ["a 1", "a 2"],
        "title": "Fewer tokens",
        "caption": "Try it.",
    }
    arrays = {"pictures": pictures, "groups": where, "answers": answers}
    return Groups(**{**arrays, **options, **changes})


def test_a_sentence_stands_in_for_the_picture():
    view = groups()
    assert view.left == LEFT
    assert view.summary == "of a 1 the network says 1 with 16 tokens, 1 with 4"
    assert "<strong>Fewer tokens</strong> – Of a 1 the network says" in view.to_html() and "<img" in view.to_html()
    assert repr(view) == f"Groups: {view.summary}"


def test_eight_digits_fit_into_the_page():
    where = np.broadcast_to(np.arange(196).reshape(14, 14), (3, 13, 8, 14, 14))
    answers = np.full((3, 13, 8, 10), 0.1)
    view = groups(
        pictures=np.random.default_rng(0).random((8, 28, 28)),
        groups=where,
        answers=answers,
        ways=["merged", "folded", "dropped"],
        truth=range(8),
        names=[f"digit {i}" for i in range(8)],
    )
    html = view.to_html()
    assert len(html.encode()) < MAX_BYTES / 2
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pictures": np.zeros((2, 1, 8, 8))}, r"pictures \(P, H, W\), groups"),
        ({"pictures": np.zeros((3, 8, 8))}, "2 ways and 3 pictures do not fit"),
        ({"ways": ["one"]}, "1 ways and 2 pictures do not fit"),
        ({"names": ["a"]}, "one entry for each of 2 pictures, got 1 and 2"),
        ({"pictures": np.zeros((2, 9, 8))}, "4 × 4 patches do not tile pictures of 9 × 8"),
        ({"groups": np.full((2, 9, 2, 4, 4), 255)}, "from -1 to 254, got 255 to 255"),
        (
            {"groups": np.stack([np.zeros((9, 2, 4, 4)), np.tile(np.arange(16).reshape(4, 4), (9, 2, 1, 1))])},
            "as many tokens of every picture",
        ),
    ],
)
def test_it_rejects(changes, text):
    with pytest.raises(ValueError, match=text):
        groups(**changes)


@pytest.fixture
def page(browser, tmp_path):
    with alone(browser, tmp_path / "page.html", groups()) as page:
        yield page


def told(page):
    return page.locator(".told").inner_text()


COLOUR = """(drawn, [x, y]) => {
    const copy = Object.assign(document.createElement("canvas"), { width: drawn.width, height: drawn.height });
    const pen = copy.getContext("2d", { willReadFrequently: true });
    pen.drawImage(drawn, 0, 0);
    return [...pen.getImageData(x * copy.width, y * copy.height, 1, 1).data].slice(0, 3);
}"""


def colour(page, x, y):
    """Of the drawing, at a place in shares of its sides."""
    return page.locator("canvas").evaluate(COLOUR, [x, y])


def test_the_slider_makes_tokens_fewer(page):
    assert told(page) == "16 of 16 tokens, merged. The network says 1, 80 % sure: right."
    page.get_by_role("slider", name="Tokens left").focus()
    page.keyboard.press("End")
    assert told(page) == "4 of 16 tokens, merged. The network says 1, 80 % sure: right."
    assert page.locator("p[role=status]").inner_text() == told(page)
    page.get_by_role("radio", name="dropped").check()
    assert told(page) == "4 of 16 tokens, dropped. The network says 0, 60 % sure: wrong, it is 1."
    assert [item.inner_text().split("\n") for item in page.get_by_role("listitem").all()] == [
        ["0", "60 %"],
        ["1", "20 %"],
        ["2", "20 %"],
    ]
    assert page.locator("li.true .word").inner_text() == "1" and page.locator("li.best .word").inner_text() == "0"


def test_lines_stand_where_groups_part_and_what_was_dropped_is_grey(page):
    assert colour(page, 0.25, 0.9) == [255, 122, 26]  # all patches are tokens
    page.get_by_role("slider", name="Tokens left").focus()
    page.keyboard.press("End")
    assert colour(page, 0.25, 0.9) != [255, 122, 26]  # the last rows are one token
    assert colour(page, 0.25, 0.1) == [255, 122, 26]
    assert colour(page, 0.9, 0.9) == [255, 255, 255]
    page.get_by_role("radio", name="dropped").check()
    assert colour(page, 0.9, 0.9) != [255, 255, 255]


def test_a_group_shows_its_mean(page):
    assert colour(page, 0.4, 0.4) == [0, 0, 0]
    page.get_by_role("slider", name="Tokens left").focus()
    page.keyboard.press("End")
    page.get_by_role("radio", name="the mean of each group").check()
    level = 255 - round(255 * 4 / 13)  # 4 of the 13 patches that are one hold ink
    assert all(abs(part - level) <= 1 for part in colour(page, 0.4, 0.4))


def test_another_digit_is_chosen(page):
    page.get_by_role("radio", name="a 2").check()
    assert told(page) == "16 of 16 tokens, merged. The network says 1, 80 % sure: wrong, it is 2."
    assert colour(page, 0.4, 0.4) == [255, 255, 255]


def test_it_fits_a_phone(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
