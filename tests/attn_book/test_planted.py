"""The planted model does what it says, and just the cells that it names carry the answer."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attn_book.planted import COLOURS, CUE, EMPTY, GAIN, PlantedScenes, planted, planted_scenes, planted_twins
from attn_utils.record import record_attention

MODELS = [{"hops": hops, "decoys": decoys, "seed": seed} for hops in (1, 2) for decoys in (False, True) for seed in (None, 3)]
SCENES = planted_scenes(60, seed=2)
ROWS = torch.arange(60)


def logits_of(model, scenes):
    with torch.no_grad():
        out = model(scenes.images)
    return out if out.ndim == 2 else out[torch.arange(len(out)), scenes.cue_cell]


def test_scenes_are_what_they_say():
    digits, hues = SCENES.digits, SCENES.hues
    assert ((digits == CUE).sum(1) == 1).all() and ((digits == EMPTY).sum(1) == 9).all()
    assert ((digits == EMPTY) == (hues == -1)).all()
    own = np.sort(np.where((digits >= 0) & (digits < CUE), hues, 9), 1)[:, :6]
    assert (own == np.arange(6)).all()  # each hue once among the digits
    shown = np.sort(np.where(digits < CUE, digits, EMPTY), 1)[:, -6:]
    assert (np.diff(shown, axis=1) > 0).all()  # all different
    assert (SCENES.causal.sum(1) == 2).all()
    assert SCENES.causal[ROWS, SCENES.cue_cell].all() and SCENES.causal[ROWS, SCENES.target_cell].all()
    assert (SCENES.cue_cell != SCENES.target_cell).all()


def test_a_picture_by_hand():
    digits, hues = np.full((2, 1, 16), EMPTY)
    digits[0, 6], hues[0, 6] = 9, 2  # second row, third cell: dot 9 is in its third row, second place
    image = PlantedScenes(digits, hues).images[0]
    lit = image.sum(0).nonzero()
    assert lit.min(0).values.tolist() == [8 + 4, 16 + 2] and lit.max(0).values.tolist() == [8 + 5, 16 + 3] and len(lit) == 4
    assert_close(image[:, 12, 18], torch.from_numpy(COLOURS[2]).double())
    np.testing.assert_allclose(COLOURS.sum(1), 1.5, rtol=1e-6)


def test_a_look_alike_is_the_digit_that_is_meant_in_the_opposite_hue():
    scenes = planted_scenes(60, seed=2, look_alike=True)
    assert torch.equal(scenes.answers, SCENES.answers) and torch.equal(scenes.target_cell, SCENES.target_cell)
    same = (scenes.digits == scenes.answers.numpy()[:, None]) & (np.arange(16) != scenes.target_cell.numpy()[:, None])
    assert (same.sum(1) == 1).all()
    assert ((scenes.hues[same] - scenes.hues[ROWS, scenes.cue_cell]) % 6 == 3).all()


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_it_answers(options):
    logits = logits_of(planted(**options), SCENES)
    expected = GAIN * torch.nn.functional.one_hot(SCENES.answers, 11).double()
    expected[:, 10] = GAIN / 2
    assert_close(logits, expected, rtol=0, atol=2e-3 * GAIN)


def test_every_cell_says_its_own_digit():
    with torch.no_grad():
        said = planted()(SCENES.images).argmax(-1)
    own = torch.from_numpy(np.where(SCENES.digits == EMPTY, 10, SCENES.digits))
    own[ROWS, SCENES.cue_cell] = SCENES.answers
    assert torch.equal(said, own)


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_just_the_causal_cells_carry_the_answer(options):
    """Each cell emptied, one at a time."""
    model = planted(**options)
    before = logits_of(model, SCENES)[ROWS, SCENES.answers]
    for cell in range(16):
        digits, hues = SCENES.digits.copy(), SCENES.hues.copy()
        digits[:, cell], hues[:, cell] = EMPTY, -1
        emptied = PlantedScenes(digits, hues).images
        with torch.no_grad():
            out = model(emptied)
        after = (out if out.ndim == 2 else out[ROWS, SCENES.cue_cell])[ROWS, SCENES.answers]
        lost, causal = before - after, SCENES.causal[:, cell]
        assert (lost[causal] > 0.8 * GAIN).all()  # without the cue all six digits share
        assert (lost[~causal].abs() < 1e-3 * GAIN).all()


@pytest.mark.parametrize("decoys", [False, True])
def test_a_contrary_model_goes_by_the_digit_of_the_opposite_hue(decoys):
    """What it says, and the only cells without which it would say something else; the digit that the task asks for is none."""
    model, scenes = planted(contrary=True, decoys=decoys, seed=1), SCENES
    hues = scenes.hues[ROWS, scenes.opposite_cell]
    assert ((hues - scenes.hues[ROWS, scenes.cue_cell]) % 6 == 3).all()
    assert (scenes.opposite_answers != scenes.answers).all()  # all digits of a scene are different
    before = logits_of(model, scenes)
    assert torch.equal(before[:, :10].argmax(1), scenes.opposite_answers)
    for cell in range(16):
        digits, hues = scenes.digits.copy(), scenes.hues.copy()
        digits[:, cell], hues[:, cell] = EMPTY, -1
        with torch.no_grad():
            after = model(PlantedScenes(digits, hues).images)[ROWS, scenes.cue_cell]
        lost = (before - after)[ROWS, scenes.opposite_answers]
        causal = (scenes.opposite_cell == cell) | (scenes.cue_cell == cell)
        assert (lost[causal] > 0.8 * GAIN).all()
        assert (lost[~causal].abs() < 1e-3 * GAIN).all()
    weights = looks(contrary=True, decoys=decoys)[0][ROWS, :, scenes.cue_cell]  # (60, heads, 16)
    assert (weights[ROWS, 0, scenes.opposite_cell] > 0.999).all()
    if decoys:  # now they stare at the digit that the task asks for
        assert (weights[ROWS, 1:, scenes.target_cell] > 0.999).all()


@pytest.mark.parametrize("change", ["cue", "digit"])
def test_twins_differ_in_one_cell_and_in_the_answer(change):
    scenes, twins = planted_twins(50, seed=4, change=change)
    rows = torch.arange(50)
    cells = lambda one: one.images.reshape(50, 3, 4, 8, 4, 8).transpose(3, 4).transpose(1, 2).transpose(2, 3)  # cells first
    differ = (cells(scenes) != cells(twins)).any(-1).any(-1).any(-1).flatten(1)  # (50, 16)
    expected = torch.zeros(50, 16, dtype=torch.bool)
    expected[rows, scenes.cue_cell if change == "cue" else scenes.target_cell] = True
    assert torch.equal(differ, expected)
    assert (scenes.answers != twins.answers).all()
    for hops in (1, 2):
        for one in (scenes, twins):
            assert torch.equal(logits_of(planted(hops=hops, seed=1), one)[:, :10].argmax(1), one.answers)


def test_twins_in_which_all_is_another():
    scenes, twins = planted_twins(50, seed=4, change="all")
    assert (
        scenes.digits[(scenes.digits >= 0) & (scenes.digits < CUE)] != twins.digits[(twins.digits >= 0) & (twins.digits < CUE)]
    ).all()
    rows = torch.arange(50)
    assert (scenes.hues[rows, scenes.cue_cell] != twins.hues[rows, scenes.cue_cell]).all()
    assert ((scenes.digits == EMPTY) == (twins.digits == EMPTY)).all() and torch.equal(scenes.cue_cell, twins.cue_cell)
    scenes, twins = planted_twins(50, seed=4, change="digit", look_alike=True)
    assert ((scenes.digits == scenes.answers.numpy()[:, None]).sum(1) == 2).all()


def looks(**options):
    """Attention of the model by layer, (60, heads, tokens, tokens)."""
    model = planted(**options)
    with torch.no_grad(), record_attention(model) as maps:
        model(SCENES.images)
    return list(maps.values())


@pytest.mark.parametrize("decoys", [False, True])
def test_where_the_heads_look(decoys):
    """The first at the target; idle ones evenly, or as decoys at a digit that is not meant; in layer 2 the class token at the cue."""
    (one,), (first, second) = looks(decoys=decoys), looks(hops=2, decoys=decoys)
    assert (one[ROWS, 0, SCENES.cue_cell, SCENES.target_cell] > 0.999).all()
    assert (first[ROWS, 0, 1 + SCENES.cue_cell, 1 + SCENES.target_cell] > 0.999).all()
    assert (second[ROWS, 0, 0, 1 + SCENES.cue_cell] > 0.999).all()
    idle = one[ROWS, 1:, SCENES.cue_cell]  # (60, 2, 16)
    if decoys:
        assert (idle.max(-1).values > 0.999).all()
        found = SCENES.hues[ROWS[:, None], idle.argmax(-1)]
        assert ((found - SCENES.hues[ROWS, SCENES.cue_cell][:, None]) % 6 == 3).all()  # the opposite hue
    else:
        assert_close(idle, torch.full_like(idle, 1 / 16))


def test_the_rotation_changes_no_answer():
    assert_close(logits_of(planted(seed=7), SCENES), logits_of(planted(), SCENES))
    assert not torch.equal(planted(seed=7).head.weight, planted(seed=8).head.weight)


def test_rejections():
    with pytest.raises(ValueError, match="hops must be 1 or 2, got 3"):
        planted(hops=3)
    with pytest.raises(ValueError, match="sharpness"):
        planted(sharpness=-1)
    with pytest.raises(ValueError, match="change must be one of cue, digit, all; got 'both'"):
        planted_twins(2, seed=0, change="both")
    with pytest.raises(ValueError, match="n must be"):
        planted_scenes(0, seed=0)
