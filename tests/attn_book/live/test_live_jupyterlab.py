"""A live model in JupyterLab: its static form runs there as it does on the page."""

import re

import pytest

from tests.attn_book.test_explorer_live import lab  # noqa: F401 (a fixture)

CELL = """\
from attn_book import live

live.cued_search(live.load("ch07"))
"""


@pytest.mark.parametrize("lab", [CELL], indirect=True, ids=["cued-search"])
def test_it_runs_in_jupyterlab(browser, lab):  # noqa: F811
    context = browser.new_context(viewport={"width": 1400, "height": 1100})
    context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
    page = context.new_page()
    page.set_default_timeout(60_000)
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(lab[0])
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(state="attached")
    page.keyboard.press("Control+Enter")
    page.get_by_role("status").filter(has_text="The cue is yellow; the network answers 7").wait_for(state="attached")
    page.get_by_role("radio", name="red").check()
    page.get_by_role("status").filter(has_text="The cue is red; the network answers 3").wait_for(state="attached")
    page.get_by_role("slider", name="Scene").focus()
    page.keyboard.press("ArrowRight")  # chooses another cell, not the notebook's next one
    assert page.get_by_role("slider", name="Scene").get_attribute("aria-valuetext").startswith("row 2, column 3: a blue 0")
    assert troubles == []
    context.close()
