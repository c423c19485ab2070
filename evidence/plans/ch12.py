"""What is run for chapter 12: maps and scores tried on planted models, then all of them on chapter 7's network."""

RECIPE = "drafts/12_looking_inside.ipynb"
SEEDS = (1, 2, 3, 4, 5)
TEST = {"split": "test", "scene_seed": 980}

PLANTED = {"task": "planted", "scenes": 60, **TEST}
# Chapter 7's settings for attention; its plan tuned them
TRAINED = {"task": "trained", "scenes": 120, "steps": 800, "lr": 0.01, "weight_decay": 0.1, **TEST}
SHORT = {"task": "planted", "scenes": 4, **TEST}


def plan(runs):
    """All runs that are wanted; none waits for others."""
    for seed in SEEDS:
        yield {"part": "report", "group": "planted", "seed": seed, "settings": PLANTED}
        yield {"part": "report", "group": "trained", "seed": seed, "settings": TRAINED}
    yield {"part": "check", "group": "planted, few", "seed": 1, "settings": SHORT}
