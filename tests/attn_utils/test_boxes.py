"""Boxes: two ways to write them, overlaps by hand and against a count of pixels, suppression against a plain loop."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attn_utils.boxes import box_iou, generalized_box_iou, suppress, to_centres, to_corners


def some_boxes(*shape, seed=0, side=13):
    """Corners with whole numbers, (..., 4) float64, at least 1 wide and high."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, side - 5, (*shape, 2))
    return torch.from_numpy(np.concatenate([low, low + rng.integers(1, 6, (*shape, 2))], -1).astype(float))


def test_centres_and_corners_are_inverse_and_by_hand():
    corners = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
    assert_close(to_centres(corners), torch.tensor([[2.5, 5.0, 3.0, 6.0]]))
    boxes = some_boxes(3, 5, 7)
    assert_close(to_corners(to_centres(boxes)), boxes)


def test_overlaps_count_pixels():
    a, b = some_boxes(11, seed=1), some_boxes(7, seed=2)
    pixels = [[np.zeros((13, 13), bool) for _ in boxes] for boxes in (a, b)]
    for boxes, drawn in zip((a, b), pixels):
        for (x0, y0, x1, y1), one in zip(boxes.int().tolist(), drawn):
            one[y0:y1, x0:x1] = True
    iou, giou = (f(a[:, None], b[None]) for f in (box_iou, generalized_box_iou))
    for i, p in enumerate(pixels[0]):
        for j, q in enumerate(pixels[1]):
            rows, columns = np.nonzero(p | q)
            hull = np.ptp(rows) + 1, np.ptp(columns) + 1
            shared, union = (p & q).sum(), (p | q).sum()
            assert iou[i, j].item() == pytest.approx(shared / union)
            assert giou[i, j].item() == pytest.approx(shared / union - (np.prod(hull) - union) / np.prod(hull))


def test_overlaps_are_symmetric_and_do_not_change_with_scale_or_place():
    a, b = some_boxes(5, 3, seed=3), some_boxes(5, 3, seed=4)
    for f in (box_iou, generalized_box_iou):
        assert_close(f(a, b), f(b, a))
        assert_close(f(7 * a + 11, 7 * b + 11), f(a, b))
        assert_close(f(a, a), torch.ones(5, 3, dtype=torch.float64))


def test_giou_falls_on_where_iou_is_flat():
    still, moving = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([[d, 0.0, d + 1, 1.0] for d in (1.0, 2.0, 5.0)])
    assert_close(box_iou(still, moving), torch.zeros(3))
    giou = generalized_box_iou(still, moving)
    assert (giou.diff() < 0).all()


def test_boxes_without_area_give_numbers_and_gradients():
    point = torch.zeros(2, 4, requires_grad=True)
    for f in (box_iou, generalized_box_iou):
        value = f(point, point.detach())
        assert_close(value, torch.zeros(2))
        (gradient,) = torch.autograd.grad(value.sum(), point)
        assert gradient.isfinite().all()


def test_gradients_of_giou():
    a, b = some_boxes(5, seed=5) + 0.1 * torch.rand(5, 4, dtype=torch.float64), some_boxes(5, seed=6)
    assert torch.autograd.gradcheck(generalized_box_iou, (a.requires_grad_(), b.requires_grad_()))


def plain_suppression(boxes, scores, labels, threshold):
    scores, order = scores.clone(), scores.argsort(descending=True).tolist()
    kept = []
    for i in order:
        if any(labels[i] == labels[j] and box_iou(boxes[i], boxes[j]) > threshold for j in kept):
            scores[i] = 0
        else:
            kept.append(i)
    return scores


def soft_suppression(boxes, scores, labels, sigma):
    scores, todo = scores.clone(), list(range(len(scores)))
    while todo:
        best = max(todo, key=lambda i: scores[i])
        todo.remove(best)
        for i in todo:
            if labels[i] == labels[best]:
                scores[i] *= torch.exp(-(box_iou(boxes[i], boxes[best]) ** 2) / sigma)
    return scores


@pytest.mark.parametrize("options", [{"threshold": 0.3}, {"threshold": 0.5}, {"sigma": 0.5}, {"sigma": 0.1}])
def test_suppression_is_the_loop_for_each_picture_of_a_batch(options):
    torch.manual_seed(0)
    boxes, scores, labels = some_boxes(5, 17, seed=7), torch.rand(5, 17, dtype=torch.float64), torch.randint(3, (5, 17))
    loop = soft_suppression if "sigma" in options else plain_suppression
    expected = torch.stack([loop(*one, *options.values()) for one in zip(boxes, scores, labels)])
    before = scores.clone()
    got = suppress(boxes, scores, labels, **options)
    assert_close(got, expected)
    assert_close(scores, before)
    assert ((got == 0).sum() > 2) == ("threshold" in options)
    order = torch.randperm(17)
    assert_close(suppress(boxes[:, order], scores[:, order], labels[:, order], **options), expected[:, order])


def test_what_was_thrown_away_throws_nothing_away():
    """Three boxes in a chain: the first removes the second, which would have removed the third."""
    boxes = torch.tensor([[0.0, 0.0, 10.0, 4.0], [3.0, 0.0, 13.0, 4.0], [6.0, 0.0, 16.0, 4.0]])
    scores, labels = torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3, dtype=torch.long)
    assert_close(suppress(boxes, scores, labels), torch.tensor([0.9, 0.0, 0.7]))


def test_suppression_of_nothing():
    empty = torch.zeros(3, 0)
    assert suppress(torch.zeros(3, 0, 4), empty, empty.long()).shape == (3, 0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: to_corners(torch.zeros(2, 3)), ValueError, "boxes must have a last axis of 4, got shape (2, 3)"),
        (lambda: to_centres(torch.zeros(4).long()), TypeError, "boxes must be floating point, got torch.int64"),
        (lambda: box_iou(torch.zeros(4), torch.zeros(5)), ValueError, "b must have a last axis of 4, got shape (5,)"),
        (
            lambda: suppress(torch.zeros(2, 4), torch.zeros(3), torch.zeros(2)),
            ValueError,
            "scores must have shape (2,), got (3,)",
        ),
        (
            lambda: suppress(torch.zeros(2, 4), torch.zeros(2), torch.zeros(1)),
            ValueError,
            "labels must have shape (2,), got (1,)",
        ),
        (
            lambda: suppress(torch.zeros(2, 4), torch.zeros(2), torch.zeros(2), sigma=0.0),
            ValueError,
            "sigma must be above 0, got 0.0",
        ),
    ],
)
def test_rejections(call, error, words):
    with pytest.raises(error) as raised:
        call()
    assert words in str(raised.value)
