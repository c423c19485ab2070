"""What every attention must keep, whoever wrote it: each promise checked on random inputs, and words for what is broken::

print(check(my_attention))                       # q (B, N, d), k (B, M, d), v (B, M, d), mask (B, N, M) or None
require(my_multi_head_attention, heads=2)        # raises where a promise is broken; q, k, v (B, ., heads · d)

Loss curves do not find such bugs. Each check looks at one promise, in milliseconds: with few tokens and with more than a tile
holds, with as many queries as keys and not, with a mask and without.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

B, D_HEAD = 3, 4
SIZES = ((5, 7), (8, 3), (7, 7), (67, 131), (67, 67))  # (queries, keys): small and beyond any tile, no multiples, two squares
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

    Examples:
        >>> from attn_utils.attention import attention
        >>> check(lambda q, k, v, mask: attention(q, k, v, mask=mask, scale=1.0)).broken
        {'scale': 'the scores are q · k times 1.000 (no scale at all), expected 0.500 = 1/√d, d = 4'}
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
    """`check`, for a test, with the same arguments: nothing where every contract is kept.

    Raises:
        AssertionError: some contract is broken; the message is the report.
    """
    report = check(attention, **options)
    if not report.passed:
        raise AssertionError(f"broken contracts: {', '.join(report.broken)}\n{report}")


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


class _Subject:
    """The attention under test, with its random inputs."""

    def __init__(self, attention, heads, scale, generator):
        self.attention, self.heads, self.scale, self.generator = attention, heads, scale, generator
        self.D = heads * D_HEAD

    def cases(self, *, sizes=SIZES, masked=(False, True), size=1.0, dtype=torch.float64):
        """For each of `sizes`: q and k (of standard deviation `size`), v, a mask or None, and words that say which case it is."""
        for queries, keys in sizes:
            where = "" if (queries, keys) == SIZES[0] else f", for {queries} queries and {keys} keys"
            for with_mask in masked:
                q, k, v = (self.normal(B, tokens, self.D) for tokens in (queries, keys, keys))
                mask = self.mask(queries, keys) if with_mask else None
                yield (size * q).to(dtype), (size * k).to(dtype), v.to(dtype), mask, with_mask * " with a mask" + where

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def mask(self, queries, keys):
        """(B, queries, keys): another mask for each sample, about half of it True, each row with at least one True."""
        order = torch.rand(B, queries, keys, generator=self.generator)
        return order <= order.quantile(0.5, dim=-1, keepdim=True)

    def call(self, *inputs):
        """(out, weights or None). Copies are handed over: one that writes into its inputs must not spoil the next comparison."""
        result = self.attention(*(None if x is None else x.clone() for x in inputs))
        return (*result, None)[:2] if isinstance(result, tuple) else (result, None)

    def out(self, q, k, v, mask=None):
        return self.call(q, k, v, mask)[0]

    def weights(self, q, k, v, mask=None):
        """(B, heads, N, M), as returned, or read off the output for one-hot values."""
        weights = self.call(q, k, v, mask)[1]
        if weights is not None:
            return weights.reshape(len(q), self.heads, q.shape[1], k.shape[1])
        M = k.shape[1]
        one_hot = torch.eye(M, M + -M % D_HEAD, dtype=v.dtype).split(D_HEAD, dim=1)  # as many keys at a time as a head is wide
        parts = [self.split(self.out(q, k, values.repeat(len(q), 1, self.heads), mask)) for values in one_hot]
        return torch.cat(parts, dim=-1)[..., :M]

    def split(self, x):
        """(B, tokens, heads · d) -> (B, heads, tokens, d)."""
        return x.unflatten(-1, (self.heads, D_HEAD)).transpose(1, 2)


def _gap(a, b):
    return (a.double() - b).abs().max().item()


def _differ(a, b, tolerance=EXACT):
    return not _gap(a, b) <= tolerance  # NaN differs too


def _inputs_stay(a):
    for q, k, v, mask, when in a.cases():
        given = [None if x is None else x.clone() for x in (q, k, v, mask)]
        a.attention(*given)
        for name, before, after in zip(("q", "k", "v", "mask"), (q, k, v, mask), given):
            if before is not None and not torch.equal(before, after):
                return f"{name} was changed in place{when}"


def _same_twice(a):
    for q, k, v, mask, when in a.cases():
        first, second = (a.out(q, k, v, mask).nan_to_num() for _ in range(2))  # the same NaN twice is another contract's
        if _differ(first, second, 0.0):
            return f"two calls with the same input differ{when}: is dropout on?"


def _shapes(a):
    for q, k, v, mask, when in a.cases():
        out, weights = a.call(q, k, v, mask)
        if out.shape != q.shape:
            return f"the output should be {tuple(q.shape)}, got {tuple(out.shape)}{when}"
        expected = (B, a.heads, q.shape[1], k.shape[1])
        if weights is not None and weights.shape not in (expected, (B, *expected[1 + (a.heads == 1) :])):
            return f"the weights should be {expected}, got {tuple(weights.shape)}{when}"


def _rows_sum_to_one(a):
    for q, k, v, mask, when in a.cases():
        weights = a.weights(q, k, v, mask)
        sums = weights.sum(dim=-1)
        if _differ(sums, 1.0):
            hint = ""
            if not _differ(weights.sum(dim=-2), 1.0):
                hint = ": each column does, so the softmax runs over the queries"
            elif not _differ(sums.sum(dim=1), 1.0):
                hint = ": all heads together do, so one softmax runs over heads and keys"
            elif mask is not None and not (sums > 1 + EXACT).any():
                hint = ": weights were removed after the softmax"
            return f"a query's weights sum to {sums.flatten()[(sums - 1).abs().argmax()]:.2f}{when}{hint}"


def _masked_weights_are_zero(a):
    for size in (1.0, 300.0):
        for q, k, v, mask, when in a.cases(masked=(True,), size=size):
            weights = a.weights(q, k, v, mask)
            allowed = mask[:, None].expand_as(weights)
            if (largest := weights[~allowed].max().item()) != 0:
                hint = ""
                if size > 1:
                    hint = ", for scores near 100,000: is the filling a finite number?"
                elif not _differ(weights, a.weights(q, k, v)):
                    hint = ": the mask has no effect"
                elif weights[allowed].max() == 0:
                    hint = ", and the allowed ones none: the mask is inverted"
                elif not weights[allowed].min() > 0:
                    hint = ", and an allowed one none: the masks reach the wrong samples or heads"
                return f"a masked key got a weight of {largest:.2g}{when}{hint}"


def _scale(a):
    for q, k, v, mask, when in a.cases():
        weights = a.weights(q, k, v, mask)
        allowed = torch.ones_like(weights, dtype=torch.bool) if mask is None else mask[:, None].expand_as(weights)
        logs = _centred(weights.log(), allowed)
        dots = _centred(a.split(q) @ a.split(k).mT, allowed)
        slope = ((logs * dots).sum() / (dots * dots).sum()).item()
        if _differ(logs, slope * dots, 1e-5):
            return f"the weights are no softmax of q · k times a number{when}{_left_out((weights == 0) & allowed)}"
        if abs(slope - a.scale) > 1e-5:
            known = {
                1.0: " (no scale at all)",
                a.D**-0.5: f" (1/√D of all heads together, D = {a.D})",
                D_HEAD**0.5: " (√d: divided where it should be multiplied)",
                1 / D_HEAD: " (1/d, the root is missing)",
            }
            hint = next((text for value, text in known.items() if abs(slope - value) < 1e-5), "")
            root = f" = 1/√d, d = {D_HEAD}" if a.scale == D_HEAD**-0.5 else ""
            return f"the scores are q · k times {slope:.3f}{hint}, expected {a.scale:.3f}{root}{when}"


def _centred(x, allowed):
    """x minus its mean over the allowed keys; 0 at the others."""
    means = x.masked_fill(~allowed, 0.0).sum(dim=-1, keepdim=True) / allowed.sum(dim=-1, keepdim=True)
    return (x - means).masked_fill(~allowed, 0.0)


def _left_out(unseen):
    """A hint about the allowed keys (B, heads, N, M) that got no weight."""
    if unseen.any() and torch.equal(unseen, torch.ones_like(unseen).triu(1)):
        return ": each query sees the keys up to its own place only, so a causal mask is at work"
    keys = unseen.flatten(0, 2).all(dim=0)  # (M,)
    return f": no query sees key {keys.int().argmax()}, nor {keys.sum() - 1} others" if keys.any() else ""


def _output_is_the_mix(a):
    for q, k, v, mask, when in a.cases():
        expected = (a.weights(q, k, v, mask) @ a.split(v)).transpose(1, 2).flatten(2)
        if _differ(out := a.out(q, k, v, mask), expected):
            return f"the output is off weights @ v by {_gap(out, expected):.2g}{when}"


def _heads_apart(a):
    for q, k, v, mask, when in a.cases():
        others = [torch.cat([a.normal(*x.shape[:2], D_HEAD), x[..., D_HEAD:]], dim=-1) for x in (q, k, v)]
        moved = (a.out(q, k, v, mask) - a.out(*others, mask)).abs()
        if not moved[..., D_HEAD:].max() <= EXACT:
            return f"other q, k and v in the first head changed the output of the others{when}: heads are mixed up"


def _order_does_not_matter(a):
    for q, k, v, mask, when in a.cases():
        rows, columns = (torch.randperm(x.shape[1], generator=a.generator) for x in (q, k))
        out = a.out(q, k, v, mask)
        if _differ(a.out(q, k[:, columns], v[:, columns], None if mask is None else mask[..., columns]), out):
            return f"another order of the keys and values gave another output{when}"
        if _differ(a.out(q[:, rows], k, v, None if mask is None else mask[:, rows]), out[:, rows]):
            return f"in another order the queries got other answers{when}"


def _batch_independence(a):
    squares_first = sorted(SIZES, key=lambda size: size[0] != size[1])  # there a swap of batch and tokens raises nothing
    for q, k, v, mask, when in a.cases(sizes=squares_first):
        together = a.out(q, k, v, mask)
        for b in range(B):
            alone = a.out(*(None if x is None else x[b : b + 1] for x in (q, k, v, mask)))
            if _differ(alone, together[b : b + 1]):
                return f"a sample alone and the same sample in a batch differ by {_gap(alone, together[b : b + 1]):.2g}{when}"


def _large_scores(a):
    for q, k, v, mask, when in a.cases(size=300.0, dtype=torch.float32):
        out = a.out(q, k, v, mask)
        if not out.isfinite().all():
            return f"scores near 100,000 gave NaN or infinity{when}: subtract the largest score before exp"
        if not out.abs().max() <= v.abs().max() + 1e-5:
            return f"for scores near 100,000 the output leaves the range of the values{when}"


def _half_precision(a):
    for q, k, v, mask, when in a.cases(dtype=torch.float16):
        if _differ(a.out(q, k, v, mask), a.out(q.double(), k.double(), v.double(), mask), 1e-2):
            return f"in float16 the output is off that in float64 by more than 0.01{when}"


def _gradients(a):
    for *qkv, mask, when in a.cases():
        qkv, towards = [x.requires_grad_() for x in qkv], a.normal(*qkv[0].shape)
        value = (a.out(*qkv, mask) * towards).sum()
        if not value.requires_grad:
            return f"no gradient reaches q, k and v{when}"
        gradients = torch.autograd.grad(value, qkv, allow_unused=True)
        for i, (name, gradient) in enumerate(zip("qkv", gradients)):
            if gradient is None:
                return f"no gradient reaches {name}{when}"
            step, direction = 1e-5, a.normal(*gradient.shape)
            up, down = ([x.detach() for x in qkv] for _ in range(2))
            up[i], down[i] = up[i] + step * direction, down[i] - step * direction
            slope = ((a.out(*up, mask) - a.out(*down, mask)) * towards).sum().item() / (2 * step)
            if not abs(slope - (gradient * direction).sum().item()) <= 1e-5 * max(1.0, abs(slope)):
                return f"the gradient of {name} is not the slope of the output{when}"


def _nothing_to_attend(a):
    for q, k, v, mask, when in a.cases(masked=(True,)):
        mask[:, 2], when = False, when.removeprefix(" with a mask")
        out = a.out(q, k, v, mask)
        if out[:, 2].isnan().any():
            return f"a query that may attend to nothing gives NaN{when}"
        if out[:, 2].any():
            return f"a query that may attend to nothing gets something{when}"
        if not out.isfinite().all():
            return f"a query that may attend to nothing disturbs the others{when}"


CONTRACTS = {  # the first two come first, since the others compare several calls
    "inputs stay": _inputs_stay,
    "same twice": _same_twice,
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
    "nothing to attend to": _nothing_to_attend,
}
