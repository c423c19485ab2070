"""The contracts hold for every right implementation and name what is wrong with every broken one."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attn_utils import attention as layers
from attn_utils import contracts, reference

HEADS = 2


def explicit(
    q, k, v, mask=None, *, factor=None, change=None, normalise=lambda s: s.softmax(-1), after=lambda w, m: w, merge=None
):
    """Attention with several heads, each step open to a mistake."""
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))
    mask = None if mask is None else mask[:, None]
    d = q.shape[-1]
    scores = q @ k.mT * (d**-0.5 if factor is None else factor(d))
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if change is None else change(scores, mask)
    weights = after(normalise(scores), mask)
    out = weights @ v
    return (out.transpose(1, 2).flatten(2) if merge is None else merge(out)), weights


def broken(**changes):
    return lambda q, k, v, mask=None: explicit(q, k, v, mask, **changes)


def over_all_heads(scores):
    return scores.transpose(1, 2).flatten(2).softmax(-1).unflatten(2, (HEADS, -1)).transpose(1, 2)


def masks_in_the_wrong_order(q, k, v, mask=None):
    split = lambda x: x.unflatten(-1, (HEADS, -1)).transpose(1, 2).flatten(0, 1)
    out = layers.attention(split(q), split(k), split(v), mask=None if mask is None else mask.repeat(HEADS, 1, 1))[0]
    return out.unflatten(0, (-1, HEADS)).transpose(1, 2).flatten(2)


def in_place(q, k, v, mask=None):
    q *= (q.shape[-1] // HEADS) ** -0.5
    return explicit(q, k, v, mask, factor=lambda d: 1)


def mask_in_place(q, k, v, mask=None):
    if mask is not None:
        mask[..., 0] |= ~mask.any(dim=-1)  # a query that may attend to nothing gets the first key
        mask.logical_not_()
    return explicit(q, k, v, mask, change=lambda scores, blocked: scores.masked_fill(blocked, -torch.inf))


def first_tile_only(q, k, v, mask=None):
    return explicit(q, k[:, :8], v[:, :8], None if mask is None else mask[..., :8])[0]


def last_tile_lost(q, k, v, mask=None):
    keys = max(len(k[0]) // 8 * 8, min(len(k[0]), 8))
    out, weights = explicit(q, k[:, :keys], v[:, :keys], None if mask is None else mask[..., :keys])
    return out, F.pad(weights, (0, len(k[0]) - keys))


def causal_beyond(limit, *, square):
    """A causal mask that only more than `limit` queries meet, of a square or of any size."""

    def attend(q, k, v, mask=None):
        N, M = q.shape[1], k.shape[1]
        if N > limit and (N == M) == square:
            causal = torch.ones(len(q), N, M, dtype=torch.bool).tril()
            mask = causal if mask is None else causal & mask
        out, weights = explicit(q, k, v, mask)
        return out.nan_to_num(), weights.nan_to_num()

    return attend


def no_mask_if(forgets):
    return lambda q, k, v, mask=None: explicit(q, k, v, None if forgets(q, k) else mask, normalise=softmax_or_zero)


def softmax_or_zero(scores):
    return scores.softmax(-1).nan_to_num()


def in_tiles_without_correction(q, k, v, mask=None):
    """Tiles of 8 keys, each with its own largest score, summed as if they shared one."""
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.mT * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None], -torch.inf)
    terms = torch.cat([(part - part.amax(-1, keepdim=True)).exp().nan_to_num() for part in scores.split(8, dim=-1)], dim=-1)
    return (terms / terms.sum(-1, keepdim=True).clamp_min(1e-30) @ v).transpose(1, 2).flatten(2)


BROKEN = {
    "softmax over queries": (broken(normalise=lambda s: s.softmax(-2)), "rows sum to 1", "softmax runs over the queries"),
    "softmax over heads and keys": (broken(normalise=over_all_heads), "rows sum to 1", "all heads together do"),
    "mask after softmax": (
        broken(change=lambda s, m: s, after=lambda w, m: w if m is None else w * m),
        "rows sum to 1",
        "removed after the softmax",
    ),
    "no scale": (broken(factor=lambda d: 1), "scale", "no scale at all"),
    "scale of the width": (broken(factor=lambda d: (HEADS * d) ** -0.5), "scale", "1/√D of all heads together"),
    "times √d": (broken(factor=lambda d: d**0.5), "scale", "divided where it should be multiplied"),
    "1/d": (broken(factor=lambda d: 1 / d), "scale", "the root is missing"),
    "no dot product": (broken(normalise=lambda s: (s**3).softmax(-1)), "scale", "no softmax of q · k"),
    "mask inverted": (broken(change=lambda s, m: s.masked_fill(m, -torch.inf)), "masked is 0", "the mask is inverted"),
    "mask without effect": (broken(change=lambda s, m: s), "masked is 0", "the mask has no effect"),
    "mask times scores": (broken(change=lambda s, m: s * m), "masked is 0", "a masked key got a weight of"),
    "small filling": (broken(change=lambda s, m: s.masked_fill(~m, -math.e)), "masked is 0", "a masked key got a weight of"),
    "-1e4": (broken(change=lambda s, m: s + ~m * -1e4), "masked is 0", "is the filling a finite number?"),
    "masks of other samples": (masks_in_the_wrong_order, "masked is 0", "wrong samples or heads"),
    "-1e9": (broken(change=lambda s, m: s.masked_fill(~m, -1e9)), "half precision", "raised RuntimeError"),
    "mask not in the weights": (
        lambda q, k, v, mask=None: (explicit(q, k, v, mask)[0], explicit(q, k, v)[1]),
        "output is the mix",
        "with a mask",
    ),
    "keys and values swapped": (lambda q, k, v, mask=None: explicit(q, v, k, mask), "output is the mix", "off weights @ v"),
    "merged without transpose": (
        broken(merge=lambda out: out.reshape(len(out), out.shape[2], -1)),
        "heads apart",
        "heads are mixed up",
    ),
    "causal": (broken(normalise=lambda s: s.masked_fill(~torch.ones_like(s).bool().tril(), -torch.inf).softmax(-1)), "order", ""),
    "batch mean": (lambda q, k, v, mask=None: explicit(q, k.mean(0, True).expand_as(k), v, mask), "batch", "alone"),
    "no maximum": (broken(normalise=lambda s: s.exp() / s.exp().sum(-1, keepdim=True)), "large scores", "NaN or infinity"),
    "detached": (broken(after=lambda w, m: w.detach()), "gradients", "no gradient reaches q"),
    "detached values": (lambda q, k, v, mask=None: explicit(q, k, v.detach(), mask), "gradients", "no gradient reaches v"),
    "no graph": (lambda q, k, v, mask=None: explicit(q, k, v, mask)[0].detach(), "gradients", "no gradient reaches q, k and v"),
    "in place": (in_place, "inputs stay", "q was changed in place"),
    "dropout": (broken(after=lambda w, m: F.dropout(w, 0.1)), "same twice", "is dropout on?"),
    "NaN": (explicit, "nothing to attend to", "gives NaN"),
    "wrong shape": (lambda q, k, v, mask=None: explicit(q, k, v, mask)[0][:, :, :-1], "shapes", "should be (3, 5, 8)"),
    "weights of the first tile": (
        lambda q, k, v, mask=None: (explicit(q, k, v, mask)[0], explicit(q, k, v, mask)[1][..., :8]),
        "shapes",
        "the weights should be (3, 2, 67, 131), got (3, 2, 67, 8), for 67 queries and 131 keys",
    ),
    "mean of the heads' weights": (
        lambda q, k, v, mask=None: (explicit(q, k, v, mask)[0], explicit(q, k, v, mask)[1].mean(1)),
        "shapes",
        "the weights should be (3, 2, 5, 7), got (3, 5, 7)",
    ),
    "keys beyond a tile": (first_tile_only, "scale", "for 67 queries and 131 keys: no query sees key 8, nor 122 others"),
    "last tile lost": (last_tile_lost, "scale", "for 67 queries and 131 keys: no query sees key 128, nor 2 others"),
    "tiles without correction": (in_tiles_without_correction, "scale", "no softmax of q · k times a number, for 67 queries"),
    "causal beyond 7": (causal_beyond(7, square=True), "scale", "for 67 queries and 67 keys: each query sees the keys up to its"),
    "causal beyond 7, cross": (
        causal_beyond(7, square=False),
        "order",
        "another order of the keys and values gave another output",
    ),
    "mask ignored in a square": (
        no_mask_if(lambda q, k: q.shape[1] == k.shape[1]),
        "masked is 0",
        "with a mask, for 7 queries and 7 keys: the mask has no effect",
    ),
    "mask ignored beyond 64": (
        no_mask_if(lambda q, k: q.shape[1] > 64),
        "masked is 0",
        "with a mask, for 67 queries and 131 keys: the mask has no effect",
    ),
    "detached without a mask": (
        broken(after=lambda w, m: w.detach() if m is None else w),
        "gradients",
        "no gradient reaches q",
    ),
    "detached beyond 64": (broken(after=lambda w, m: w.detach() if w.shape[2] > 64 else w), "gradients", "for 67 queries"),
    "scale lost with a mask": (
        lambda q, k, v, mask=None: explicit(q, k, v, mask, factor=None if mask is None else lambda d: 1),
        "scale",
        "times 1.000 (no scale at all), expected 0.500 = 1/√d, d = 4 with a mask",
    ),
    "mask in place": (mask_in_place, "inputs stay", "mask was changed in place with a mask"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_attention_is_named(name):
    attention, contract, words = BROKEN[name]
    report = contracts.check(attention, heads=HEADS)
    assert not report.passed
    assert words in report.broken[contract], report


def test_hints_are_not_misled_by_inputs_that_change():
    assert contracts.check(in_place, heads=HEADS, skip=("nothing to attend to",)).broken == {
        "inputs stay": "q was changed in place"
    }


def test_what_makes_two_calls_comparable_comes_first():
    noisy = contracts.check(broken(after=lambda w, m: F.dropout(w, 0.1)), heads=HEADS)
    assert list(contracts.CONTRACTS)[:2] == ["inputs stay", "same twice"]
    assert next(iter(noisy.broken)) == "same twice"
    nan_twice = contracts.check(broken(normalise=lambda s: s.softmax(-2)), heads=HEADS)  # a key masked for every query
    assert "same twice" not in nan_twice.broken


def of_pytorch(q, k, v, mask=None, need_weights=True):
    D = q.shape[-1]
    layer = nn.MultiheadAttention(D, HEADS, bias=False, batch_first=True).to(q.dtype).eval().requires_grad_(False)
    layer.in_proj_weight.copy_(torch.eye(D).repeat(3, 1))
    layer.out_proj.weight.copy_(torch.eye(D))
    blocked = None if mask is None else ~mask.repeat_interleave(HEADS, dim=0)
    return layer(q, k, v, attn_mask=blocked, need_weights=need_weights, average_attn_weights=False)


def of_ours(q, k, v, mask=None):
    D = q.shape[-1]
    layer = layers.MultiHeadAttention(D, heads=HEADS, context_dim=2 * D, bias=False).to(q.dtype).eval().requires_grad_(False)
    for weight in (layer.q.weight, layer.kv.weight, layer.out.weight):
        weight.copy_(torch.eye(len(weight)))
    return layer(q, torch.cat([k, v], dim=-1), mask)


RIGHT = {
    "reference": contracts.with_heads(contracts.from_numpy(reference.attention, reference.attention_backward), HEADS),
    "layers.attention": contracts.with_heads(layers.attention, HEADS),
    "layers.fused_attention": contracts.with_heads(layers.fused_attention, HEADS),
    "MultiHeadAttention": of_ours,
    "SDPA": contracts.with_heads(lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, attn_mask=mask), HEADS),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", RIGHT)
def test_right_attention_passes(name, seed):
    contracts.require(RIGHT[name], heads=HEADS, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_pytorchs_layer_passes_but_for_queries_without_keys(seed):
    contracts.require(of_pytorch, heads=HEADS, seed=seed, skip=("nothing to attend to",))
    assert contracts.check(of_pytorch, heads=HEADS).broken == {
        "nothing to attend to": "a query that may attend to nothing gives NaN"
    }


def test_one_head():
    contracts.require(lambda q, k, v, mask: layers.attention(q, k, v, mask=mask))
    contracts.require(lambda q, k, v, mask: layers.fused_attention(q, k, v, mask=mask))
    names = [result.contract for result in contracts.check(lambda q, k, v, mask: layers.attention(q, k, v, mask=mask))]
    assert names == [name for name in contracts.CONTRACTS if name != "heads apart"]


def test_weights_are_read_off_an_output():
    hidden = lambda q, k, v, mask=None: explicit(q, k, v, mask, normalise=lambda s: s.softmax(-2))[0]
    assert "softmax runs over the queries" in contracts.check(hidden, heads=HEADS).broken["rows sum to 1"]


def test_another_scale():
    attention = lambda q, k, v, mask: layers.attention(q, k, v, mask=mask, scale=0.3)
    contracts.require(attention, scale=0.3)
    assert "times 0.300" in contracts.check(attention).broken["scale"]


def test_without_a_backward_numpy_has_no_gradient():
    report = contracts.check(contracts.with_heads(contracts.from_numpy(reference.attention), HEADS), heads=HEADS)
    assert report.broken == {"gradients": "no gradient reaches q, k and v"}


def test_the_report_reads_as_lines():
    report = contracts.check(explicit, heads=HEADS, skip=("gradients",))
    lines = str(report).splitlines()
    assert len(lines) == len(contracts.CONTRACTS) - 1
    assert lines[0] == "✓ inputs stay"
    assert lines[-1].startswith("✗ nothing to attend to") and lines[-1].endswith("gives NaN")


def test_require_raises_with_the_report():
    with pytest.raises(AssertionError, match=r"broken contracts: nothing to attend to\n✓ inputs stay"):
        contracts.require(explicit, heads=HEADS)


def test_an_attention_that_raises_is_broken():
    def crash(q, k, v, mask=None):
        raise KeyError("no")

    assert all(not result.passed and "raised KeyError" in result.words for result in contracts.check(crash))


def test_skip_must_name_a_contract():
    with pytest.raises(ValueError, match="skip names"):
        contracts.check(explicit, skip=("nonsense",))
