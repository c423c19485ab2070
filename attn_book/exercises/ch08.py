"""The exercises of chapter 8, detection."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from attn_book.exercises.exercise import Exercise


def _giou(a, b, clip=0.0, sign=-1, over="hull", iou_alone=False):
    shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), clip))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    hull = np.prod(np.maximum(a[2:], b[2:]) - np.minimum(a[:2], b[:2]))
    return shared / union + (0 if iou_alone else sign * (hull - union) / (hull if over == "hull" else union))


generalized_iou = Exercise(
    "the generalised IoU of two boxes",
    _giou,
    [
        (np.array([0.0, 0.0, 2.0, 2.0]), np.array([1.0, 1.0, 4.0, 3.0])),
        (np.array([0.0, 0.0, 1.0, 1.0]), np.array([3.0, 0.0, 4.0, 2.0])),
        (np.array([0.0, 0.0, 1.0, 2.0]), np.array([2.0, 5.0, 3.0, 7.0])),
        (np.array([1.0, 1.0, 3.0, 4.0]), np.array([1.0, 1.0, 3.0, 4.0])),
    ],
    {
        "this is the IoU; GIoU takes off the share of the hull that is empty": lambda a, b: _giou(a, b, iou_alone=True),
        "boxes that do not touch share nothing: width and height of what they share must not be negative": lambda a, b: _giou(
            a, b, clip=-np.inf
        ),
        "the empty part of the hull is taken off, not added": lambda a, b: _giou(a, b, sign=1),
        "the empty part is a share of the hull, not of the union": lambda a, b: _giou(a, b, over="union"),
    },
)


def _assign(cost):
    queries, objects = linear_sum_assignment(cost)
    return queries[np.argsort(objects)]


def _greedy(cost):
    cost, queries = cost.astype(float), np.zeros(cost.shape[1], int)
    for _ in range(cost.shape[1]):
        q, k = np.unravel_index(cost.argmin(), cost.shape)
        queries[k] = q
        cost[q], cost[:, k] = np.inf, np.inf
    return queries


def _in_turn(cost):
    cost, queries = cost.astype(float), []
    for k in range(cost.shape[1]):
        queries.append(cost[:, k].argmin())
        cost[queries[-1]] = np.inf
    return np.array(queries)


assignment = Exercise(
    "a query for every object",
    _assign,
    [
        (np.array([[1.0, 2.0], [3.0, 9.0], [7.0, 8.0]]),),
        (np.array([[0.5, 0.1, 0.9], [0.4, 0.2, 0.8], [0.6, 0.7, 0.3], [0.9, 0.35, 0.2]]),),
        (np.array([[0.6, 0.9], [0.5, 0.1], [0.8, 0.95]]),),
    ],
    {
        "two objects have the same query here; one query answers for one object": lambda c: c.argmin(0),
        "this takes the cheapest pair first, then the cheapest of the rest; their sum can be beaten": _greedy,
        "this lets the objects choose in turn; the first ones take what later ones need more": _in_turn,
        "this maximises the cost": lambda c: _assign(-c),
        "return the query of each object, in the order of the objects": lambda c: linear_sum_assignment(c)[1],
    },
)


def _average_precision(right, objects, envelope=True, per=None):
    hits = np.cumsum(right)
    recall, precision = hits / (objects if per is None else per(right)), hits / np.arange(1, len(right) + 1)
    at = np.linspace(0, 1, 101)
    if not envelope:
        return np.mean([precision[recall >= r - 1e-12][0] if (recall >= r - 1e-12).any() else 0.0 for r in at])
    return np.mean([max(precision[recall >= r - 1e-12], default=0.0) for r in at])


average_precision = Exercise(
    "average precision",
    _average_precision,
    [
        (np.array([True, False, True, True, False]), 4),
        (np.array([False, True, True]), 2),
        (np.array([True, True, False, False, True, False, True]), 5),
    ],
    {
        "precision may rise again further down the list: take the best that is still to come": lambda r, n: _average_precision(
            r, n, envelope=False
        ),
        "recall is a share of all objects, not of those that were found": lambda r, n: _average_precision(
            r, n, per=lambda r: r.sum()
        ),
        "this is the precision of the whole list; it has to be averaged over recalls": lambda r, n: r.mean(),
        "this is the mean precision where something is found; objects that are never found count as 0": lambda r, n: (
            np.cumsum(r) / np.arange(1, len(r) + 1)
        )[r].mean(),
    },
)
