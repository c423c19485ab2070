"""Chapter 17's even weights once more, with a linear map of each cell before the mean: is it the small network that finds the digit?

    python -m evidence.run 17_linear

The recipe of the chapter does all of it but for one thing: between the two matrices through which a cell goes before the mean is taken stands
no nonlinearity. There are as many weights as before, and rate and decay are tuned along the same lines.
"""

from torch import nn

from evidence.plans import ch17
from evidence.recipe import Recipe, namespace
from evidence.tune import Contest

RECIPE = "evidence/plans/ch17_linear.py"
KIND = "even weights, linear"


class EvenLinear(nn.Module):
    """All cells hear the mean of a linear map of each; called as attention is, (B, N, D) -> (B, N, D)."""

    def __init__(self, dim=64):
        super().__init__()
        self.map = nn.Sequential(nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim))

    def forward(self, x, mask=None):
        return self.map(x).mean(1, keepdim=True).expand_as(x)


def run(seed, *, chapter, **settings):
    """The scores that the chapter's recipe gives a network, here of this kind; `chapter` is the hash of that recipe."""
    recipe = namespace(Recipe.read(ch17.RECIPE))
    recipe.MIXERS[KIND] = EvenLinear
    return recipe.run(seed, **settings)


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    best = yield from ch17.tuned_and_reported(runs, {}, "report", base(), ch17.START, tuple(ch17.GRID), kind=KIND)
    for seed in ch17.SEEDS:
        yield ch17.longer(base(), seed, best, KIND)
    yield ch17.entry("check", base(), 1, ch17.START, ch17.TEST, kind=KIND, steps=10)


def contests(runs):
    """It alone was tuned here, as the chapter's networks were."""
    found = {}
    list(ch17.tuned_and_reported(runs, found, "report", base(), ch17.START, tuple(ch17.GRID), kind=KIND))
    return [Contest(found, tuple(ch17.GRID), "climb", values=ch17.GRID)]


def base():
    """The task, and the hash of the recipe that this record stands on."""
    return ch17.SEARCHING | {"chapter": Recipe.read(ch17.RECIPE).recipe_sha()[:8]}
