"""The exercises of chapter 3, the four steps."""

import numpy as np

from attn_book.exercises.exercise import Exercise
from attn_utils.reference import softmax


def _slide(picture, kernel):
    """The kernel laid on every place of the picture where it fits, not turned: the cross-correlation."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, kernel.shape)
    return np.einsum("hwij,ij->hw", windows, kernel)


def _full_convolution(picture, kernel):
    """Every place where kernel and picture touch: (H + h - 1, W + w - 1)."""
    return _slide(np.pad(picture, [(side - 1, side - 1) for side in kernel.shape]), kernel[::-1, ::-1])


true_convolution = Exercise(
    "the convolution of mathematics",
    lambda picture, kernel: _slide(picture, kernel[::-1, ::-1]),
    [
        (np.arange(1.0, 10.0).reshape(3, 3), np.array([[1.0, 2.0], [3.0, 5.0]])),
        (np.array([[0.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]]), np.array([[1.0, 2.0], [3.0, 5.0]])),
    ],
    {
        "this is the cross-correlation; turn the kernel by 180° first": _slide,
        "this is the full convolution, larger than the picture; keep the places where the whole kernel lies inside it": (
            _full_convolution
        ),
        "this is as large as the picture; keep only the places where the whole kernel lies inside it": (
            lambda x, k: _full_convolution(x, k)[: x.shape[0], : x.shape[1]]
        ),
        "the kernel is turned top to bottom only; turn it left to right as well": lambda x, k: _slide(x, k[::-1]),
        "the kernel is turned left to right only; turn it top to bottom as well": lambda x, k: _slide(x, k[:, ::-1]),
        "the kernel is transposed, which mirrors it along its diagonal; that is no turn by 180°": lambda x, k: _slide(x, k.T),
    },
)


def _unit(codes, power=1):
    return codes / np.linalg.norm(codes, axis=-1, keepdims=True) ** power


cosine_weights = Exercise(
    "attention with cosines",
    lambda codes, temperature: softmax(_unit(codes) @ _unit(codes).T / temperature),
    [
        (np.array([[-2.0, 1], [-1, 1], [1, 1], [2, 1]]), 0.5),
        (np.array([[1.0, 0, 2], [0, 3, 0], [4, 4, 1]]), 2.0),
    ],
    {
        "these are plain dot products; divide every vector by its length first": lambda z, t: softmax(z @ z.T / t),
        "only the queries have length 1; divide the keys by their lengths too": lambda z, t: softmax(_unit(z) @ z.T / t),
        "only the keys have length 1; divide the queries by their lengths too": lambda z, t: softmax(z @ _unit(z).T / t),
        "the vectors are divided by their squared length; take the root": lambda z, t: softmax(_unit(z, 2) @ _unit(z, 2).T / t),
        "the columns sum to 1; the softmax runs over the keys, the last axis": lambda z, t: softmax(_unit(z) @ _unit(z).T / t, 0),
        "the temperature divides the cosines; here it multiplies them": lambda z, t: softmax(_unit(z) @ _unit(z).T * t),
        "these are the cosines themselves; the softmax is missing": lambda z, t: _unit(z) @ _unit(z).T / t,
    },
)


def _responses_of_unit_kernels(picture, pool=np.mean):
    """(4 pixels, 4 kernels): the pooled map of each of the four 2 × 2 kernels that hold a single 1; zero border, 2 × 2 pooling."""
    maps = [_slide(np.pad(picture, 1), unit.reshape(2, 2)) for unit in np.eye(4)]
    return np.stack([pool(each.reshape(2, 2, 2, 2), axis=(1, 3)).ravel() for each in maps], axis=1)


def _kernel_for(picture, target):
    return np.linalg.solve(_responses_of_unit_kernels(picture), target.ravel()).reshape(2, 2)


def _inner_kernel_for(picture, target):
    windows = np.lib.stride_tricks.sliding_window_view(picture, (2, 2)).reshape(4, 4)
    return np.linalg.lstsq(windows, target.ravel(), rcond=None)[0].reshape(2, 2)


kernel_for = Exercise(
    "a kernel for a given map",
    _kernel_for,
    [
        (np.arange(1.0, 10.0).reshape(3, 3), np.array([[1.0, 2.0], [3.0, 4.0]])),
        (np.array([[2.0, 0, 1], [0, 3, 0], [1, 0, 5]]), np.array([[1.0, 0.0], [0.0, 2.0]])),
    ],
    {
        "this is the best kernel without a border; pad the picture with zeros and pool": _inner_kernel_for,
        "the kernel is turned by 180°; the book slides it as it stands": lambda x, y: _kernel_for(x, y)[::-1, ::-1],
        "the kernel is transposed; check the order in which you read the unknowns": lambda x, y: _kernel_for(x, y).T,
        "a quarter of the right one: this pooling adds the four numbers, ours takes their mean": lambda x, y: (
            _kernel_for(x, y) / 4
        ),
    },
)
