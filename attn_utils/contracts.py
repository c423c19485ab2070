"""What every attention must keep, whoever wrote it: each promise checked on small random inputs, and words for what is broken::

print(check(my_attention))                       # q (B, N, d), k (B, M, d), v (B, M, d), mask (B, N, M) or None
require(my_multi_head_attention, heads=2)        # raises where a promise is broken; q, k, v (B, ., heads · d)

Loss curves do not find such bugs. These checks take milliseconds and look at one promise each.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

B, N, M, D_HEAD = 3, 5, 7, 4  # sizes that differ, so that a swapped axis shows; N < M, M > D_HEAD
EXACT = 1e-8  # two results in float64 that should agree


class Result(NamedTuple):
    """One contract: whether it is kept, and what was found, in words."""

    contract: str
    passed: bool
    words: str


class Report(tuple):
    """What `check` found: a `Result` for each contract; printed, one line each."""

    @property
    def passed(self) -> bool:
        """True where every contract is kept."""
        return all(result.passed for result in self)

    @property
    def broken(self) -> dict[str, str]:
        """{contract: what is wrong, in words}, of those that are not kept."""
        return {result.contract: result.words for result in self if not result.passed}

    def __str__(self) -> str:
        width = max(len(result.contract) for result in self)
        return "\n".join(f"{'✓' if passed else '✗'} {contract:<{width}}  {words}".rstrip() for contract, passed, words in self)


def check(
    attention: Callable, *, heads: int = 1, scale: float | None = None, skip: tuple[str, ...] = (), seed: int = 0
) -> Report:
    """Try an attention on every contract.

    Args:
        attention: called as attention(q, k, v, mask); returns (out, weights), or out alone. Tensors: q (B, N, D), k and v
            (B, M, D) with D = heads · d; mask (B, N, M) boolean, True = may attend, or None; out (B, N, D); weights (B, heads, N, M), or
            (B, N, M) for one head. Where only out comes back, the weights are read off it: with one-hot values
            an output *is* a row of weights. Put a module into eval mode first.
        heads: how many heads share the width.
        scale: the factor on the scores that it should have; None means 1/√d.
        skip: contracts to leave out, by name.
        seed: of the random inputs.

    Returns:
        A `Report`: (contract, passed, words) in the order of `CONTRACTS`; "heads apart" only if there are several heads.

    Raises:
        ValueError: `skip` names no contract.

    A contract that makes the attention raise counts as broken, and the words say what was raised.
    """
    if unknown := set(skip) - set(CONTRACTS):
        raise ValueError(f"skip names {sorted(unknown)}, there is {', '.join(CONTRACTS)}")
    results = []
    for name, contract in CONTRACTS.items():
        if name in skip or (name == "heads apart" and heads == 1):
            continue
        generator = torch.Generator().manual_seed(seed)
        subject = _Subject(attention, heads, D_HEAD**-0.5 if scale is None else scale, generator)
        try:
            words = contract(subject)
        except Exception as error:  # whatever the attention raises is an answer about it
            words = f"raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        results.append(Result(name, words is None, words or ""))
    return Report(results)


def require(attention: Callable, **options) -> None:
    """`check`, for a test: nothing where every contract is kept.

    Args:
        attention, options: as in `check`.

    Raises:
        AssertionError: some contract is broken; the message is the report.
    """
    report = check(attention, **options)
    if not report.passed:
        raise AssertionError(f"broken contracts: {', '.join(report.broken)}\n{report}")


# ----------------------------------------------------------------------------------------------------- adapters


def with_heads(attention: Callable, heads: int) -> Callable:
    """Several heads from a function of one: split the width, attend in each head, put the parts side by side.

    Args:
        attention: called as attention(q, k, v, mask=mask) on (B, heads, N, d), with mask (B, 1, N, M) or None.
        heads: number of heads.

    Returns:
        A function of (q, k, v, mask) on (B, N, heads · d), as `check` takes it.
    """

    def split_attend_merge(q, k, v, mask=None):
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))  # (B, heads, tokens, d)
        result = attention(q, k, v, mask=None if mask is None else mask[:, None])
        out, *weights = result if isinstance(result, tuple) else (result,)
        return (out.transpose(1, 2).flatten(2), *weights)  # (B, N, heads · d)

    return split_attend_merge


def from_numpy(forward: Callable, backward: Callable | None = None) -> Callable:
    """An attention on NumPy arrays, as a function of tensors.

    Args:
        forward: called as forward(q, k, v, mask=mask), returns (out, weights); as `reference.attention`.
        backward: called as backward(q, k, v, d_out, mask=mask), returns (d_q, d_k, d_v); None where there is none.

    Returns:
        A function of (q, k, v, mask=None) that autograd can differentiate if there is a `backward`.
    """

    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(context, q, k, v, mask):
            context.save_for_backward(q, k, v)
            context.mask = None if mask is None else mask.numpy()
            out, weights = map(torch.from_numpy, forward(*(x.detach().numpy() for x in (q, k, v)), mask=context.mask))
            context.mark_non_differentiable(weights)
            return out, weights

        @staticmethod
        def backward(context, d_out, _):
            arrays = (x.detach().numpy() for x in (*context.saved_tensors, d_out))
            return (*map(torch.from_numpy, backward(*arrays, mask=context.mask)), None)

    def on_tensors(q, k, v, mask=None):
        if backward is None:
            q, k, v = q.detach(), k.detach(), v.detach()
        return Attention.apply(q, k, v, mask)

    return on_tensors


# ---------------------------------------------------------------------------------------------------- contracts


class _Subject:
    """The attention under test, with its random inputs."""

    def __init__(self, attention, heads, scale, generator):
        self.attention, self.heads, self.scale, self.generator = attention, heads, scale, generator
        self.D = heads * D_HEAD

    def inputs(self, *, queries=N, keys=M, size=1.0, dtype=torch.float64):
        """q, k and v, normal with standard deviation `size` (v: 1)."""
        q, k, v = (self.normal(B, tokens, self.D) for tokens in (queries, keys, keys))
        return (size * q).to(dtype), (size * k).to(dtype), v.to(dtype)

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def mask(self, queries=N, keys=M):
        """(B, queries, keys): another mask for each sample, about half of it True, each row with at least one True."""
        order = torch.rand(B, queries, keys, generator=self.generator)
        return order <= order.quantile(0.5, dim=-1, keepdim=True)

    def out(self, q, k, v, mask=None):
        result = self.attention(q, k, v, mask)
        return result[0] if isinstance(result, tuple) else result

    def weights(self, q, k, v, mask=None):
        """(B, heads, N, M), as returned, or read off the output for one-hot values."""
        result = self.attention(q, k, v, mask)
        if isinstance(result, tuple) and len(result) > 1 and result[1] is not None:
            return result[1].reshape(len(q), self.heads, q.shape[1], k.shape[1])
        parts = []
        for start in range(0, k.shape[1], D_HEAD):  # D_HEAD keys at a time fit into the width of a head
            one_hot = torch.eye(k.shape[1], dtype=v.dtype)[:, start : start + D_HEAD]
            one_hot = torch.nn.functional.pad(one_hot, (0, D_HEAD - one_hot.shape[1]))
            out = self.out(q, k, one_hot.repeat(1, self.heads).expand(len(q), -1, -1).contiguous(), mask)
            parts.append(self.split(out))
        return torch.cat(parts, dim=-1)[..., : k.shape[1]]

    def split(self, x):
        """(B, tokens, heads · d) -> (B, heads, tokens, d)."""
        return x.unflatten(-1, (self.heads, D_HEAD)).transpose(1, 2)


def _gap(a, b):
    return (a.double() - b.double()).abs().max().item()


def _differ(a, b, tolerance=EXACT):
    return not _gap(a, b) <= tolerance  # NaN differs too


def _shapes(a):
    q, k, v = a.inputs()
    if (got := tuple(a.out(q, k, v).shape)) != q.shape:
        return f"the output should be {tuple(q.shape)}, got {got}"


def _rows_sum_to_one(a):
    q, k, v = a.inputs()
    for mask, when in ((None, ""), (a.mask(), " with a mask")):
        weights = a.weights(q, k, v, mask)
        sums = weights.sum(dim=-1)
        if _differ(sums, torch.ones_like(sums)):
            hint = ""
            if not _differ(weights.sum(dim=-2), torch.ones(B, a.heads, M)):
                hint = ": each column does, so the softmax runs over the queries"
            elif not _differ(sums.sum(dim=1), torch.ones(B, N)):
                hint = ": all heads together do, so one softmax runs over heads and keys"
            elif when and not (sums > 1 + EXACT).any():
                hint = ": weights were removed after the softmax"
            return f"a query's weights sum to {sums.flatten()[(sums - 1).abs().argmax()]:.2f}{when}{hint}"


def _masked_weights_are_zero(a):
    mask = a.mask()
    for size, when in ((1.0, ""), (300.0, ", for scores near 100,000: is the filling a finite number?")):
        q, k, v = a.inputs(size=size)
        weights = a.weights(q, k, v, mask)
        everywhere = mask[:, None].expand_as(weights)
        largest = weights[~everywhere].max().item()
        if largest != 0:
            if not when and not _differ(weights, a.weights(q, k, v)):
                when = ": the mask has no effect"
            elif not when and weights[everywhere].max() == 0:
                when = ", and the allowed ones none: the mask is inverted"
            elif not when and not weights[everywhere].min() > 0:
                when = ", and an allowed one none: the masks reach the wrong samples or heads"
            return f"a masked key got a weight of {largest:.2g}{when}"


def _scale(a):
    q, k, v = a.inputs()
    logs = a.weights(q, k, v).log()
    dots = a.split(q) @ a.split(k).transpose(-1, -2)
    logs, dots = logs - logs.mean(dim=-1, keepdim=True), dots - dots.mean(dim=-1, keepdim=True)
    slope = ((logs * dots).sum() / (dots * dots).sum()).item()
    if _differ(logs, slope * dots, 1e-5):
        return "the weights are no softmax of q · k times a number"
    if abs(slope - a.scale) > 1e-5:
        known = {
            1.0: "no scale at all",
            a.D**-0.5: f"1/√D of all heads together, D = {a.D}",
            D_HEAD**0.5: "√d: divided where it should be multiplied",
            1 / D_HEAD: "1/d, the root is missing",
        }
        hint = next((f" ({text})" for value, text in known.items() if abs(slope - value) < 1e-5), "")
        return f"the scores are q · k times {slope:.3f}{hint}, expected {a.scale:.3f}" + (
            f" = 1/√d, d = {D_HEAD}" if a.scale == D_HEAD**-0.5 else ""
        )


def _output_is_the_mix(a):
    q, k, v = a.inputs()
    for mask, when in ((None, ""), (a.mask(), " with a mask")):
        expected = (a.weights(q, k, v, mask) @ a.split(v)).transpose(1, 2).flatten(2)
        if _differ(a.out(q, k, v, mask), expected):
            return f"the output is off weights @ v by {_gap(a.out(q, k, v, mask), expected):.2g}{when}"


def _heads_apart(a):
    q, k, v = a.inputs()
    others = [torch.cat([a.normal(*x.shape[:2], D_HEAD), x[..., D_HEAD:]], dim=-1) for x in (q, k, v)]
    moved = (a.out(q, k, v) - a.out(*others)).abs()
    if not moved[..., D_HEAD:].max() <= EXACT:
        return "other features of q, k and v in the first head changed the output of the other heads: heads are mixed up"


def _order_does_not_matter(a):
    q, k, v = a.inputs()
    rows, columns = torch.randperm(N, generator=a.generator), torch.randperm(M, generator=a.generator)
    for mask in (None, a.mask()):
        out = a.out(q, k, v, mask)
        if _differ(a.out(q, k[:, columns], v[:, columns], None if mask is None else mask[..., columns]), out):
            return "another order of the keys and values gave another output"
        if _differ(a.out(q[:, rows], k, v, None if mask is None else mask[:, rows]), out[:, rows]):
            return "in another order the queries got other answers"


def _batch_independence(a):
    q, k, v = a.inputs(queries=M)
    for mask in (None, a.mask(queries=M)):
        together = a.out(q, k, v, mask)
        for b in range(B):
            alone = a.out(q[b : b + 1], k[b : b + 1], v[b : b + 1], None if mask is None else mask[b : b + 1])
            if _differ(alone, together[b : b + 1]):
                return f"a sample alone and the same sample in a batch differ by {_gap(alone, together[b : b + 1]):.2g}"


def _large_scores(a):
    q, k, v = a.inputs(size=300.0, dtype=torch.float32)
    out = a.out(q, k, v)
    if not out.isfinite().all():
        return "scores near 100,000 gave NaN or infinity: subtract the largest score before exp"
    if not out.abs().max() <= v.abs().max() + 1e-5:
        return "for scores near 100,000 the output leaves the range of the values"


def _half_precision(a):
    q, k, v = a.inputs(dtype=torch.float16)
    for mask in (None, a.mask()):
        out = a.out(q, k, v, mask)
        if _differ(out, a.out(q.double(), k.double(), v.double(), mask), 1e-2):
            return "in float16 the output is off that in float64 by more than 0.01"


def _gradients(a):
    q, k, v = (x.requires_grad_() for x in a.inputs())
    mask, towards = a.mask(), a.normal(B, N, a.D)
    loss = lambda *qkv: (a.out(*qkv, mask) * towards).sum()
    value = loss(q, k, v)
    if not value.requires_grad:
        return "no gradient reaches q, k and v"
    gradients = torch.autograd.grad(value, (q, k, v), allow_unused=True)
    step = 1e-5
    for i, (name, gradient) in enumerate(zip("qkv", gradients)):
        if gradient is None:
            return f"no gradient reaches {name}"
        direction = a.normal(*gradient.shape)
        shifted = [
            [x.detach() + sign * step * direction if j == i else x.detach() for j, x in enumerate((q, k, v))] for sign in (1, -1)
        ]
        numeric = (loss(*shifted[0]) - loss(*shifted[1])).item() / (2 * step)
        if not abs(numeric - (gradient * direction).sum().item()) <= 1e-5 * max(1.0, abs(numeric)):
            return f"the gradient of {name} is not the slope of the output"


def _inputs_stay(a):
    originals = (*a.inputs(), a.mask())
    given = [x.clone() for x in originals]
    a.attention(*given)
    for name, before, after in zip(("q", "k", "v", "mask"), originals, given):
        if not torch.equal(before, after):
            return f"{name} was changed in place"


def _same_twice(a):
    q, k, v = a.inputs()
    first = a.out(q, k, v)
    if any(_differ(a.out(q, k, v), first, 0.0) for _ in range(3)):
        return "two calls with the same input differ: is dropout on?"


def _nothing_to_attend(a):
    q, k, v = a.inputs()
    mask = a.mask()
    mask[:, 2] = False
    out = a.out(q, k, v, mask)
    if out[:, 2].isnan().any():
        return "a query that may attend to nothing gives NaN"
    if out[:, 2].any():
        return "a query that may attend to nothing gets something"
    if not out.isfinite().all():
        return "a query that may attend to nothing disturbs the others"


CONTRACTS = {
    "shapes": _shapes,
    "rows sum to 1": _rows_sum_to_one,
    "masked is 0": _masked_weights_are_zero,
    "scale": _scale,
    "output is the mix": _output_is_the_mix,
    "heads apart": _heads_apart,
    "order": _order_does_not_matter,
    "batch": _batch_independence,
    "large scores": _large_scores,
    "half precision": _half_precision,
    "gradients": _gradients,
    "inputs stay": _inputs_stay,
    "same twice": _same_twice,
    "nothing to attend to": _nothing_to_attend,
}
