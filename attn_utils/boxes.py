"""Boxes: two ways to write them, how far two of them agree, and what to do when many lie on one object.

A box is (x0, y0, x1, y1), its corners, or (cx, cy, w, h), its centre and size; in pixels or as shares of the picture. All
functions take any leading axes; two sets of boxes are compared pair by pair as `box_iou(a[..., :, None, :], b[..., None, :, :])`.
"""

import torch
from torch import Tensor

from attn_utils.shapes import check_float, check_shape


def to_corners(boxes: Tensor) -> Tensor:
    """(cx, cy, w, h) -> (x0, y0, x1, y1), (..., 4) each."""
    _check_boxes("boxes", boxes)
    centre, size = boxes.chunk(2, dim=-1)
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def to_centres(boxes: Tensor) -> Tensor:
    """(x0, y0, x1, y1) -> (cx, cy, w, h), (..., 4) each."""
    _check_boxes("boxes", boxes)
    low, high = boxes.chunk(2, dim=-1)
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union: the area that two boxes share, as a part of the area that they cover together.

    Args:
        a, b: corners (..., 4), broadcast against each other; x0 ≤ x1 and y0 ≤ y1.

    Returns:
        (...) in [0, 1]; 0 for two boxes without area.

    Raises:
        TypeError: not floating point.
        ValueError: the last axis is not 4.

    Examples:
        >>> a, b = torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([1.0, 0.0, 3.0, 2.0])
        >>> round(box_iou(a, b).item(), 4)  # 2 of 6 unit squares
        0.3333
    """
    shared, union, _ = _areas(a, b)
    return _share(shared, union)


def generalized_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """GIoU: the IoU, less what is empty in the smallest box around both, so that it still falls where they do not touch.

    GIoU = IoU − (hull − union) / hull

    Args:
        a, b: corners (..., 4), broadcast against each other.

    Returns:
        (...) in (-1, 1]; 1 exactly where the two are the same box.

    Raises:
        TypeError, ValueError: as `box_iou`.

    Source: Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 1.

    Examples:
        >>> a, b = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([3.0, 0.0, 4.0, 1.0])
        >>> generalized_box_iou(a, b).item()  # IoU 0; two of the hull's four unit squares are empty
        -0.5
    """
    shared, union, hull = _areas(a, b)
    return _share(shared, union) - _share(hull - union, hull)


def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, *, threshold: float = 0.5, sigma: float | None = None) -> Tensor:
    """Non-maximum suppression, class by class: what overlaps a better box of its own class loses its score, or a part of it.

    From the best box to the worst: every lower box of the same class is multiplied by 0 where its IoU with this one is above
    `threshold`; or, with `sigma` (soft-NMS), by exp(-IoU² / sigma) whatever the IoU is. Then the next best, by the new scores.

    Args:
        boxes: corners (..., N, 4).
        scores: (..., N), at least 0.
        labels: (..., N) integers.
        threshold: IoU above which a box counts as a second one of the same object.
        sigma: of soft-NMS; None means the plain one. The paper takes 0.5.

    Returns:
        New scores, (..., N); 0 for what plain suppression throws away.

    Raises:
        ValueError: shapes that do not fit, sigma not above 0.

    Source: Bodla et al. 2017, arXiv:1704.04503, figure 2 and equation 3 (Gaussian).

    Examples:
        >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [5.0, 0.0, 9.0, 4.0]])
        >>> scores, labels = torch.tensor([0.5, 0.75, 0.25]), torch.tensor([7, 7, 7])
        >>> suppress(boxes, scores, labels).tolist()  # the first lies on the second, which is better
        [0.0, 0.75, 0.25]
    """
    _check_boxes("boxes", boxes)
    for name, one in (("scores", scores), ("labels", labels)):
        check_shape(name, one, tuple(boxes.shape[:-1]))
    if sigma is not None and not sigma > 0:
        raise ValueError(f"sigma must be above 0, got {sigma}")
    iou = box_iou(boxes[..., :, None, :], boxes[..., None, :, :])  # (..., N, N)
    factors = (iou <= threshold).to(scores) if sigma is None else (-iou.square() / sigma).exp()
    factors = torch.where(labels[..., :, None] == labels[..., None, :], factors, 1.0)
    scores, waiting = scores.clone(), torch.ones_like(scores, dtype=torch.bool)
    for _ in range(scores.shape[-1]):
        best = scores.masked_fill(~waiting, -1.0).argmax(dim=-1, keepdim=True)  # (..., 1)
        waiting = waiting.scatter(-1, best, False)
        of_best = factors.gather(-2, best[..., None].expand(*best.shape, scores.shape[-1])).squeeze(-2)  # (..., N)
        alive = scores.gather(-1, best) > 0  # what is thrown away throws nothing away
        scores = torch.where(waiting & alive, scores * of_best, scores)
    return scores


def _areas(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What two boxes share, what they cover together, and the smallest box around both: areas, (...) each."""
    _check_boxes("a", a)
    _check_boxes("b", b)
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(dim=-1)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(dim=-1)
    union = (a[..., 2:] - a[..., :2]).prod(dim=-1) + (b[..., 2:] - b[..., :2]).prod(dim=-1) - shared
    return shared, union, hull


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 where there is no whole."""
    return part / whole.masked_fill(whole == 0, 1.0)


def _check_boxes(name: str, boxes: Tensor) -> None:
    check_float(name, boxes)
    if boxes.ndim < 1 or boxes.shape[-1] != 4:
        raise ValueError(f"{name} must have a last axis of 4, got shape {tuple(boxes.shape)}")
