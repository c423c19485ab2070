"""Measure what attention costs over the number of tokens, and what cheaper attention gives up, and write results/cost.json.

    python -m evidence.bench.cost [--repeats 15]

Costs: one head of width 64 on 256 to 16,384 tokens of a grid, in float32 on one thread; milliseconds of processor time, medians and quartiles
of interleaved repeats (fewer for more tokens), and the most bytes held beyond the inputs, of the forward pass and of forward and
backward together. Errors: attention among the pixels of noisy photographs, against exact attention in float64 and against the clean
photograph. Best run on a machine that does nothing else, with 8 GB of memory, where it takes eight minutes.
"""

import argparse
import datetime
import functools
import os
import time
import tracemalloc

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's own threads, before it is imported
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is to measure, not to report on itself

import numpy as np
import torch
import torch.nn.functional as F

from attn_book.data.pixels import noisy_photograph, pixel_tokens
from attn_utils import efficient, reference
from attn_utils.attention import attention
from attn_utils.cost import interleaved_seconds, peak_bytes_of, quartiles
from attn_utils.grid_attention import windowed_attention
from attn_utils.tiled import tiled_attention
from evidence.recipe import ROOT, Recipe, origin, short, timed
from evidence.record import Record

RECIPE = "evidence/bench/cost.py"
SIZES = (256, 512, 1024, 2048, 4096, 8192, 16384)
D, FEATURES, SQUARE, FEW, STRIPE = 64, 256, 8, 64, 64
SIDE, NOISE = 64, 0.1
PHOTOGRAPHS = ("coffee", "chelsea", "astronaut")
SHARPNESS = (1, 3, 10, 20, 40, 80, 160, 320, 1000, 3000, 10000)
CHOOSING, REPORTING = (2,), (0, 1)  # seeds of the noise: the best sharpness is chosen under one and reported under the others
MORE_FEATURES, MORE_SEEDS = (64, 256, 1024, 4096), (0, 1, 2, 3, 4)

# ------------------------------------------------------------------------------------------------------------ the mechanisms


def stripes(q, k, v, scale=None):
    """Some queries at a time, all keys at once: no tile of keys, and so no running largest score."""
    return torch.cat([attention(some, k, v, scale=scale)[0] for some in q.split(STRIPE, dim=-2)], dim=-2)


def windows(q, k, v, H, W, scale=None):
    """Attention within squares of a grid."""
    q = q if scale is None else q * (scale * q.shape[-1] ** 0.5)
    q, k, v = (x.unflatten(-2, (H, W)) for x in (q, k, v))
    return windowed_attention(q, k, v, SQUARE)[0].flatten(-3, -2)


def grid(N):
    """Height and width of a grid of N places, as square as powers of 2 allow."""
    H = 2 ** ((N.bit_length() - 1) // 2)
    return H, N // H


def in_torch(N):
    """{name: function of q, k, v (1, 1, N, d)}, all differentiable."""
    H, W = grid(N)
    generator = torch.Generator().manual_seed(0)
    directions = efficient.gaussian_directions(FEATURES, D, generator=generator)
    E = torch.eye(FEW).repeat_interleave(N // FEW, dim=1) * (FEW / N)
    return {
        "spelt out": lambda q, k, v: attention(q, k, v)[0],
        "SDPA": F.scaled_dot_product_attention,
        "stripes": stripes,
        "tiles": tiled_attention,
        "linear": efficient.linear_attention,
        "random features": lambda q, k, v: efficient.random_feature_attention(q, k, v, directions),
        "pooled 8 × 8": lambda q, k, v: efficient.pooled_attention(q, k, v, H, W, SQUARE),
        "projected to 64": lambda q, k, v: efficient.projected_attention(q, k, v, E),
        "windows 8 × 8": lambda q, k, v: windows(q, k, v, H, W),
        "merged to half": lambda q, k, v: efficient.merged_attention(q, k, v, N // 2),
    }


IN_NUMPY = {  # {name: function of q, k, v (N, d)}, forward only
    "spelt out, NumPy": lambda q, k, v: reference.attention(q, k, v)[0],
    "tiles, NumPy": reference.tiled_attention,
}


def inputs(N):
    """q, k, v of one head, standard normal."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 1, N, D, generator=generator).requires_grad_() for _ in range(3)]


def calls(mechanism, N):
    """{"forward": call, "both": call with gradients}, without arguments; NumPy has only the first."""
    q, k, v = inputs(N)
    if mechanism in IN_NUMPY:
        arrays = [x.detach()[0, 0].numpy() for x in (q, k, v)]
        return {"forward": lambda: IN_NUMPY[mechanism](*arrays)}
    function, d_out = in_torch(N)[mechanism], torch.ones(1, 1, N, D)

    def forward():
        with torch.no_grad():
            return function(q, k, v)

    return {"forward": forward, "both": lambda: torch.autograd.grad(function(q, k, v), (q, k, v), d_out)}


# ------------------------------------------------------------------------------------------------------------------ the runs


def run(seed, *, mechanism, N=None, photograph=None, sharpness=None, features=FEATURES):
    """Peak bytes on N tokens, or the error on a photograph's pixels: the same on every machine, up to rounding."""
    if photograph is None:
        return {f"peak_bytes_{name}": _peak(mechanism, call) for name, call in calls(mechanism, N).items()}
    clean, tokens, values = pixels(photograph, seed)
    exact = exact_picture(photograph, seed, sharpness)
    out = approximations(seed, float(sharpness), features)[mechanism](tokens, tokens, values).double()
    beyond_the_mean = (values.double().mean(dim=0) - exact).square().mean().sqrt()
    return {
        "error": ((out - exact).square().mean().sqrt() / beyond_the_mean).item(),
        "psnr": -10 * np.log10(((out - clean) ** 2).mean().item()),
    }


def _peak(mechanism, call):
    if mechanism not in IN_NUMPY:
        return peak_bytes_of(call)
    call()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@functools.lru_cache(maxsize=4)
def pixels(photograph, seed):
    """The clean colours (N, 3), and the noisy pixels' tokens and values, as tensors."""
    clean, noisy = noisy_photograph(photograph, size=(SIDE, SIDE), noise=NOISE, seed=seed)
    tokens, values = map(torch.from_numpy, pixel_tokens(noisy))
    return torch.from_numpy(clean).double().reshape(-1, 3), tokens, values


@functools.lru_cache(maxsize=4)
def exact_picture(photograph, seed, sharpness):
    """What exact attention in float64 makes of it."""
    _, tokens, values = pixels(photograph, seed)
    return tiled_attention(tokens.double(), tokens.double(), values.double(), scale=float(sharpness))


def approximations(seed, beta, features):
    """{name: function of tokens, tokens, values}, each with β on its scores where it has scores."""
    generator = torch.Generator().manual_seed(seed)
    directions = efficient.gaussian_directions(features, D, generator=generator)
    pooled = lambda side: lambda q, k, v: efficient.pooled_attention(q, k, v, SIDE, SIDE, side, scale=beta)
    return {
        "nothing": lambda q, k, v: v,
        "exact": lambda q, k, v: tiled_attention(q, k, v, scale=beta),
        "linear": lambda q, k, v: efficient.linear_attention(beta**0.5 * q, beta**0.5 * k, v),
        "random features": lambda q, k, v: efficient.random_feature_attention(q, k, v, directions, scale=beta),
        "pooled 2 × 2": pooled(2),
        "pooled 8 × 8": pooled(8),
        "windows 8 × 8": lambda q, k, v: windows(q[None, None], k[None, None], v[None, None], SIDE, SIDE, scale=beta)[0, 0],
        "merged to half": lambda q, k, v: efficient.merged_attention(q, k, v, SIDE**2 // 2, scale=beta),
    }


def plan(runs):
    """Every mechanism at every size; every approximation on every photograph; random features in number; and what is repeated."""
    for N in SIZES:
        for mechanism in (*in_torch(SIZES[0]), *IN_NUMPY):
            yield _entry("report", mechanism, 0, N=N)
    for photograph in PHOTOGRAPHS:
        for part, seeds in (("choosing", CHOOSING), ("errors", REPORTING)):
            for seed in seeds:
                for sharpness in SHARPNESS:  # the exact picture is made once for all
                    for mechanism in approximations(0, 1.0, FEATURES):
                        yield _entry(part, mechanism, seed, photograph=photograph, sharpness=sharpness)
    for sharpness in (1, 10, 80):
        for seed in MORE_SEEDS:
            for features in MORE_FEATURES:
                yield _entry(
                    "features", "random features, in number", seed, "random features",
                    photograph="coffee", sharpness=sharpness, features=features,
                )  # fmt: skip
    yield _entry("check", "memory", 0, "tiles", N=1024)
    yield _entry("check", "error", 0, "random features", photograph="chelsea", sharpness=10)
    yield _entry("check", "merging", 0, "merged to half", photograph="chelsea", sharpness=40)


def _entry(part, group, seed, mechanism=None, **settings):
    group = f"{group}, to choose" if part == "choosing" else group
    mechanism = mechanism or group.removesuffix(", to choose")
    return {"part": part, "group": group, "seed": seed, "settings": {"mechanism": mechanism, **settings}}


def time_all(repeats):
    """{(mechanism, N): {"milliseconds_forward": …}}, to be added to the bytes; repeats of the smallest N, fewer for larger ones."""
    scores = {}
    for N in SIZES:
        often = max(3, repeats * 1024 // max(N, 1024))
        cases = {(m, name): call for m in (*in_torch(N), *IN_NUMPY) for name, call in calls(m, N).items()}
        # Processor time does not count the moments in which other programs had the core.
        taken = interleaved_seconds(cases, repeats=often, warmup=int(N <= 4096), clock=time.process_time)
        for (mechanism, name), seconds in taken.items():
            low, middle, high = quartiles([1e3 * s for s in seconds])
            times = {f"milliseconds_{name}": middle, f"quartile_1_{name}": low, f"quartile_3_{name}": high, "repeats": often}
            scores.setdefault((mechanism, N), {}).update(times)
        print(N, {name: round(score["milliseconds_forward"], 2) for (name, size), score in scores.items() if size == N})
    return scores


def main():
    """Measure, write, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="how often each time is taken at 1,024 tokens and fewer")
    repeats = parser.parse_args().repeats
    recipe, record = Recipe.read(RECIPE), Record(ROOT / "results" / "cost.json", RECIPE)
    record.keep(lambda run: False)
    session = {"command": f"python -m evidence.bench.cost --repeats {repeats}", "date": datetime.date.today().isoformat()}
    torch.set_num_threads(1)
    made_with = {**session, **origin(recipe)}  # once: looking up the versions takes longer than most runs
    runs = [{**timed(run, entry), "origin": made_with} for entry in plan([])]
    times = time_all(repeats)
    for one in runs:
        if one["part"] == "report":
            one["scores"] |= times[one["settings"]["mechanism"], one["settings"]["N"]]
            one["scores"] = {name: short(score) for name, score in one["scores"].items()}
    record.runs = runs
    record.write()


if __name__ == "__main__":
    main()
