"""Without its pins a requirement file still says what it said: names, markers, the files that it includes."""

import re

import pytest
from packaging.requirements import Requirement

from tools import unpin


def requirements(text):
    """The requirements of a file, and its options such as `-r` and `-e`; fails where pip would."""
    lines = [re.split(r"(?:^|\s)#", line)[0].strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and line[0] != "-"], [line for line in lines if line.startswith("-")]


@pytest.mark.parametrize("path", unpin.FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_all_requirements_stay_and_no_pin_but_jupyter_books(path):
    text = path.read_text(encoding="utf8")
    (pinned, options), (free, options_left) = requirements(text), requirements(unpin.unpin(text))
    assert len(pinned) >= 3
    assert [(one.name, one.extras, one.marker) for one in free] == [(one.name, one.extras, one.marker) for one in pinned]
    assert [one.name for one in free if one.specifier] == [one.name for one in pinned if one.name == "jupyter-book"]
    assert options_left == [option for option in options if not option.startswith("-c")]


def test_a_marker_right_after_the_version_stays():
    assert unpin.unpin('mutmut==3.8.1; sys_platform != "win32" # it forks\n') == 'mutmut; sys_platform != "win32" # it forks\n'
