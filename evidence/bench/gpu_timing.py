"""What attention costs on a GPU: our kernels beside PyTorch's, and beside the most that the card can do.

Each function yields (group, settings, scores). A time is the median of device events around the replay of a captured graph, so it
holds no launching from Python; inputs are random, and the cache is overwritten before each. `eager_milliseconds` is a call from
Python among others, back to back: where it is more than the replay, launching is what takes the time.
"""

import math
import statistics
from functools import partial

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from attn_utils import masks
from attn_utils.attention import attention
from attn_utils.cost import quartiles

B, HEADS, SIDE, D, WIDE = 4, 16, 64, 64, 128
N = SIDE * SIDE
RULES = {  # what flash_attention is told, and the same as a rule for FlexAttention and as a mask
    "full": {},
    "causal": {"causal": True},
    "square 3": {"window": (SIDE, SIDE, 3)},
    "square 7": {"window": (SIDE, SIDE, 7)},
}
BACKENDS = {
    "SDPA flash": SDPBackend.FLASH_ATTENTION,
    "SDPA efficient": SDPBackend.EFFICIENT_ATTENTION,
    "SDPA cuDNN": SDPBackend.CUDNN_ATTENTION,
}
DIRECTIONS = ("forward", "forward + backward")
LENGTHS, LENGTH_HEADS = (256, 512, 1024, 2048, 4096, 8192, 16384), 8


def count(rule, d=D):
    """{name: number} for one head, forward: pairs that may attend, FLOPs of the two products over these; and least bytes in bfloat16."""
    told = RULES[rule]
    if "window" in told:
        pairs = int(masks.window_2d(*told["window"]).sum())
    else:
        pairs = N * (N + 1) // 2 if told else N * N
    return {"pairs": pairs, "flops": 4 * pairs * d, "bytes": 4 * N * d * 2}


def ceilings():
    """The most that this card does: a large product of matrices in bfloat16, and a copy of memory (bytes read and written)."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    low, middle, high = _milliseconds(lambda: a @ b)
    yield (
        "product of matrices",
        {"side": 8192},
        {"milliseconds": middle, "tflops": 2 * 8192**3 / middle / 1e9} | _spread(low, high),
    )
    source = torch.randn(2**30, device="cuda")
    target = torch.empty_like(source)
    low, middle, high = _milliseconds(
        lambda: torch.mul(source, 1.0, out=target)
    )  # a graph copies with another engine, more slowly
    gigabytes = 2 * source.nbytes / middle / 1e6
    yield "copy", {"bytes": source.nbytes}, {"milliseconds": middle, "gigabytes_per_second": gigabytes} | _spread(low, high)


def kernels():
    """Ours, SDPA in its default and by backend, and FlexAttention where the mask is not one that SDPA knows, on one long sequence."""
    (_, _, product), (_, _, copy) = ceilings()
    for rule, d in [*((rule, D) for rule in RULES), ("full", WIDE), ("causal", WIDE)]:
        q, k, v = (torch.randn(B, HEADS, N, d, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
        d_out = torch.randn_like(q)
        exact = attention(*(x.detach()[:1, :2].float() for x in (q, k, v)), mask=_mask(rule))[0]
        for name, function in _functions(rule).items():
            for direction in DIRECTIONS:
                settings = {"rule": rule, "direction": direction, "B": B, "heads": HEADS, "N": N, "d": d, "dtype": "bfloat16"}
                call = partial(_call, function, q, k, v, d_out, direction)
                try:
                    error = (function(q, k, v).detach()[:1, :2].float() - exact).abs().max().item()
                    low, middle, high = _milliseconds(call)
                    eager = _eager_milliseconds(call)
                except (RuntimeError, NotImplementedError) as refusal:
                    words = str(refusal).strip().splitlines()
                    yield name, settings | {"refused": words[0][:160] if words else type(refusal).__name__}, {"refused": 1}
                    continue
                work, back = count(rule, d), direction != "forward"
                flops = work["flops"] * B * HEADS * (3.5 if back else 1)  # two products forward, five backward
                moved = work["bytes"] * B * HEADS * (3 if back else 1)  # q, k, v, out; then these again, dout, dq, dk, dv
                scores = {
                    "milliseconds": middle,
                    "tflops": flops / middle / 1e9,
                    "share_of_product": flops / middle / 1e9 / product["tflops"],
                    "share_of_copy": moved / middle / 1e6 / copy["gigabytes_per_second"],
                    "flops_per_byte": flops / moved,
                    "eager_milliseconds": eager,
                    "error": error,
                }
                yield name, settings, scores | _spread(low, high)


def lengths():
    """Time and peak memory over the length of the sequence: attention spelt out, ours, and SDPA; what does not fit is said."""
    from attn_utils.kernels.flash import flash_attention

    functions = {
        "spelt out": lambda q, k, v: attention(q, k, v)[0],
        "ours": flash_attention,
        "SDPA": F.scaled_dot_product_attention,
    }
    for length in LENGTHS:
        shape = (1, LENGTH_HEADS, length, D)
        q, k, v = (torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
        d_out = torch.randn_like(q)
        for name, function in functions.items():
            for direction in DIRECTIONS:
                settings = {"N": length, "direction": direction, "B": 1, "heads": LENGTH_HEADS, "d": D, "dtype": "bfloat16"}
                call = partial(_call, function, q, k, v, d_out, direction)
                try:
                    peak = _peak_bytes(call)
                    low, middle, high = _milliseconds(call)
                except torch.cuda.OutOfMemoryError:
                    yield name, settings, {"out_of_memory": 1}
                    continue
                finally:
                    torch.cuda.empty_cache()
                yield name, settings, {"milliseconds": middle, "peak_bytes": peak} | _spread(low, high)


def _mask(rule):
    if "window" in RULES[rule]:
        return torch.from_numpy(masks.window_2d(*RULES[rule]["window"])).cuda()
    return torch.from_numpy(masks.causal(N)).cuda() if RULES[rule] else None


def _functions(rule):
    """{name: function of q, k, v}: each rival in the form that suits it best."""
    from attn_utils.kernels.flash import flash_attention

    told = RULES[rule]
    functions = {"ours": lambda q, k, v: flash_attention(q, k, v, **told)}
    if "window" in told:
        additive = torch.zeros(N, N, device="cuda", dtype=torch.bfloat16).masked_fill(~_mask(rule), -math.inf)
        options = {"attn_mask": additive}  # as SDPA would have to make it of booleans in each call
        functions["FlexAttention"] = _flex(masks.window_2d_mod(*told["window"]))
    else:
        options = {"is_causal": bool(told)}
    functions["SDPA"] = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)
    for name, backend in BACKENDS.items():
        functions[name] = lambda q, k, v, backend=backend: _with_backend(backend, q, k, v, options)
    return functions


def _with_backend(backend, q, k, v, options):
    with sdpa_kernel(backend):
        return F.scaled_dot_product_attention(q, k, v, **options)


def _flex(mask_mod):
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    block_mask = create_block_mask(mask_mod, None, None, N, N, device="cuda")
    compiled = torch.compile(flex_attention, dynamic=False)
    return lambda q, k, v: compiled(q, k, v, block_mask=block_mask)


def _call(function, q, k, v, d_out, direction):
    if direction == "forward":
        with torch.no_grad():
            return function(q, k, v)
    return torch.autograd.grad(function(q, k, v), (q, k, v), d_out)


def _milliseconds(call, budget=200.0):
    """Quartiles of the device's time for one call: its graph replayed, ten to a hundred times in about `budget` milliseconds."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.empty_cache()  # a captured graph has memory of its own
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    once = statistics.median(_replay(graph, 3))
    return quartiles(_replay(graph, int(min(100, max(10, budget / once)))))


def _replay(graph, repeats):
    flush = torch.empty(256 * 2**20, dtype=torch.uint8, device="cuda")
    starts, ends = ([torch.cuda.Event(enable_timing=True) for _ in range(repeats)] for _ in range(2))
    for start, end in zip(starts, ends):
        flush.zero_()
        start.record()
        graph.replay()
        end.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) for start, end in zip(starts, ends)]


def _eager_milliseconds(call, repeats=20):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    call()
    start.record()
    for _ in range(repeats):
        call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / repeats


def _peak_bytes(call):
    """What one call takes at most, beyond what was there and what the first call leaves behind."""
    call()
    torch.cuda.empty_cache()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _spread(low, high):
    return {"quartile_1": low, "quartile_3": high}
