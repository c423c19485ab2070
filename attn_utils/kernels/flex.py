"""Attention by a rule of `attn_utils.masks`, in PyTorch's FlexAttention: the kernel is made from the rule, and skips what it forbids."""

import functools
import warnings

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from attn_utils.masks import MaskMod
from attn_utils.shapes import check_qkv


def rule_attention(q: Tensor, k: Tensor, v: Tensor, rule: MaskMod, *, scale: float | None = None) -> Tensor:
    """The `out` of `attention` under a rule (batch, head, query, key) -> bool, such as `masks.window_2d_mod(H, W, radius)`.

    On a GPU the rule is compiled into a kernel, which leaves out blocks of 128 × 128 pairs that it forbids altogether. On a CPU
    all scores are formed: with the same result, and to no advantage.

    Args:
        q: queries, (B, heads, N, d), floating point.
        k: keys, (B, heads, M, d).
        v: values, (B, heads, M, d_v).
        rule: written with operators; the same function object for the same rule, since its blocks are kept.
        scale: factor on the scores; None means 1/√d.

    Returns:
        out, (B, heads, N, d_v); 0 for a query that may attend to nothing.

    Raises:
        TypeError, ValueError: q, k and v that do not fit, or have other than four axes.

    Source: Dong et al. 2024, arXiv:2412.05496; `torch.nn.attention.flex_attention`.
    """
    check_qkv(q, k, v)
    if q.ndim != 4:
        raise ValueError(f"q must have the four axes (batch, head, token, width), got shape {tuple(q.shape)}")
    blocks = _blocks(rule, q.shape[-2], k.shape[-2], str(q.device))
    function = _compiled() if q.is_cuda else _spelt_out
    return function(q, k, v, block_mask=blocks, scale=scale)


@functools.lru_cache(maxsize=16)
def _blocks(rule: MaskMod, N: int, M: int, device: str):
    return create_block_mask(rule, None, None, N, M, device=device)


@functools.cache
def _compiled():
    return torch.compile(flex_attention, dynamic=False)


def _spelt_out(*args, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        return flex_attention(*args, **options)
