"""Detection as set prediction: which query answers for which object, what that costs, and DETR's decoder layer.

Boxes are (cx, cy, w, h) as shares of the picture. A batch holds K places for objects: `labels` (B, K) is -1 where a
picture has fewer, and whatever stands in `targets` (B, K, 4) there is never looked at. One convention for both kinds of read-out:

    "focal"    logits (B, N, C): each class is a yes or no by itself, and an empty query says no to all
    "softmax"  logits (B, N, C + 1): one of the classes, or the last, "no object"
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from attn_utils.attention import Mask, MultiHeadAttention, Positions, attention
from attn_utils.boxes import generalized_box_iou, to_corners
from attn_utils.shapes import check_choice, check_shape, check_size

KINDS = ("focal", "softmax")
ALPHA, GAMMA = 0.25, 2.0  # of the focal loss
Pairs = tuple[Tensor, Tensor, Tensor]  # picture, query, object: three index tensors of one length


# -------------------------------------------------------------------------------------------------------- matching


@torch.no_grad()
def matching_cost(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    targets: Tensor,
    *,
    kind: str = "focal",
    weights: tuple[float, float, float] = (2.0, 5.0, 2.0),
) -> Tensor:
    """What it would cost to let query n answer for object k: wrong class, wrong place, wrong extent.

    cost = w₁ · class + w₂ · |box − target|₁ − w₃ · GIoU(box, target)

    where class is −p(label) for "softmax", and for "focal" what saying yes to the label would cost more than saying no.

    Args:
        logits: (B, N, C), or (B, N, C + 1) for "softmax".
        boxes: (B, N, 4), predicted.
        labels: (B, K) int64, -1 where there is no object.
        targets: (B, K, 4).
        kind: "focal" or "softmax".
        weights: w₁, w₂, w₃. DETR takes (1, 5, 2), Deformable DETR (2, 5, 2).

    Returns:
        (B, N, K); columns of missing objects hold numbers without meaning. No gradient.

    Raises:
        ValueError: shapes that do not fit, a label that is no class, or another kind.

    Source: DETR, arXiv:2005.12872, equations 1 and 2 (the probability in place of its logarithm); "focal" as in Deformable DETR,
    arXiv:2010.04159, in its published code.
    """
    _check_sets(logits, boxes, labels, targets, kind)
    index = labels.clamp(min=0)[:, None, :].expand(-1, boxes.shape[1], -1)  # (B, N, K)
    if kind == "softmax":
        of_class = -logits.softmax(dim=-1).gather(2, index)
    else:
        yes, no = focal_loss(logits, torch.ones_like(logits)), focal_loss(logits, torch.zeros_like(logits))
        of_class = (yes - no).gather(2, index)
    distance = torch.cdist(boxes, targets, p=1)
    giou = generalized_box_iou(to_corners(boxes)[:, :, None], to_corners(targets)[:, None])  # (B, N, K)
    return weights[0] * of_class + weights[1] * distance - weights[2] * giou


def match(cost: Tensor, present: Tensor) -> Pairs:
    """The one-to-one assignment of objects to queries that costs least, for each picture by itself (Hungarian matching).

    Args:
        cost: (B, N, K).
        present: (B, K) bool, which objects are there.

    Returns:
        Picture, query and object of every pair, three int64 tensors (pairs,) on the cost's device, picture by picture. A
        picture of m objects has min(N, m) pairs; no query and no object appears in two.

    Raises:
        ValueError: shapes that do not fit.
        FloatingPointError: the cost of an object that is there is NaN or infinite: the training diverged.

    Examples:
        The object that only the second query can serve well leaves the first query to the other:

        >>> match(torch.tensor([[[1.0, 3.0], [0.0, 1.0]]]), torch.ones(1, 2, dtype=torch.bool))
        (tensor([0, 0]), tensor([0, 1]), tensor([0, 1]))
    """
    check_shape("cost", cost, ("B", "N", "K"))
    check_shape("present", present, (cost.shape[0], cost.shape[2]))
    here, table = present.cpu().numpy(), cost.detach().double().cpu().numpy()  # one copy, not one a picture
    if not np.isfinite(table.transpose(0, 2, 1)[here]).all():
        raise FloatingPointError("cost must be finite, got NaN or infinity: try a lower lr, or look for NaN in the data")
    pairs = []
    for picture, (costs, mask) in enumerate(zip(table, here, strict=True)):
        objects = np.flatnonzero(mask)
        queries, chosen = linear_sum_assignment(costs[:, objects])
        pairs.append(np.stack([np.full(len(queries), picture), queries, objects[chosen]]))
    found = np.concatenate(pairs, axis=1) if pairs else np.zeros((3, 0), np.int64)
    return tuple(torch.from_numpy(found).to(cost.device, torch.int64))


# ---------------------------------------------------------------------------------------------------------- losses


def focal_loss(logits: Tensor, truth: Tensor, *, alpha: float = ALPHA, gamma: float = GAMMA) -> Tensor:
    """Cross-entropy of yes-or-no questions, with the easy ones turned down.

    loss = −α_t (1 − p_t)^γ log p_t,   p_t = the probability given to the true answer

    Args:
        logits: (...), any shape.
        truth: (...) of the same shape, 1 for yes and 0 for no.
        alpha: α_t for a yes; 1 − alpha for a no.
        gamma: γ; 0 leaves the weighted cross-entropy.

    Returns:
        (...), one loss each.

    Source: Lin et al. 2017, arXiv:1708.02002, equation 5.
    """
    p = logits.sigmoid()
    wrong = p + truth - 2 * p * truth  # 1 − p_t
    share = 1 - alpha + (2 * alpha - 1) * truth  # α_t
    return share * wrong**gamma * F.binary_cross_entropy_with_logits(logits, truth, reduction="none")


def set_loss(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    targets: Tensor,
    pairs: Pairs,
    *,
    kind: str = "focal",
    no_object: float = 0.1,
) -> dict[str, Tensor]:
    """The three terms of DETR's loss, once it is decided which query answers for which object.

    class   every query: the label of its object, or "no object"
    l1      matched queries: |box − target|₁
    giou    matched queries: 1 − GIoU(box, target)

    Args:
        logits, boxes, labels, targets: as in `matching_cost`.
        pairs: picture, query and object of every pair, from `match` (or any other rule: a query may appear once at most).
        kind: "focal" or "softmax".
        no_object: weight of a query without an object in the cross-entropy of "softmax", so that the many empty ones do not
            drown the others; "focal" does without.

    Returns:
        {"class", "l1", "giou"}: scalars. l1, giou and the focal loss are sums over the batch divided by the number of
        pairs (at least 1); the cross-entropy is a weighted mean over all queries.

    Raises:
        ValueError: as `matching_cost`.

    Source: DETR, arXiv:2005.12872, equation 2 and appendix A.2; the published code's weights of the terms are 1, 5 and 2.
    """
    _check_sets(logits, boxes, labels, targets, kind)
    picture, query, which = pairs
    count = max(1, len(picture))
    if kind == "softmax":
        wanted = torch.full(logits.shape[:2], logits.shape[2] - 1, device=logits.device)
        wanted[picture, query] = labels[picture, which]
        importance = torch.ones(logits.shape[2], dtype=logits.dtype, device=logits.device)
        importance[-1] = no_object
        of_class = F.cross_entropy(logits.transpose(1, 2), wanted, importance)
    else:
        truth = torch.zeros_like(logits)
        truth[picture, query, labels[picture, which]] = 1.0
        of_class = focal_loss(logits, truth).sum() / count
    mine, theirs = boxes[picture, query], targets[picture, which]  # (pairs, 4)
    giou = generalized_box_iou(to_corners(mine), to_corners(theirs))
    return {"class": of_class, "l1": (mine - theirs).abs().sum() / count, "giou": (1 - giou).sum() / count}


def _check_sets(logits: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor, kind: str) -> None:
    check_choice("kind", kind, KINDS)
    check_shape("logits", logits, ("B", "N", "C"))
    check_shape("boxes", boxes, (*logits.shape[:2], 4))
    check_shape("labels", labels, (len(logits), "K"))
    check_shape("targets", targets, (*labels.shape, 4))
    classes = logits.shape[2] - (kind == "softmax")
    if labels.numel() and not -1 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels must lie between -1 (no object) and {classes - 1}, got {labels.min()} to {labels.max()}")


# --------------------------------------------------------------------------------------------------- decoder layer


class BoxAttention(MultiHeadAttention):
    """Cross-attention of queries that have a box: each looks round its box first, and elsewhere if it is worth it.

    scores = q kᵀ/√d − ½ |(place − centre) / width|²

    with, for each query and head, centre = the box's centre + a learned share of its size, and width = a learned share of its
    size. Up to a constant of each query, which the softmax does not see, the second term is a product of what belongs to the
    query with (x, y, x², y²) of the key: four more features, and attention as it was.

    Args:
        dim: width D of queries and context.
        heads: number of heads.

    Shapes:
        forward(x, context, boxes, places, *, positions=None, context_positions=None) -> out
        x (B, N, D); context (B, M, D); boxes (B, N, 4), the queries' boxes; places (M, 2), x and y of the
        keys as shares of the picture; positions and out as in `MultiHeadAttention`.

    Source: SMCA, Gao et al. 2021, arXiv:2101.07448, section 3 (the logarithm of a Gaussian added to the scores).
    Differs from the paper: centre and width start from the query's current box, not from one that the query alone predicts.
    """

    def __init__(self, dim: int, *, heads: int):
        super().__init__(dim, heads=heads, context_dim=dim)
        self.offset = nn.Linear(dim, 2 * heads)  # in units of half the box
        self.log_width = nn.Parameter(torch.zeros(heads))  # in units of half the box; 0: the box's edge is one width away
        nn.init.zeros_(self.offset.weight)
        nn.init.uniform_(self.offset.bias, -1.0, 1.0)  # the heads begin at different sides

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        boxes: Tensor,
        places: Tensor,
        *,
        positions: Positions | None = None,
        context_positions: Positions | None = None,
    ) -> Tensor:
        B, N, _ = x.shape
        M = context.shape[1]
        check_shape("boxes", boxes, (B, N, 4))
        check_shape("places", places, (M, 2))
        q, k, v = self._project_with_places(x, context, positions, context_positions)  # (B, heads, N | M, d)
        scale = q.shape[-1] ** -0.5
        of_query, of_key = self._prior(x, boxes, places)
        q = torch.cat([q, of_query / scale], dim=-1)  # (B, heads, N, d + 4)
        k = torch.cat([k, of_key.expand(B, self.heads, M, 4)], dim=-1)
        out, weights = attention(q, k, v, scale=scale)  # (B, heads, N, d), (B, heads, N, M)
        if self.weights._forward_hooks:
            self.weights(weights)
        return self.out(out.transpose(1, 2).flatten(2))

    def _prior(self, x: Tensor, boxes: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Four features of each query and head, (B, heads, N, 4), and of each key, (M, 4): their product is the log of the prior."""
        centre, size = (part[:, None] for part in boxes.chunk(2, dim=-1))  # (B, 1, N, 2)
        shift = self.offset(x).unflatten(-1, (self.heads, 2)).transpose(1, 2)  # (B, heads, N, 2)
        centre = centre + shift * size / 2
        width = size / 2 * self.log_width.exp()[:, None, None] + 1e-3  # a thousandth of the picture keeps it above 0
        sharp = width.square().reciprocal()
        return torch.cat([centre * sharp, -sharp / 2], dim=-1), torch.cat([places, places.square()], dim=-1)


class DecoderLayer(nn.Module):
    """One layer of DETR's decoder: the queries talk to each other, look at the picture, and think, each step added on.

    Pre-norm (`norm_first`): x = x + step(norm(x)) for each of the three; else DETR's own order, x = norm(x + step(x)).

    Args:
        dim, heads: as in `MultiHeadAttention`.
        mlp_ratio: hidden width of the MLP, in units of dim.
        norm_first: where the norms stand.
        prior: whether the queries look round their boxes first (`BoxAttention`).

    Shapes:
        forward(x, context, *, query_places, context_places, boxes=None, places=None, mask=None) -> x
        x (B, N, D), the queries; context (B, M, D), the picture; query_places (N, D) or (B, N, D) and context_places (M, D) are
        added to queries and keys, never to values; boxes (B, N, 4) and places (M, 2) as in `BoxAttention`, where there is a prior;
        mask (N, N) says which queries may see which.

    Source: DETR, arXiv:2005.12872, appendices A.1 and A.3; equal to Hugging Face's `DetrDecoderLayer` with norm_first=False.
    """

    def __init__(self, dim: int, *, heads: int, mlp_ratio: float = 4.0, norm_first: bool = True, prior: bool = False):
        super().__init__()
        hidden = check_size("mlp_ratio · dim", round(mlp_ratio * dim))
        self.self_attention = MultiHeadAttention(dim, heads=heads)
        self.cross = BoxAttention(dim, heads=heads) if prior else MultiHeadAttention(dim, heads=heads, context_dim=dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.norm_self, self.norm_cross, self.norm_mlp = (nn.LayerNorm(dim) for _ in range(3))
        self.norm_first, self.prior = norm_first, prior

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        *,
        query_places: Tensor,
        context_places: Tensor,
        boxes: Tensor | None = None,
        places: Tensor | None = None,
        mask: Mask | None = None,
    ) -> Tensor:
        here = {"positions": lambda tokens, project: project(tokens + query_places)}
        there = {"context_positions": lambda tokens, project: project(tokens + context_places)}
        around = (boxes, places) if self.prior else ()
        x = self._add(x, self.norm_self, lambda y: self.self_attention(y, mask=mask, **here))
        x = self._add(x, self.norm_cross, lambda y: self.cross(y, context, *around, **here, **there))
        return self._add(x, self.norm_mlp, self.mlp)

    def _add(self, x, norm, step):
        return x + step(norm(x)) if self.norm_first else norm(x + step(x))
