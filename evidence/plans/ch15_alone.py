"""Chapter 15's two networks with attention once more, each token alone: is it attention that wants pictures, or the block around it?

    python -m evidence.run 15_alone

The recipe of the chapter does all of it but for one thing: a mask lets each token attend to itself alone, so that a block is two norms,
two matrices and its MLP, with as many weights as before.
"""

import torch
from torch import nn

from evidence.plans import ch15
from evidence.recipe import Recipe, namespace
from evidence.tune import Contest

RECIPE = "evidence/plans/ch15_alone.py"
WITH_ATTENTION = {"attention, alone": "attention", "mix, alone": "mix"}  # whose copies these are
SIZES = (ch15.FEW, ch15.MIDDLE, ch15.MANY)


class Alone(nn.Module):
    """An attention layer whose tokens see themselves alone; called as the layer is."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, x, mask=None):
        return self.attention(x, mask=torch.eye(x.shape[1], dtype=torch.bool, device=x.device))


def run(seed, *, kind, chapter, **how):
    """The scores that the chapter's recipe gives a network, here with each token alone; `chapter` is the hash of that recipe."""
    recipe = namespace(Recipe.read(ch15.RECIPE))
    with_attention = recipe.build

    def build(kind, seed):
        network = with_attention(WITH_ATTENTION[kind], seed)
        for block in network.blocks:
            block.attention = Alone(block.attention)
        return network

    recipe.build = build
    try:
        return recipe.run(seed, kind=kind, **how)
    finally:  # the module is kept for the next run
        recipe.build = with_attention


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    trials, best = tuned(runs)
    yield from trials
    for seed in ch15.SEEDS:
        for size in SIZES:
            for kind in WITH_ATTENTION:
                setting = best[f"{kind}, {'many' if size >= ch15.MIDDLE else 'few'}"]
                yield entry(ch15.entry("report", kind, seed, size, kind, setting, ch15.TEST))
    short = {"lr": 0.003, "weight_decay": 0.1}
    yield entry(ch15.entry("check", "attention, alone", 1, 512, "attention, alone", short, ch15.TEST, steps=20))


def contests(runs):
    """Who was tuned alike, as far as the runs go."""
    return [Contest(tuned(runs)[1], ("lr", "weight_decay"), "lines")]


def tuned(runs):
    """The trials that are wanted, and the best setting of each network, with few pictures and with many: as chapter 15 does it."""
    groups = {f"{kind}, {amount}": (kind, size, ch15.PLAIN) for kind in WITH_ATTENTION for amount, size in ch15.TUNED_AT.items()}
    trials, best = ch15.along_lines(runs, groups)
    return [entry(trial) for trial in trials], best


def entry(run):
    """A run of chapter 15's plan as this record keeps it."""
    return run | {"settings": run["settings"] | {"chapter": Recipe.read(ch15.RECIPE).recipe_sha()[:8]}}
