"""Measure what is saved in seconds and bytes by all that chapter 14 leaves out, and write results/simplify.json.

    python -m evidence.bench.simplify [--repeats 15]

Networks are those of the chapter's recipe, with weights as they are drawn: none of the times depends on them. Milliseconds a picture
of processor time on one thread, for 50 pictures at a time and for one, medians and quartiles of interleaved repeats; the most bytes
held beyond the pictures; bytes of the weights; FLOPs. PyTorch's own 8-bit layers and bfloat16 besides, with what they answer after a
training as in results/ch14.json, which is to be there; and a step of training of each kind. Best run on a machine that does nothing
else, where it takes five minutes.
"""

import argparse
import copy
import datetime
import functools
import os
import time
import warnings

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is to measure, not to report on itself

import numpy as np
import torch
from torch import nn

from attn_book import runs as book
from attn_utils.compress import stored_bytes
from attn_utils.cost import forward_flops, interleaved_seconds, peak_bytes_of, quartiles
from evidence.plans.ch14 import RECIPE as CHAPTER
from evidence.recipe import ROOT, Recipe, namespace, origin, short, timed
from evidence.record import Record

RECIPE = "evidence/bench/simplify.py"
PICTURES = 50
STEPS = 400  # of the training whose answers are looked at
STEP_BATCH = 48
OTHERS = ("8 bits, in whole numbers", "bfloat16")
TRAINED = ("2 blocks", "1 block", "49 tokens", "no attention", "no attention, 6 blocks", "convolution", "student")
TEACHERS = {"taught student": "whole", "taught by the convolution": "convolution"}
LEARNING = ("whole", *TRAINED, *TEACHERS)


@functools.cache
def chapter():
    """What the chapter's recipe defines."""
    return namespace(Recipe.read(CHAPTER))


def makers(model):
    """{name: function that makes the network}: the chapter's, and two of PyTorch's."""
    recipe = chapter()
    heads, blocks = recipe.HEADS, [0, 1, 2]
    made = recipe.variants(model, heads, blocks) | recipe.together(model, heads, blocks)
    made |= {kind: (lambda kind=kind: recipe.start(0, kind)) for kind in TRAINED}
    return made | {OTHERS[0]: lambda: in_whole_numbers(model), OTHERS[1]: lambda: InHalf(model)}


def in_whole_numbers(model):
    """Linear layers that multiply 8-bit integers; what comes in is rounded as it comes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is on its way out of PyTorch, into a package of its own
        from torch.ao.quantization import quantize_dynamic

        return quantize_dynamic(copy.deepcopy(model).eval(), {nn.Linear}, dtype=torch.qint8)


class InHalf(nn.Module):
    """The network in bfloat16, pictures and answers as they were."""

    def __init__(self, model):
        super().__init__()
        self.model = copy.deepcopy(model).bfloat16()

    def forward(self, images):
        return self.model(images.bfloat16()).float()


def pictures(count):
    """Real digits, (count, 1, 28, 28): what merges is up to them."""
    return chapter().digits("validation")[0][:count]


def without_gradients(network, images):
    """A call that answers for these pictures."""
    network.eval()

    def call():
        with torch.no_grad():
            return network(images)

    return call


def run(seed, *, network=None, step=None):
    """What a network costs by count, for 50 pictures: the same on every machine. Of a step in training, how many pictures it takes."""
    if step is not None:
        return {"pictures": STEP_BATCH}
    whole = chapter().build(seed)
    made = makers(whole)[network]().eval()
    bits = next((int(word) for word, unit in zip(network.split(), network.split()[1:]) if unit.startswith("bit")), 32)
    counted = whole.eval() if network in OTHERS else made  # the counter does not know PyTorch's 8-bit layers
    stored = stored_bytes(whole, 8) if network == OTHERS[0] else stored_bytes(made, bits)
    stored -= fixed_bytes(whole if network == OTHERS[0] else made)
    return {
        "flops": forward_flops(counted, [pictures(PICTURES)]) / PICTURES,
        "peak_bytes": peak_bytes_of(without_gradients(made, pictures(PICTURES))),
        "stored_bytes": stored,
    }


def fixed_bytes(network):
    """Bytes of what nobody trains and anybody can compute again: the table of positions."""
    return sum(tensor.numel() * tensor.element_size() for tensor in network.parameters() if not tensor.requires_grad)


def plan(runs):
    """Every network, and counts to repeat."""
    for name in makers(chapter().build(0)):
        yield {"part": "report", "group": name, "seed": 0, "settings": {"network": name}}
    for kind in LEARNING:
        yield {"part": "report", "group": f"a step: {kind}", "seed": 0, "settings": {"step": kind}}
    for name in ("merged 48", "student"):
        yield {"part": "check", "group": name, "seed": 0, "settings": {"network": name}}


def time_all(repeats):
    """{name: {"milliseconds": …}}, to be added to the counts; and of each kind of step in training."""
    made = {name: make() for name, make in makers(chapter().build(0)).items()}
    scores = {name: {"repeats": repeats} for name in made}
    for count, end in ((PICTURES, ""), (1, "_one")):
        cases = {name: without_gradients(network, pictures(count)) for name, network in made.items()}
        # Processor time does not count the moments in which other programs had the core.
        taken = interleaved_seconds(cases, repeats=repeats, warmup=2, clock=time.process_time)
        for name, seconds in taken.items():
            low, middle, high = quartiles([1e3 * s / count for s in seconds])
            scores[name] |= {f"milliseconds{end}": middle, f"quartile_1{end}": low, f"quartile_3{end}": high}
            ratio = quartiles(np.divide(seconds, taken["whole"]))
            scores[name] |= {f"of_whole_quartile_{i}{end}": part for i, part in zip((1, 2, 3), ratio, strict=True)}
    return scores


def time_steps(repeats):
    """{group: {"milliseconds": …}} of one step of training: forward, backward, AdamW, and the teacher's answers before them."""
    recipe, (images, labels) = chapter(), chapter().digits("validation")
    images, labels = images[:STEP_BATCH], labels[:STEP_BATCH]
    networks = {kind: recipe.start(0, kind) for kind in ("whole", *TRAINED)}
    losses = {kind: functools.partial(recipe.training_loss, network, images, labels) for kind, network in networks.items()}
    for kind, teacher in TEACHERS.items():
        networks[kind] = recipe.start(0, "student")
        taught = recipe.taught_loss(copy.deepcopy(networks[teacher]).eval(), 2.0)
        losses[kind] = functools.partial(taught, networks[kind], images, labels)
    optimisers = {kind: torch.optim.AdamW(networks[kind].parameters()) for kind in LEARNING}

    def step(kind):
        optimisers[kind].zero_grad()
        losses[kind]().backward()
        optimisers[kind].step()

    cases = {kind: (lambda kind=kind: step(kind)) for kind in LEARNING}
    taken = interleaved_seconds(cases, repeats=repeats, clock=time.process_time)
    found = {}
    for kind, seconds in taken.items():
        low, middle, high = quartiles([1e3 * s for s in seconds])
        found[f"a step: {kind}"] = {"repeats": repeats, "milliseconds": middle, "quartile_1": low, "quartile_3": high}
        ratio = quartiles(np.divide(seconds, taken["student"]))  # of steps side by side: the processor's pace changes
        found[f"a step: {kind}"] |= {f"of_student_quartile_{i}": part for i, part in zip((1, 2, 3), ratio, strict=True)}
    return found


def chosen_rate():
    """The whole network's learning rate, as the chapter's evidence has it."""
    return book.load("ch14")["left out"].settings["lr"]


def answers():
    """{name: {"accuracy": …}} on the test scans, of the whole network and in PyTorch's 8 and 16 bits, after one training."""
    recipe = chapter()
    model = recipe.trained(1, chosen_rate(), STEPS)
    made = makers(model)
    return {name: {"accuracy": recipe.accuracy(made[name](), recipe.digits("test"))} for name in ("whole", *OTHERS)}


def main():
    """Measure, write, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="how often each time is taken")
    repeats = parser.parse_args().repeats
    recipe, record = Recipe.read(RECIPE), Record(ROOT / "results" / "simplify.json", RECIPE)
    record.keep(lambda run: False)
    session = {"command": f"python -m evidence.bench.simplify --repeats {repeats}", "date": datetime.date.today().isoformat()}
    torch.set_num_threads(1)
    made_with = {**session, **origin(recipe)}  # once: looking up the versions takes longer than most runs
    runs = [{**timed(run, entry), "origin": made_with} for entry in plan([])]
    measured = time_all(repeats) | time_steps(2 * repeats)
    for name, scores in answers().items():
        measured[name] |= scores
    for one in runs:
        if one["part"] == "report":
            one["scores"] = {name: short(score) for name, score in (one["scores"] | measured[one["group"]]).items()}
            print(one["group"], one["scores"])
    record.runs = runs
    record.write()


if __name__ == "__main__":
    main()
