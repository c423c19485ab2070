"""From attention weights to explanations: how many keys a query looks at, rollout, and with gradients what counts for an answer."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def effective_keys(weights: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """The effective number of keys of each query, e to the entropy of its weights: how many equal weights would spread as much.

    effective_keys(a) = exp(-Σ_m a_m ln a_m),   with 0 ln 0 = 0

    Args:
        weights: attention weights (..., M): none negative, and each row sums to 1 over the keys.

    Returns:
        (...), at least float32, an array for an array and a tensor for a tensor: 1 where one key has all the weight, M where all
        share it equally, 0 for a query that may attend to nothing (a row of 0).

    Raises:
        ValueError: a negative weight, or a row that sums neither to 1 nor to 0: are these scores?

    Examples:
        >>> effective_keys(np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])).round(6)
        array([1., 2.])
    """
    given = weights if isinstance(weights, Tensor) else torch.tensor(np.asarray(weights))
    shares = given.to(torch.promote_types(given.dtype, torch.float32))  # (..., M)
    sums = shares.sum(dim=-1)
    fits = ((sums - 1).abs() <= 0.01) | (sums == 0)  # 0.01: what rounding to half precision may add up to
    if not ((shares >= 0).all() and fits.all()):
        raise ValueError("weights must not be negative and must sum to 1 over the last axis, or to 0: are these scores?")
    keys = torch.special.entr(shares).sum(dim=-1).exp() * (sums > 0)
    return keys if isinstance(weights, Tensor) else keys.numpy()


def rollout(maps: Mapping[str, Tensor], *, residual: float = 0.5) -> Tensor:
    """Attention rollout: how much each input token reaches each output token, through all layers and skip connections.

    Ā_l = residual · I + (1 - residual) · mean over heads of A_l,   R = Ā_L ··· Ā_2 Ā_1

    Args:
        maps: what `record_attention` gave for a stack of self-attention layers, in forward order; each (B, heads, N, N).
        residual: share of the skip connection, in [0, 1]; the paper takes one half.

    Returns:
        R, (B, N, N), at least float32: row n says where output token n comes from. Each row sums to 1 over the input tokens; with
        residual = 0 a token that may attend to nothing has a row of 0, and a token that attends to it a row that sums to less.

    Raises:
        ValueError: no maps, maps that are not all of one shape (B, heads, N, N) up to the number of heads, or a residual
            outside [0, 1].

    Source: Abnar & Zuidema 2020, arXiv:2005.00928, section 3 (attention rollout). It takes mixing as if it were linear,
    and looks neither at values nor at the MLPs: read it as a picture of connectivity, not of importance.

    Examples:
        One layer, in which both tokens look at the first:

        >>> rollout({"layer": torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])})
        tensor([[[1.0000, 0.0000],
                 [0.5000, 0.5000]]])
    """
    if not maps:
        raise ValueError("maps is empty: record a forward pass first")
    if not 0.0 <= residual <= 1.0:
        raise ValueError(f"residual must be in [0, 1], got {residual}")
    first = next(iter(maps.values()))
    shape = first.shape[:1] + 2 * first.shape[-1:]  # (B, N, N)
    for name, weights in maps.items():
        if weights.ndim != 4 or weights.shape[:1] + weights.shape[2:] != shape:
            raise ValueError(
                f"rollout takes self-attention maps of one size (B, heads, N, N), got {tuple(weights.shape)} for {name!r}"
            )
    dtype = torch.promote_types(first.dtype, torch.float32)  # half precision would lose a little in each layer
    identity = torch.eye(shape[-1], dtype=dtype, device=first.device)
    total = identity.expand(shape)
    for weights in maps.values():
        mixed = residual * identity + (1 - residual) * weights.to(dtype).mean(dim=1)  # (B, N, N)
        sums = mixed.sum(dim=-1, keepdim=True)
        total = mixed / sums.masked_fill(sums == 0, 1.0) @ total
    return total


def gradient_times_attention(
    maps: Mapping[str, Tensor], gradients: Mapping[str, Tensor], *, per_head: bool = False
) -> dict[str, Tensor]:
    """Which weights speak for the answer: each weight times what the answer gains by it, where that is positive.

    Ā = mean over heads of max(0, ∂y/∂A ⊙ A)

    Args:
        maps: attention weights by layer, each (B, heads, N, M).
        gradients: of the answer y by these weights, of the same names and shapes; `attn_utils.attribution.attention_gradients`
            gives both.
        per_head: leave the heads apart.

    Returns:
        {layer: Ā}, each (B, N, M), or (B, heads, N, M) per head; at least float32, nowhere negative.

    Raises:
        ValueError: no maps, other names, or other shapes.

    Source: Chefer et al. 2021, arXiv:2103.15679, equation 5.

    Examples:
        >>> A, g = torch.tensor([[[[0.25, 0.75]]]]), torch.tensor([[[[4.0, -1.0]]]])
        >>> gradient_times_attention({"layer": A}, {"layer": g})
        {'layer': tensor([[[1., 0.]]])}
    """
    if not maps:
        raise ValueError("maps is empty: record a forward pass first")
    if maps.keys() != gradients.keys():
        raise ValueError(f"gradients must be of the same layers as maps, got {list(gradients)} for {list(maps)}")
    products = {}
    for name, weights in maps.items():
        if weights.ndim != 4 or weights.shape != gradients[name].shape:
            raise ValueError(
                f"maps and gradients must be (B, heads, N, M) alike, got {tuple(weights.shape)} and {tuple(gradients[name].shape)}"
                f" for {name!r}"
            )
        dtype = torch.promote_types(weights.dtype, torch.float32)
        product = (weights.to(dtype) * gradients[name].to(dtype)).clamp(min=0)
        products[name] = product if per_head else product.mean(dim=1)
    return products


def relevance(maps: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> Tensor:
    """Relevance through a stack of self-attention layers: rollout of what speaks for the answer.

    R = I at first, and for each layer, in the order in which they ran,   R ← R + Ā R,   Ā as in `gradient_times_attention`

    Args:
        maps, gradients: as `gradient_times_attention` takes them; each (B, heads, N, N).

    Returns:
        R, (B, N, N): row n says how much each input token counts for the answer as it is read off token n; nowhere negative.

    Raises:
        ValueError: as `gradient_times_attention`, or maps that are not those of one set of tokens.

    Source: Chefer et al. 2021, arXiv:2103.15679, equations 5 and 6.
    """
    return cross_relevance(maps, gradients, dict.fromkeys(maps, ("tokens", "tokens")))["tokens", "tokens"]


def cross_relevance(
    maps: Mapping[str, Tensor], gradients: Mapping[str, Tensor], streams: Mapping[str, tuple[str, str]]
) -> dict[tuple[str, str], Tensor]:
    """Relevance among several sets of tokens that attend to themselves and to each other, such as queries and a picture.

    Layer by layer, in the order in which they ran. Where tokens s attend to themselves (with every other set t):
        R_ss ← R_ss + Ā R_ss,   R_st ← R_st + Ā R_st
    Where tokens s attend to tokens t, with R̄ = I + (R - I) / row sums of (R - I):
        R_st ← R_st + R̄_ssᵀ Ā R̄_tt,   R_ss ← R_ss + Ā R_ts

    Args:
        maps, gradients: as `gradient_times_attention` takes them.
        streams: {layer: (who asks, who is asked)}, names of sets of tokens; the same name twice for self-attention.

    Returns:
        {(s, t): R (B, N_s, N_t)} for each pair of sets: how much tokens t count for tokens s. R_ss begins with I, others with 0.

    Raises:
        ValueError: as `gradient_times_attention`; a layer without streams; a set with different numbers of tokens.

    Source: Chefer et al. 2021, arXiv:2103.15679, equations 5 to 11.
    Differs from the paper: a row of R - I that is 0, of a token that has attended to nothing yet, stays 0 when it is normalised.
    """
    products = gradient_times_attention(maps, gradients)
    sizes: dict[str, int] = {}
    for name, product in products.items():
        if name not in streams:
            raise ValueError(f"streams does not say who attends to whom in {name!r}")
        for stream, size in zip(streams[name], product.shape[1:], strict=True):
            if sizes.setdefault(stream, size) != size:
                raise ValueError(f"{stream!r} cannot have {sizes[stream]} tokens and {size} in {name!r}")
    some = next(iter(products.values()))
    R = {(s, t): some.new_zeros(len(some), sizes[s], sizes[t]) for s in sizes for t in sizes}
    for s, N in sizes.items():
        R[s, s] = R[s, s] + torch.eye(N, dtype=some.dtype, device=some.device)
    for name, product in products.items():
        s, t = streams[name]
        if s == t:
            added = {(s, other): product @ R[s, other] for other in sizes}
        else:
            added = {(s, t): _normalised(R[s, s]).mT @ product @ _normalised(R[t, t]), (s, s): product @ R[t, s]}
        R |= {pair: R[pair] + more for pair, more in added.items()}
    return R


def _normalised(R: Tensor) -> Tensor:
    """Equations 8 and 9: what was added to the identity, scaled so that each row of it sums to 1."""
    identity = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)
    added = R - identity
    sums = added.sum(dim=-1, keepdim=True)
    return identity + added / sums.masked_fill(sums == 0, 1.0)
