"""Scores of detections: COCO's AP against cases by hand and a plain loop; doubles and counts by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attn_book.detections import Detections, average_precision, best_threshold, doubles, exact_counts, pairwise_iou

BOXES = np.array([[[0, 0, 10, 10], [20, 20, 30, 30]], [[5, 5, 15, 15], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]], float)
LABELS = np.array([[3, 5], [3, -1], [-1, -1]])


def detections(rows, n=3):
    """From (picture, box, score, label), with places that hold nothing where a picture has fewer."""
    D = max(sum(row[0] == i for row in rows) for i in range(n))
    boxes, scores, labels = np.zeros((n, D, 4)), np.zeros((n, D)), np.zeros((n, D), int)
    taken = [0] * n
    for i, box, score, label in rows:
        boxes[i, taken[i]], scores[i, taken[i]], labels[i, taken[i]] = box, score, label
        taken[i] += 1
    return Detections(boxes, scores, labels)


PERFECT = [(0, BOXES[0, 0], 0.9, 3), (0, BOXES[0, 1], 0.8, 5), (1, BOXES[1, 0], 0.7, 3)]


def test_perfect_detections():
    scores = average_precision(detections(PERFECT), BOXES, LABELS)
    assert_allclose(list(scores.values()), 1.0)
    assert list(scores) == ["AP", "AP50", "AP75", "recall50"]


def test_ap_by_hand():
    """Class 3: right, wrong, right; class 5: never found. Precision is 1 up to recall 1/2, then 2/3."""
    rows = [PERFECT[0], (2, [0, 0, 10, 10], 0.8, 3), PERFECT[2]]
    scores = average_precision(detections(rows), BOXES, LABELS)
    assert scores["AP50"] == pytest.approx((51 + 50 * 2 / 3) / 101 / 2)
    assert scores["recall50"] == pytest.approx(0.5)


def test_thresholds_of_iou():
    """A box of IoU .8 is right up to the threshold of .80: seven of ten."""
    rows = [(0, [0, 0, 10, 8], 0.9, 3), PERFECT[1], (1, [5, 5, 15, 13], 0.7, 3)]
    scores = average_precision(detections(rows), BOXES, LABELS)
    assert scores["AP50"] == scores["AP75"] == pytest.approx(1.0)
    assert scores["AP"] == pytest.approx((0.7 + 1) / 2)


def test_a_second_box_on_one_object_is_wrong():
    rows = [PERFECT[0], (0, [0, 0, 10, 9.5], 0.85, 3), PERFECT[1], PERFECT[2]]
    scores = average_precision(detections(rows), BOXES, LABELS)
    assert scores["AP50"] == pytest.approx(((51 + 50 * 2 / 3) / 101 + 1) / 2)


def test_nothing_found_and_empty_pictures():
    assert set(average_precision(detections([(0, [0, 0, 1, 1], 0.0, 3)]), BOXES, LABELS).values()) == {0.0}
    with pytest.raises(ValueError, match="labels must hold an object"):
        average_precision(detections(PERFECT), BOXES, np.full_like(LABELS, -1))


def plain_ap(found, boxes, labels, threshold):
    """AP at one threshold, class by class, in a plain loop."""
    precisions = []
    for c in np.unique(labels[labels >= 0]):
        mine = [(-found.scores[i, d], i, d) for i, d in zip(*np.nonzero((found.labels == c) & (found.scores > 0)))]
        used, right = set(), []
        for _, i, d in sorted(mine):
            overlap = pairwise_iou(found.boxes[i, d : d + 1], boxes[i])[0]
            free = [k for k in range(labels.shape[1]) if labels[i, k] == c and (i, k) not in used and overlap[k] >= threshold]
            best = max(free, key=lambda k: overlap[k], default=None)
            used |= {(i, best)} if best is not None else set()
            right.append(best is not None)
        hits = np.cumsum(right)
        recall, precision = hits / (labels == c).sum(), hits / np.arange(1, len(hits) + 1)
        precisions.append(np.mean([max(precision[recall >= r - 1e-12], default=0) for r in np.linspace(0, 1, 101)]))
    return np.mean(precisions)


def test_ap_of_noisy_detections_is_the_plain_loop():
    rng = np.random.default_rng(0)
    n, K, D = 23, 4, 11
    low = rng.uniform(0, 20, (n, K, 2))
    boxes = np.concatenate([low, low + rng.uniform(8, 15, (n, K, 2))], -1)
    labels = np.where(rng.random((n, K)) < 0.3, -1, rng.integers(0, 3, (n, K)))
    near = np.take_along_axis(boxes, rng.integers(0, K, (n, D, 1)), 1) + rng.normal(0, 1.0, (n, D, 4))
    found = Detections(near, rng.permutation(n * D).reshape(n, D) / (n * D), rng.integers(0, 3, (n, D)))
    scores = average_precision(found, boxes, labels)
    assert 0.05 < scores["AP"] < scores["AP50"] < 0.9
    assert scores["AP50"] == pytest.approx(plain_ap(found, boxes, labels, 0.5), abs=1e-9)
    assert scores["AP75"] == pytest.approx(plain_ap(found, boxes, labels, 0.75), abs=1e-9)


def test_doubles_by_hand():
    rows = [
        *PERFECT,
        (0, [0, 0, 10, 9], 0.6, 4),
        (0, [0, 0, 9, 9], 0.5, 3),
        (0, [0, 12, 9, 19], 0.9, 3),
        (2, [0, 0, 9, 9], 0.9, 3),
    ]
    found = detections(rows)
    assert doubles(found, BOXES, LABELS, least=0.5) == pytest.approx(2 / 3)  # of another class counts; beside an object does not
    assert doubles(found, BOXES, LABELS, least=0.55) == pytest.approx(1 / 3)
    assert doubles(found, BOXES, LABELS, least=0.65) == 0
    assert doubles(found, BOXES[:, :0], LABELS[:, :0], least=0.5) == 0


def test_exact_counts_and_their_best_threshold():
    found = detections([*PERFECT, (2, [0, 0, 9, 9], 0.45, 3), (1, [0, 0, 9, 9], 0.35, 3)])
    assert exact_counts(found, LABELS, least=0.5) == 1
    assert exact_counts(found, LABELS, least=0.4) == pytest.approx(2 / 3)
    assert exact_counts(found, LABELS, least=0.75) == pytest.approx(2 / 3)
    assert 0.45 < best_threshold(found, LABELS) <= 0.7


def test_pairwise_iou_by_hand():
    a, b = np.array([[0, 0, 2, 2], [0, 0, 0, 0]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 2, 2]])
    assert_allclose(pairwise_iou(a, b), [[1 / 3, 0, 1], [0, 0, 0]])


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="must agree"):
        Detections(np.zeros((2, 3, 4)), np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="must agree"):
        average_precision(detections(PERFECT), BOXES[:2], LABELS[:2])
