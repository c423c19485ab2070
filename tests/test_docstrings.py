"""The examples (`>>>`) of what a reader meets first are there, and they say what the code does."""

import doctest
import importlib

import pytest

MET_FIRST = [
    "attn_book.arrays.as_array",
    "attn_book.claims.claim",
    "attn_book.data.captions.captioned_scenes",
    "attn_book.data.collage.collages",
    "attn_book.data.material.photograph",
    "attn_book.data.scenes.scenes",
    "attn_book.exercises.exercise.Exercise",
    "attn_book.inpainting.fill",
    "attn_book.receptive.pixels_of_half",
    "attn_utils.attention.MultiHeadAttention",
    "attn_utils.attention.attention",
    "attn_utils.boxes.box_iou",
    "attn_utils.caption_dit.CaptionDiT",
    "attn_utils.captioner.Captioner",
    "attn_utils.compress.low_rank",
    "attn_utils.contracts.check",
    "attn_utils.detection.match",
    "attn_utils.dit.DiT",
    "attn_utils.edit.edit_attention",
    "attn_utils.efficient.linear_attention",
    "attn_utils.explain.effective_keys",
    "attn_utils.explain.gradient_times_attention",
    "attn_utils.explain.rollout",
    "attn_utils.fewer_tokens.FewerTokens",
    "attn_utils.masks.causal",
    "attn_utils.masks.window_2d",
    "attn_utils.masked.MaskedAutoencoder",
    "attn_utils.positions.sincos_2d",
    "attn_utils.pruning.keep_heads",
    "attn_utils.record.record_attention",
    "attn_utils.recurrence.linear_scan",
    "attn_utils.reference.attention",
    "attn_utils.reference.softmax",
    "attn_utils.segmentation.TwoWayDecoder",
    "attn_utils.tiled.tiled_attention",
    "attn_utils.train.fit",
    "attn_utils.vit.vit_mini",
]


@pytest.mark.parametrize("name", MET_FIRST)
def test_what_a_reader_meets_first_has_an_example(name):
    module, _, thing = name.rpartition(".")
    thing = getattr(importlib.import_module(module), thing)
    assert any(test.examples for test in doctest.DocTestFinder(recurse=False).find(thing, name))


@pytest.mark.parametrize("module", sorted({name.rpartition(".")[0] for name in MET_FIRST}))
def test_examples_are_right(module, capsys):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0, capsys.readouterr().out
