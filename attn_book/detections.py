"""How good detections are: COCO's average precision, and what it does not show: second boxes on one object, wrong counts."""

import contextlib
import io
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


@dataclass(frozen=True)
class Detections:
    """What a detector says of n pictures, D boxes each.

    Attributes:
        boxes: (n, D, 4) px, x0 y0 x1 y1.
        scores: (n, D) in [0, 1]; a box of score 0 is no detection.
        labels: (n, D) whole numbers of at least 0.

    Raises:
        ValueError: shapes that do not fit.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        n, D = self.labels.shape
        if self.boxes.shape != (n, D, 4) or self.scores.shape != (n, D):
            raise ValueError(
                f"boxes (n, D, 4), scores (n, D) and labels (n, D) must agree, got {self.boxes.shape}, {self.scores.shape} "
                f"and {self.labels.shape}"
            )


def average_precision(found, boxes, labels):
    """COCO's average precision, by COCO's own code, of at most 100 detections a picture.

    Precision is the share of detections that are right, recall the share of objects that are found; going down the list of all
    detections by their score, one falls while the other rises. AP is the mean precision over 101 recalls, over the classes that there are, and,
    but for AP50 and AP75, over ten thresholds of IoU from .50 to .95 from which a box counts as right.

    Args:
        found: `Detections`.
        boxes: (n, K, 4) px, the truth.
        labels: (n, K), -1 where there is no object.

    Returns:
        {"AP", "AP50", "AP75", "recall50"}: recall50 is the share of objects that any detection finds, mean over classes at IoU .50.
        (COCO's AP of medium and large objects begins at 32 × 32 px; the book's scenes have none.)

    Raises:
        ValueError: no object at all, or pictures that do not correspond.

    Source: Lin et al. 2014, arXiv:1405.0312, and cocodataset.org/#detection-eval.
    """
    if len(found.labels) != len(labels) or boxes.shape != (*labels.shape, 4):
        raise ValueError(
            f"{len(found.labels)} pictures found, boxes {boxes.shape} and labels {labels.shape} of the truth must agree"
        )
    if not (labels >= 0).any():
        raise ValueError("labels must hold an object: without one there is no precision")
    categories = sorted({*labels[labels >= 0].tolist()})
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i} for i in range(len(labels))],
            "categories": [{"id": c} for c in categories],
            "annotations": [
                {"id": number, "image_id": i, "category_id": c, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
                for number, (i, c, box) in enumerate(
                    _entries(boxes, labels, labels >= 0), start=1
                )  # id 0 would count as unmatched
            ],
        }
        truth.createIndex()
        rows = [
            [i, *box, score, c]
            for (i, c, box), score in zip(
                _entries(found.boxes, found.labels, found.scores > 0), found.scores[found.scores > 0].tolist(), strict=True
            )
        ]
        if not rows:
            return dict.fromkeys(("AP", "AP50", "AP75", "recall50"), 0.0)
        judge = COCOeval(truth, truth.loadRes(np.array(rows)), "bbox")
        judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], judge.params.areaRngLbl[:1]  # all sizes
        judge.params.maxDets = [100]
        judge.evaluate()
        judge.accumulate()
    precision, recall = (
        judge.eval["precision"][..., 0, 0],
        judge.eval["recall"][..., 0, 0],
    )  # (IoUs, recalls, classes), (IoUs, classes)
    by_iou = precision.mean((1, 2))  # .50, .55, … .95
    return {
        "AP": float(by_iou.mean()),
        "AP50": float(by_iou[0]),
        "AP75": float(by_iou[5]),
        "recall50": float(recall[0].mean()),
    }


def doubles(found, boxes, labels, *, least, iou=0.5):
    """Boxes too many on one object, a picture: of those that lie on an object, whatever they call it, all but one.

    Args:
        found: `Detections`.
        boxes, labels: the truth, (n, K, 4) px and (n, K).
        least: the score from which a detection counts.
        iou: from which a box lies on an object; of several it is on the one that it overlaps most.

    Returns:
        Their mean number a picture.
    """
    overlap = np.where((labels >= 0)[:, None], pairwise_iou(found.boxes, boxes), 0)  # (n, D, K)
    if not overlap.shape[2]:
        return 0.0
    lies_on = (overlap.max(2) >= iou) & (found.scores >= least)  # (n, D)
    on = (overlap.argmax(2)[..., None] == np.arange(labels.shape[1])) & lies_on[..., None]  # (n, D, K)
    return float(np.clip(on.sum(1) - 1, 0, None).sum(1).mean())


def exact_counts(found, labels, *, least):
    """Share of the pictures in which as many boxes have a score of at least `least` as there are objects."""
    return float(((found.scores >= least).sum(1) == (labels >= 0).sum(1)).mean())


def best_threshold(found, labels):
    """The score, in steps of .02, from which detections have to count so that most pictures get the exact number."""
    thresholds = np.arange(0.02, 1.0, 0.02)
    return float(thresholds[np.argmax([exact_counts(found, labels, least=t) for t in thresholds])])


def pairwise_iou(a, b):
    """IoU of each box of a (..., N, 4) with each of b (..., K, 4), corners: (..., N, K)."""
    a, b = a[..., :, None, :], b[..., None, :, :]
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return shared / np.where(union > 0, union, 1)


def _entries(boxes, labels, chosen):
    """(picture, class, [x, y, width, height]) of every chosen box."""
    corner, size = boxes[chosen][:, :2], boxes[chosen][:, 2:] - boxes[chosen][:, :2]
    return zip(np.nonzero(chosen)[0].tolist(), labels[chosen].tolist(), np.concatenate([corner, size], 1).tolist(), strict=True)
