"""The checkers of the exercises: each exercise is a solution, cases to try it on, and a hint for every known wrong answer."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Exercise:
    """One exercise. Call it with the reader's function; it prints one line that says where the reader stands.

    Attributes:
        title: What the function should do, in a few words.
        solution: A right answer.
        cases: Argument tuples that the functions are compared on.
        mistakes: For each hint, a function that makes just that mistake.
        tolerance: Largest difference (absolute and relative) that still counts as equal.
    """

    title: str
    solution: Callable
    cases: Sequence[tuple]
    mistakes: dict[str, Callable] = field(default_factory=dict)
    tolerance: float = 1e-6

    def __call__(self, attempt):
        """Compare ``attempt`` with the solution on every case and print the verdict.

        Args:
            attempt: The reader's function; it takes the arguments of one case.
        """
        print(self.verdict(attempt))

    def verdict(self, attempt):
        """The line that ``__call__`` prints: it begins with ``✓`` for a right answer, ``…`` for a stub and ``✗`` otherwise."""
        if not callable(attempt):
            return f"✗ {self.title}: pass the function itself, not {type(attempt).__name__} {attempt!r}"
        try:
            results = [_run(attempt, case) for case in self.cases]
        except NotImplementedError:
            return f"… {self.title}: not implemented yet"
        except Exception as error:  # whatever the reader's code raises is an answer, not a failure of the book
            return f"✗ {self.title}: your function raised {type(error).__name__}: {error}"
        expected = [_run(self.solution, case)[0] for case in self.cases]
        if any(changed for _, changed in results):
            return f"✗ {self.title}: your function changes its input; work on a copy"
        got = [result for result, _ in results]
        if self._equal(got, expected):
            return f"✓ {self.title}"
        for hint, wrong in self.mistakes.items():
            if self._equal(got, [_run(wrong, case)[0] for case in self.cases]):
                return f"✗ {self.title}: {hint}"
        return f"✗ {self.title}: {self._first_difference(got, expected)}"

    def _equal(self, got, expected):
        return all(_describe_difference(g, e, self.tolerance) is None for g, e in zip(got, expected, strict=True))

    def _first_difference(self, got, expected):
        for number, (g, e) in enumerate(zip(got, expected, strict=True), start=1):
            if (difference := _describe_difference(g, e, self.tolerance)) is not None:
                return f"on case {number} of {len(expected)}, {difference}"


def _run(function, case):
    """Result of the function on a copy of the case, and whether it changed that copy."""
    arguments = copy.deepcopy(case)
    result = function(*arguments)
    changed = any(_describe_difference(a, b, 0.0) is not None for a, b in zip(arguments, case, strict=True))
    return result, changed


def _describe_difference(got, expected, tolerance):
    """None where the two are equal, else what differs, in words."""
    if isinstance(expected, tuple):
        if not isinstance(got, tuple) or len(got) != len(expected):
            return f"{len(expected)} results were expected, in a tuple"
        parts = (_describe_difference(g, e, tolerance) for g, e in zip(got, expected, strict=True))
        return next((part for part in parts if part is not None), None)
    if expected is None or callable(expected) or isinstance(expected, str):
        return None if got is expected or got == expected else f"{expected!r} was expected, got {got!r}"
    if got is None:
        return "nothing came back; is a `return` missing?"
    got, expected = _to_array(got), _to_array(expected)
    if got.dtype == object or got.dtype.kind in "US":
        return f"numbers were expected, got {got.dtype}"
    if got.shape != expected.shape:
        return f"the shape should be {expected.shape}, got {got.shape}"
    if np.allclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True):
        return None
    worst = np.unravel_index(np.argmax(_gap(got, expected)), expected.shape)
    where = f" at {tuple(int(i) for i in worst)}" if worst else ""
    return f"the value{where} should be {expected[worst]:.4g}, got {got[worst]:.4g}"


def _gap(got, expected):
    """Distance of each pair of entries; where only one of the two is not finite it is infinite."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(got.astype(float) - expected.astype(float))
    same = (got == expected) | (np.isnan(got.astype(float)) & np.isnan(expected.astype(float)))
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def _to_array(value):
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


# ----------------------------------------------------------------------------- chapter 03, the four steps


def _slide(picture, kernel):
    """The kernel laid on every place of the picture where it fits, not turned: the cross-correlation."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, kernel.shape)
    return np.einsum("hwij,ij->hw", windows, kernel)


true_convolution = Exercise(
    "the convolution of mathematics",
    lambda picture, kernel: _slide(picture, kernel[::-1, ::-1]),
    [
        (np.arange(1.0, 10.0).reshape(3, 3), np.array([[1.0, 2.0], [3.0, 5.0]])),
        (np.array([[0.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]]), np.array([[1.0, 2.0], [3.0, 5.0]])),
    ],
    {
        "this is the cross-correlation; turn the kernel by 180° first": _slide,
        "the kernel is turned top to bottom only; turn it left to right as well": lambda x, k: _slide(x, k[::-1]),
        "the kernel is turned left to right only; turn it top to bottom as well": lambda x, k: _slide(x, k[:, ::-1]),
        "the kernel is transposed, which mirrors it along its diagonal; that is no turn by 180°": lambda x, k: _slide(x, k.T),
    },
)


def _softmax(scores, axis=-1):
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def _unit(codes, power=1):
    return codes / np.linalg.norm(codes, axis=-1, keepdims=True) ** power


cosine_weights = Exercise(
    "attention with cosines",
    lambda codes, temperature: _softmax(_unit(codes) @ _unit(codes).T / temperature),
    [
        (np.array([[-2.0, 1], [-1, 1], [1, 1], [2, 1]]), 0.5),
        (np.array([[1.0, 0, 2], [0, 3, 0], [4, 4, 1]]), 2.0),
    ],
    {
        "these are plain dot products; divide every vector by its length first": lambda z, t: _softmax(z @ z.T / t),
        "only the queries have length 1; divide the keys by their lengths too": lambda z, t: _softmax(_unit(z) @ z.T / t),
        "only the keys have length 1; divide the queries by their lengths too": lambda z, t: _softmax(z @ _unit(z).T / t),
        "the vectors are divided by their squared length; take the root": lambda z, t: _softmax(_unit(z, 2) @ _unit(z, 2).T / t),
        "the columns sum to 1; the softmax runs over the keys, the last axis": lambda z, t: _softmax(
            _unit(z) @ _unit(z).T / t, 0
        ),
        "the temperature divides the cosines; here it multiplies them": lambda z, t: _softmax(_unit(z) @ _unit(z).T * t),
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


# ----------------------------------------------------------------------------- chapter 04, the formula


def _half_squares(k):
    return (k**2).sum(axis=-1) / 2


kernel_weights_from_dots = Exercise(
    "kernel regression with dot products only",
    lambda q, k, bandwidth: _softmax((q @ k.T - _half_squares(k)) / bandwidth**2),
    [
        (np.array([[1.0, 0], [0, 2], [1, 1]]), np.array([[2.0, 0], [0, 1], [1, 2], [3, 1]]), 1.5),
        (np.array([[0.5], [-1.0]]), np.array([[1.0], [0.0], [-2.0]]), 0.8),
    ],
    {
        "these are the weights for keys of equal length; the part of the key alone, its squared length, is missing": (
            lambda q, k, h: _softmax(q @ k.T / h**2)
        ),
        "a half is missing: the squared length of a key counts half as much as its dot product": (
            lambda q, k, h: _softmax((q @ k.T - 2 * _half_squares(k)) / h**2)
        ),
        "the sign of the squared lengths is wrong: a long key should lose": (
            lambda q, k, h: _softmax((q @ k.T + _half_squares(k)) / h**2)
        ),
        "the bandwidth comes in squared": lambda q, k, h: _softmax((q @ k.T - _half_squares(k)) / h),
        "these are the scores; the softmax is missing": lambda q, k, h: (q @ k.T - _half_squares(k)) / h**2,
        "the columns sum to 1; the softmax runs over the keys, the last axis": (
            lambda q, k, h: _softmax((q @ k.T - _half_squares(k)) / h**2, axis=0)
        ),
    },
    tolerance=1e-9,
)


def _temperature_where(spread, scores, target, low=1e-3, high=1e3):
    """The temperature at which a growing ``spread`` of the weights reaches the target, by halving the interval."""
    for _ in range(100):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if spread(_softmax(scores / middle)) < target else (low, middle)
    return middle


def _entropy(weights):
    return -(weights * np.log(np.maximum(weights, 1e-300))).sum()


temperature_for_keys = Exercise(
    "a temperature for a wanted number of keys",
    lambda scores, keys: _temperature_where(lambda w: np.exp(_entropy(w)), scores, keys),
    [(np.array([1.0, 2.0, 4.0, 7.0, 7.5]), 3.0), (np.array([-1.0, 0.0, 0.5, 3.0]), 1.5)],
    {
        "this is one over the temperature": lambda s, n: 1 / _temperature_where(lambda w: np.exp(_entropy(w)), s, n),
        "2 to the power of an entropy in nats: use exp, or take the logarithm to base 2": (
            lambda s, n: _temperature_where(lambda w: 2 ** _entropy(w), s, n)
        ),
        "here the entropy itself equals the number of keys; the effective number is its exponential": (
            lambda s, n: _temperature_where(_entropy, s, n)
        ),
        "this is 1 / Σ w², another count of keys; we mean exp of the entropy": (
            lambda s, n: _temperature_where(lambda w: 1 / (w**2).sum(), s, n)
        ),
    },
    tolerance=1e-3,
)


def _d_scaled(scores, temperature, d_weights):
    weights = _softmax(scores / temperature)
    return weights * (d_weights - weights @ d_weights)


temperature_gradient = Exercise(
    "the gradient of the temperature",
    lambda s, T, g: -(_d_scaled(s, T, g) @ s) / T**2,
    [
        (np.array([0.0, 1.0, 3.0]), 0.7, np.array([1.0, 0.0, -2.0])),
        (np.array([-1.0, 0.5, 2.0, 2.5]), 3.0, np.array([0.3, -1.0, 2.0, 0.5])),
    ],
    {
        "the sign is wrong: scores / T shrink as T grows": lambda s, T, g: _d_scaled(s, T, g) @ s / T**2,
        "the derivative of 1 / T is -1 / T², not -1 / T": lambda s, T, g: -(_d_scaled(s, T, g) @ s) / T,
        "this is the gradient by 1 / T; one more step leads to T": lambda s, T, g: _d_scaled(s, T, g) @ s,
        "a score moves the other weights too: use the whole Jacobian, not its diagonal": (
            lambda s, T, g: -((w := _softmax(s / T)) * (1 - w) * g) @ s / T**2
        ),
        "the Jacobian is diag(w) - w wᵀ; its second part is missing": lambda s, T, g: -(_softmax(s / T) * g) @ s / T**2,
        "this is the gradient by the scores; T is one number, sum what it moves": (lambda s, T, g: _d_scaled(s, T, g) / T),
        "the weights are those at temperature 1": lambda s, T, g: -(_d_scaled(s, 1.0, g) @ s) / T**2,
    },
)


def _squeeze_excite(x, reduce, expand, *, hidden=lambda h: np.maximum(h, 0), gate=lambda s: 1 / (1 + np.exp(-s))):
    """Squeeze-and-excitation of one map (C, H, W), with its two functions to be swapped."""
    weights = gate(expand @ hidden(reduce @ x.mean(axis=(1, 2))))
    return weights[:, None, None] * x


_feature_map = np.array([[[0.5, 1.5, -1.0]], [[-1.0, 0.25, -2.0]], [[2.0, 3.5, 1.25]], [[1.0, 0.75, 2.0]]])  # (4, 1, 3)
_other_map = np.array([[[0.5], [2.0]], [[1.0], [0.25]], [[4.0], [1.0]], [[3.0], [0.5]]])  # (4, 2, 1)
_reduce = np.array([[1.0, -0.5, 0.25, 0.0], [-0.75, 1.0, -0.5, 0.5]])
_other_reduce = np.array([[-1.0, 0.5, 0.75, 0.25], [0.75, -1.0, 0.5, -0.5]])
_expand = np.array([[1.0, -1.0], [0.5, 2.0], [-2.0, 0.25], [0.0, 1.5]])

squeeze_excite = Exercise(
    "squeeze and excitation of one feature map",
    _squeeze_excite,
    [(_feature_map, _reduce, _expand), (_other_map, _other_reduce, _expand)],
    {
        "the channels are gated one by one, with a sigmoid; a softmax makes them compete": (
            lambda x, r, e: _squeeze_excite(x, r, e, gate=_softmax)
        ),
        "there is a ReLU between the two matrices": lambda x, r, e: _squeeze_excite(x, r, e, hidden=lambda h: h),
        "the sigmoid comes once, at the end; between the matrices stands a ReLU": (
            lambda x, r, e: _squeeze_excite(x, r, e, hidden=lambda h: 1 / (1 + np.exp(-h)))
        ),
        "scores are not weights yet: a sigmoid is missing": lambda x, r, e: _squeeze_excite(x, r, e, gate=lambda s: s),
        "these are the gates; multiply the map with them": lambda x, r, e: (_squeeze_excite(x, r, e) / x)[:, 0, 0],
        "squeeze by the mean over the picture, not by the sum": (lambda x, r, e: _squeeze_excite(x, r * x[0].size, e)),
    },
)


def _same_window(N, window, shift, *, label=lambda n, w, s, N: (n - s) // w):
    labels = label(np.arange(N), window, shift, N)
    return labels[:, None] == labels[None, :]


same_shifted_window = Exercise(
    "who shares a shifted window, in one dimension",
    _same_window,
    [(12, 4, 2), (10, 5, 1), (9, 3, 0)],
    {
        "tokens that only the roll has brought together must not see each other": (
            lambda N, w, s: _same_window(N, w, s, label=lambda n, w, s, N: ((n - s) % N) // w)
        ),
        "these windows are moved the other way": (lambda N, w, s: _same_window(N, w, s, label=lambda n, w, s, N: (n + s) // w)),
        "this ignores the shift": lambda N, w, s: _same_window(N, w, 0),
        "a window is cut once and for all; this one moves with the query": (
            lambda N, w, s: np.abs(np.arange(N)[:, None] - np.arange(N)[None, :]) < w
        ),
        "True means may attend; this is the opposite": lambda N, w, s: ~_same_window(N, w, s),
    },
)


def _bilinear(picture, x, y, *, near=lambda t: np.maximum(0, 1 - np.abs(t))):
    rows, columns = np.arange(picture.shape[0]), np.arange(picture.shape[1])
    return near(y - rows) @ picture @ near(x - columns)


def _clamped(picture, x, y):
    height, width = picture.shape
    return _bilinear(picture, np.clip(x, 0, width - 1), np.clip(y, 0, height - 1))


_picture = np.array([[1.0, 2.0, 3.75, 6.0], [9.0, 12.25, 15.75, 19.5], [23.5, 28.0, 32.5, 37.5]])

read_between_pixels = Exercise(
    "reading a picture between its pixels",
    _bilinear,
    [(_picture, 1.25, 0.5), (_picture, 2.0, 1.0), (_picture, 0.1, 1.9), (_picture, 3.5, 1.25), (_picture, -2.0, 0.0)],
    {
        "x runs to the right, along the columns, and y down": lambda p, x, y: _bilinear(p, y, x),
        "outside the picture everything is 0; this repeats its border": _clamped,
        "this takes the nearest pixel; four of them share the weight": (
            lambda p, x, y: _bilinear(p, x, y, near=lambda t: np.float64(np.rint(t) == 0))
        ),
        "this always takes the pixel above and to the left": (
            lambda p, x, y: _bilinear(p, x, y, near=lambda t: np.float64(np.floor(t) == 0))
        ),
        "each weight is 1 minus a distance, so that a point on a pixel reads that pixel": (
            lambda p, x, y: _bilinear(p, x, y, near=lambda t: np.where(np.abs(t) < 1, np.abs(t), 0.0))
        ),
    },
)


# Chapter 1


def _gaussian_scores(q, k, h):
    return -((q[..., None, :] - k) ** 2).sum(-1) / (2 * h**2)


def _unshifted_softmax(scores):
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.exp(scores)
        return weights / weights.sum(-1, keepdims=True)


def _layers_needed(distance, side, doubling):
    layers, reached, dilation = 0, 0, 1
    while reached < distance:
        layers, reached = layers + 1, reached + (side // 2) * dilation
        dilation *= 2 if doubling else 1
    return layers


patch_weights = Exercise(
    "weights of one query",
    lambda query, keys, h: _softmax(_gaussian_scores(query, keys, h)),
    [
        (np.array([1.0, 0.0]), np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 2.0]]), 0.8),
        (np.array([0.2, 0.4, 0.9]), np.array([[0.1, 0.5, 0.9], [0.9, 0.1, 0.3]]), 2.0),
        (np.array([100.0]), np.array([[0.0], [1.0], [1.5]]), 1.0),
    ],
    {
        "far from all keys every exponential is 0 and the fraction is 0/0; subtract the largest score first": lambda q, k, h: (
            _unshifted_softmax(_gaussian_scores(q, k, h))
        ),
        "the weights do not sum to 1; divide by their sum": lambda q, k, h: np.exp(_gaussian_scores(q, k, h)),
        "unlike patches get the most; the distance needs a minus sign": lambda q, k, h: _softmax(-_gaussian_scores(q, k, h)),
        "the distance is not squared": lambda q, k, h: _softmax(-np.sqrt(-_gaussian_scores(q, k, h) * 2 * h**2) / (2 * h**2)),
        "the factor 2 beside h² is missing": lambda q, k, h: _softmax(2 * _gaussian_scores(q, k, h)),
        "divide by 2h², not by 2h": lambda q, k, h: _softmax(_gaussian_scores(q, k, h) * h),
    },
)

layers_needed = Exercise(
    "how many layers",
    _layers_needed,
    [(1, 3, False), (10, 5, False), (223, 3, False), (224, 7, False), (7, 3, True), (256, 3, True), (11, 5, True)],
    {
        "a kernel of side k reaches (k − 1)/2 pixels to each side, not k": lambda r, k, doubling: next(
            n for n in range(999) if k * (2**n - 1 if doubling else n) >= r
        ),
        "round up: the last, partly used layer counts too": lambda r, k, doubling: (
            int(np.log2(r / (k // 2) + 1)) if doubling else r // (k // 2)
        ),
        "with doubling, n layers reach 2ⁿ − 1 times the radius of the kernel, not 2ⁿ times": lambda r, k, doubling: next(
            n for n in range(999) if (k // 2) * (2**n if doubling else n) >= r
        ),
        "this ignores the dilation": lambda r, k, doubling: _layers_needed(r, k, False),
    },
)

gaussian_by_dot = Exercise(
    "Gaussian weights from dot products",
    lambda q, k, h: _softmax(_gaussian_scores(q, k, h)),
    [
        (np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 1.0], [0.0, 3.0], [2.0, 0.0]]), 1.5),
        (np.array([[0.5, 0.1, 0.0]]), np.array([[0.2, 0.2, 0.2], [1.0, 0.0, 0.5]]), 0.7),
    ],
    {
        "long keys win too often; subtract half the squared length of each key (that of the query cancels)": lambda q, k, h: (
            _softmax(q @ k.T / h**2)
        ),
        "subtract half of each key's squared length, not all of it": lambda q, k, h: _softmax((q @ k.T - (k**2).sum(-1)) / h**2),
        "the bandwidth enters squared": lambda q, k, h: _softmax((q @ k.T - (k**2).sum(-1) / 2) / h),
        "the columns sum to 1; the softmax runs over the keys, the last axis": lambda q, k, h: _softmax(
            _gaussian_scores(q, k, h), 0
        ),
    },
)


# ----------------------------------------------------------------------------- chapter 07, classification


def _pointing_game(maps, masks, pick=np.argmax):
    best = np.array([pick(m) for m in maps])
    return masks.reshape(len(masks), -1)[np.arange(len(maps)), best].mean()


pointing_game = Exercise(
    "the pointing game",
    _pointing_game,
    [
        (
            np.array([[[1.0, 5.0], [2.0, 0.0]], [[0.0, 1.0], [7.0, 3.0]], [[4.0, 1.0], [1.0, 2.0]]]),
            np.array([[[False, True], [True, False]], [[True, True], [False, True]], [[True, False], [False, False]]]),
        ),
        (np.array([[[0.1, 0.2, 0.9], [0.3, 0.4, 0.0]]]), np.array([[[False, False, True], [True, True, True]]])),
    ],
    {
        "this is the share of the response inside the mask; the pointing game looks at the largest value only": lambda m, k: (
            (m * k).sum((1, 2)) / m.sum((1, 2))
        ).mean(),
        "this points at the smallest response": lambda m, k: _pointing_game(m, k, np.argmin),
        "this looks for the largest response of all pictures together; each picture has its own": lambda m, k: float(
            k[np.unravel_index(m.argmax(), m.shape)]
        ),
        "this counts the hits; return their share": lambda m, k: _pointing_game(m, k) * len(m),
        "a hit is one pixel, the one with the largest response, inside the mask: this asks only that the mask is not empty": lambda m, k: (
            k.any((1, 2)).mean()
        ),
    },
)


def _interval_of_mean(values, factor=None, ddof=1, root=True):
    n = len(values)
    t = {2: 12.706204736, 3: 4.302652730, 4: 3.182446305, 5: 2.776445105}[n]  # of Student's t, n - 1 degrees of freedom
    half = (factor or t) * np.std(values, ddof=ddof) / (np.sqrt(n) if root else 1.0)
    return np.array([np.mean(values) - half, np.mean(values) + half])


interval_of_mean = Exercise(
    "the 95 % interval of a mean",
    _interval_of_mean,
    [(np.array([0.91, 0.93, 0.92, 0.95, 0.90]),), (np.array([0.2, 0.3, 0.25]),), (np.array([1.0, 0.0, 0.5, 0.5]),)],
    {
        "this is the spread of single runs; the mean of n runs is more certain, by √n": lambda v: _interval_of_mean(
            v, root=False
        ),
        "divide by n − 1 in the variance (ddof=1): the mean was estimated from the same runs": lambda v: _interval_of_mean(
            v, ddof=0
        ),
        "1.96 belongs to many runs; with a few, Student's t is wider": lambda v: _interval_of_mean(v, factor=1.959963985),
        "n runs leave n − 1 degrees of freedom": lambda v: _interval_of_mean(
            v, factor={3: 3.182446305, 4: 2.776445105, 5: 2.570581836}[len(v)]
        ),
        "ppf(0.95) leaves 5 % on each side; ppf(0.975) leaves 5 % in all": lambda v: _interval_of_mean(
            v, factor={3: 2.919985580, 4: 2.353363435, 5: 2.131846786}[len(v)]
        ),
    },
    tolerance=1e-5,
)


def _vit_tokens(patches, E, class_token, positions):
    return np.concatenate([class_token[None], patches @ E]) + positions


vit_tokens = Exercise(
    "the tokens of a Vision Transformer",
    _vit_tokens,
    [
        (
            np.arange(12.0).reshape(3, 4) / 6,
            np.sin(np.arange(20.0)).reshape(4, 5),
            np.full(5, 0.3),
            np.cos(np.arange(20.0)).reshape(4, 5),
        ),
        (np.eye(2), np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]), np.array([9.0, 8.0, 7.0]), np.arange(9.0).reshape(3, 3)),
    ],
    {
        "the class token comes first, before the patches": lambda x, E, c, p: np.concatenate([x @ E, c[None]]) + p,
        "the class token has a position too: add the positions after it has been put in front": lambda x, E, c, p: np.concatenate(
            [c[None], x @ E + p[1:]]
        ),
        "the positions are missing": lambda x, E, c, p: np.concatenate([c[None], x @ E]),
        "the class token is a token by itself, not something added to each patch": lambda x, E, c, p: x @ E + c + p[1:],
    },
)


# ----------------------------------------------------------------------------- chapter 02, core concepts


_some = np.random.default_rng(2)

hard_attention = Exercise(
    "hard attention",
    lambda q, k, v: v[(q @ k.T).argmax(axis=-1)],
    [
        (np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([[2.0, 0], [0, 3], [1, 1], [-1, -1]]), np.arange(12.0).reshape(4, 3)),
        tuple(_some.standard_normal(shape) for shape in ((5, 2), (7, 2), (7, 3))),
    ],
    {
        "this is soft attention; take the one value with the largest score": lambda q, k, v: _softmax(q @ k.T) @ v,
        "these are the numbers of the keys; return their values": lambda q, k, v: (q @ k.T).argmax(axis=-1),
        "the largest score is sought over the queries; every query chooses a key": lambda q, k, v: v[
            (q @ k.T).argmax(axis=0) % len(v)
        ],
        "this is the worst-matching key": lambda q, k, v: v[(q @ k.T).argmin(axis=-1)],
        "this finds the nearest key; here the largest dot product counts": (
            lambda q, k, v: v[((q[:, None] - k[None]) ** 2).sum(axis=-1).argmin(axis=-1)]
        ),
    },
)


def _box_of_weights(weights, *, half_pixel=0.5, widths=3**0.5):
    y, x = np.indices(weights.shape) + half_pixel
    mean = np.array([(weights * x).sum(), (weights * y).sum()])
    half = widths * np.sqrt((weights * x**2).sum() - mean[0] ** 2), widths * np.sqrt((weights * y**2).sum() - mean[1] ** 2)
    return np.concatenate([mean - half, mean + half])


def _rectangle(top, left, bottom, right):
    weights = np.zeros((9, 14))
    weights[top:bottom, left:right] = 1 / ((bottom - top) * (right - left))
    return weights


box_of_weights = Exercise(
    "a box from weights",
    _box_of_weights,
    [(_rectangle(2, 3, 7, 6),), (_rectangle(1, 4, 4, 13),), (_softmax(_some.standard_normal(63) * 2).reshape(7, 9),)],
    {
        "x and y are exchanged: x runs along the columns": lambda w: _box_of_weights(w)[[1, 0, 3, 2]],
        "half a pixel is missing: the centre of the first pixel is (½, ½)": lambda w: _box_of_weights(w, half_pixel=0.0),
        "one standard deviation is too little: a box reaches √3 of them to each side": lambda w: _box_of_weights(w, widths=1.0),
        "3 standard deviations are too much: it is the root of 3": lambda w: _box_of_weights(w, widths=3.0),
        "√12 standard deviations are the whole width; each side gets half of it": lambda w: _box_of_weights(w, widths=12**0.5),
        "this is centre and half width; the corners are wanted": (
            lambda w: (lambda b: np.concatenate([(b[:2] + b[2:]) / 2, (b[2:] - b[:2]) / 2]))(_box_of_weights(w))
        ),
    },
)


def _channel_attention(X, *, axis=-1, size=len):
    return X @ _softmax(X.T @ X / size(X) ** 0.5, axis).T


channel_attention = Exercise(
    "channels that ask channels",
    _channel_attention,
    [(_some.standard_normal((7, 3)),), (np.array([[1.0, 2], [0, -1], [3, 1], [1, 1]]),)],
    {
        "this is spatial attention, places ask places; transpose first": lambda X: _softmax(X @ X.T / X.shape[1] ** 0.5) @ X,
        "the result has a row for each channel; transpose it back": lambda X: _channel_attention(X).T,
        "each query's weights must sum to 1 over the keys; this softmax runs over the queries": (
            lambda X: _channel_attention(X, axis=0)
        ),
        "the width of a token is now N, so the scale is 1/√N": lambda X: _channel_attention(X, size=lambda X: X.shape[1]),
        "the scale 1/√N is missing": lambda X: _channel_attention(X, size=lambda X: 1),
        "these are the weights; mix the channels with them": lambda X: _softmax(X.T @ X / len(X) ** 0.5),
    },
)


# ----------------------------------------------------------------------------- chapter 05, from one head to a block


ch05_merge_heads = Exercise(
    "heads side by side",
    lambda out: np.moveaxis(out, 1, 2).reshape(len(out), out.shape[2], -1),
    [(np.arange(48.0).reshape(2, 2, 3, 4),), (np.arange(90.0).reshape(1, 3, 5, 6),)],
    {
        "tokens and heads are mixed up: the axes must change places before the reshape": (
            lambda out: out.reshape(len(out), out.shape[2], -1)
        ),
        "the features of the heads are interleaved; each head's d numbers stay together": (
            lambda out: np.moveaxis(out, 1, 3).reshape(len(out), out.shape[2], -1)
        ),
        "the heads are added up; put them side by side": lambda out: out.sum(axis=1),
        "the axes are in order, but heads and features are still two axes": lambda out: np.moveaxis(out, 1, 2),
    },
)


def _turned(x, angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ x


ch05_rotary_score = Exercise(
    "a rotary score",
    lambda q, k, n, m, theta: _turned(q, n * theta) @ _turned(k, m * theta),
    [
        (np.array([1.0, 2.0]), np.array([0.5, -1.0]), 3, 5, 0.7),
        (np.array([-2.0, 0.5]), np.array([1.5, 1.0]), 4, 1, 0.2),
    ],
    {
        "only the query is turned; the key is turned by its own place": (lambda q, k, n, m, theta: _turned(q, n * theta) @ k),
        "only the key is turned; the query is turned by its own place": (lambda q, k, n, m, theta: q @ _turned(k, m * theta)),
        "the angles add up here; a score should know their difference": (
            lambda q, k, n, m, theta: q @ _turned(k, (n + m) * theta)
        ),
        "the offset has the wrong sign": lambda q, k, n, m, theta: q @ _turned(k, (n - m) * theta),
        "the angle is in radians": lambda q, k, n, m, theta: (
            _turned(q, np.deg2rad(n * theta)) @ _turned(k, np.deg2rad(m * theta))
        ),
        "nothing is turned: this is the score without positions": lambda q, k, n, m, theta: q @ k,
    },
)


def _vit_parameters(P, N, L, D, r, classes, *, block_bias=True, norms=True, token=True, read_bias=True, channels=3, places=0):
    block = (4 + 2 * r) * D**2 + (5 + r) * D * block_bias + 4 * D * norms
    return channels * P * P * D + D + D * token + (N + places) * D + L * block + 2 * D * norms + classes * (D + read_bias)


ch05_vit_parameters = Exercise(
    "the parameters of a Vision Transformer",
    _vit_parameters,
    [(16, 196, 12, 192, 4, 1000), (4, 64, 3, 64, 2, 10)],
    {
        "the biases inside the blocks are missing": lambda *sizes: _vit_parameters(*sizes, block_bias=False),
        "the norms are missing: a scale and a shift each, two in a block and one at the end": (
            lambda *sizes: _vit_parameters(*sizes, norms=False)
        ),
        "the class token is missing": lambda *sizes: _vit_parameters(*sizes, token=False),
        "here the class token has a position too; in this one it has none": lambda *sizes: _vit_parameters(*sizes, places=1),
        "the bias of the read-out is missing": lambda *sizes: _vit_parameters(*sizes, read_bias=False),
        "a patch of an RGB picture has three numbers a pixel": lambda *sizes: _vit_parameters(*sizes, channels=1),
    },
)
