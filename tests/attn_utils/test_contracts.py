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
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_attention_is_named(name):
    attention, contract, words = BROKEN[name]
    report = contracts.check(attention, heads=HEADS)
    assert not report.passed
    assert words in report.broken[contract], report


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
    assert lines[0] == "✓ shapes"
    assert lines[-1].startswith("✗ nothing to attend to") and lines[-1].endswith("gives NaN")


def test_require_raises_with_the_report():
    with pytest.raises(AssertionError, match=r"broken contracts: nothing to attend to\n✓ shapes"):
        contracts.require(explicit, heads=HEADS)


def test_an_attention_that_raises_is_broken():
    def crash(q, k, v, mask=None):
        raise KeyError("no")

    assert all(not result.passed and "raised KeyError" in result.words for result in contracts.check(crash))


def test_skip_must_name_a_contract():
    with pytest.raises(ValueError, match="skip names"):
        contracts.check(explicit, skip=("nonsense",))
