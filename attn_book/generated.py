"""What generated pictures are worth: two distances to real ones, whether they are copies, and how much they differ from each other.

Every one of these depends on how many pictures there are. Give the value of equally many real ones beside it: the floor.
"""

import numpy as np
from scipy import linalg
from scipy.spatial.distance import cdist, pdist

from attn_book.arrays import as_array


def frechet(features, others):
    """Fréchet distance of two normal distributions with the means and covariances of two sets of features.

    d² = |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)

    Args:
        features, others: (n, F) and (m, F); at least two rows each. With n or m near F or below it says little.

    Returns:
        d², a float; not below 0, but for rounding.

    Raises:
        ValueError: other shapes, or NaN.

    Source: Heusel et al. 2017, arXiv:1706.08500, equation 6, there on features of an Inception network: FID.
    """
    features, others = _two_sets(features, others)
    one, other = np.atleast_2d(np.cov(features.T)), np.atleast_2d(np.cov(others.T))
    # The trace of the root is the sum of the singular values of Σ₁^½ Σ₂^½, which need no root of a lopsided matrix.
    both = linalg.svdvals(_root(one) @ _root(other)).sum()
    return float(((features.mean(0) - others.mean(0)) ** 2).sum() + np.trace(one) + np.trace(other) - 2 * both)


def kernel_distance(features, others):
    """Squared maximum mean discrepancy with the kernel k(a, b) = (a · b / F + 1)³: KID.

    mean of k over pairs within the one set + the same within the other − 2 · mean over pairs across

    Pairs of one thing with itself are left out, so that the mean over many draws is right however few things there are, and 0
    for two sets of one distribution. A single value may lie below 0.

    Args:
        features, others: (n, F) and (m, F); at least two rows each.

    Returns:
        A float.

    Raises:
        ValueError: other shapes, or NaN.

    Source: Bińkowski et al. 2018, arXiv:1801.01401, equation 4 and section 4.
    """
    features, others = _two_sets(features, others)
    kernel = lambda a, b: (a @ b.T / features.shape[1] + 1) ** 3
    within = lambda a: (kernel(a, a).sum() - np.trace(kernel(a, a))) / (len(a) * (len(a) - 1))
    return float(within(features) + within(others) - 2 * kernel(features, others).mean())


def nearest(pictures, seen):
    """For each picture the most similar one of a set, by the Euclidean distance of all their pixels.

    Args:
        pictures: (n, ...).
        seen: (m, ...), of the same sizes.

    Returns:
        distances (n,) float64 and places in `seen` (n,) int64.
    """
    pictures, seen = _two_sets(_flat("pictures", pictures), _flat("seen", seen))
    distances = cdist(pictures, seen)
    return distances.min(1), distances.argmin(1)


def share_nearer(pictures, seen, unseen):
    """Share of the pictures whose nearest scan is one that a model was trained on, and not one that it never saw.

    Of m seen and k unseen scans, m / (m + k) is what a model gives that has learned what handwriting is like; 1, one that copies.

    Args:
        pictures: (n, ...).
        seen, unseen: (m, ...) and (k, ...), drawn from one distribution.

    Returns:
        A float; a tie counts half.
    """
    near, far = nearest(pictures, seen)[0], nearest(pictures, unseen)[0]
    return float(((near < far) + (near == far) / 2).mean())


def diversity(pictures, labels):
    """How much the pictures of one class differ: mean distance of all pairs of a class, mean over the classes.

    Args:
        pictures: (n, ...): pixels or features.
        labels: (n,), with at least two of each class that occurs.

    Returns:
        A float, 0 where all pictures of a class are the same.

    Raises:
        ValueError: a class with a single picture.
    """
    pictures, labels = _flat("pictures", pictures), as_array(labels, "labels")
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise ValueError(f"labels must hold at least two of each class, got one of class {classes[counts.argmin()]}")
    return float(np.mean([pdist(pictures[labels == one]).mean() for one in classes]))


def _root(matrix):
    """The symmetric root of a covariance matrix, whose smallest eigenvalues may be a little below 0 by rounding."""
    values, vectors = linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(0)) @ vectors.T


def _flat(name, pictures):
    pictures = as_array(pictures, name)
    return pictures.reshape(len(pictures), -1)


def _two_sets(one, other):
    """Both as float64, once they fit together."""
    one, other = (np.asarray(as_array(some, "features"), np.float64) for some in (one, other))
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1] or min(len(one), len(other)) < 2:
        raise ValueError(f"both sets must be (n, F) with one F and at least two rows, got {one.shape} and {other.shape}")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("both sets must be finite, got NaN or infinity")
    return one, other
