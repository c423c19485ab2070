"""What is recorded to be run again is of a processor: on a machine with a GPU, too, these tests compute there."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def on_a_processor():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTN_DEVICE", "cpu")
        yield
