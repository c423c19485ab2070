"""The exercises of chapter 15, scale."""

import numpy as np

from attn_book.exercises.exercise import Exercise


def _gradient_of_all(gradients, counts):
    return np.average(gradients, axis=0, weights=counts)


gradient_of_all = Exercise(
    "the gradient of all samples",
    _gradient_of_all,
    [
        (np.array([[1.0, -2.0, 0.5], [4.0, 1.0, 3.5]]), np.array([48, 16])),
        (np.array([[0.5], [1.5], [-3.0]]), np.array([10, 30, 2])),
    ],
    {
        "a mean of means is the mean of all only where every process has as many samples": lambda g, counts: g.mean(axis=0),
        "each of them is a mean already: weigh it, and divide by the number of all samples": lambda g, counts: g.sum(axis=0),
        "weighted, but not divided by the number of all samples": lambda g, counts: counts @ g,
        "divided by the number of processes instead of the number of samples": lambda g, counts: counts @ g / len(counts),
        "who has more samples must count more, not less": lambda g, counts: np.average(g, axis=0, weights=1 / counts),
    },
)


def _interval(save, failures_a_day, devices, *, all_devices=True, two=True, day=86_400):
    between = day / (failures_a_day * (devices if all_devices else 1))
    return np.sqrt((2 if two else 1) * save * between)


checkpoint_interval = Exercise(
    "seconds from one checkpoint to the next",
    _interval,
    [(30.0, 5e-4, 1_000), (10.0, 2e-3, 64), (120.0, 1e-4, 16_384)],
    {
        "with more devices something fails more often: the time between failures is that of one, divided by their number": (
            lambda save, rate, devices: _interval(save, rate, devices, all_devices=False)
        ),
        "a failure loses *half* an interval on average: where has the 2 gone?": (
            lambda save, rate, devices: _interval(save, rate, devices, two=False)
        ),
        "the time between failures is in days, the saving in seconds": lambda save, rate, devices: _interval(
            save, rate, devices, day=1
        ),
        "this is what stands under the root": lambda save, rate, devices: _interval(save, rate, devices) ** 2,
        "failures a day are a rate; the time between two of them is its inverse": (
            lambda save, rate, devices: np.sqrt(2 * save * 86_400 * rate * devices)
        ),
    },
)


def _predicted(sizes, errors, n, *, floor=0.0):
    b = np.log((errors[0] - floor) / (errors[1] - floor)) / np.log(sizes[1] / sizes[0])
    return floor + (errors[1] - floor) * (n / sizes[1]) ** -b


def _on_a_line(sizes, errors, n):
    slope = (errors[1] - errors[0]) / np.log(sizes[1] / sizes[0])
    return errors[1] + slope * np.log(n / sizes[1])


predict_error = Exercise(
    "the error after n pictures",
    _predicted,
    [
        (np.array([1_000.0, 4_000.0]), np.array([0.4, 0.2]), 64_000.0),
        (np.array([500.0, 5_000.0]), np.array([0.3, 0.21]), 200_000.0),
        (np.array([2_000.0, 3_000.0]), np.array([0.5, 0.4]), 9_000.0),
    ],
    {
        "that is a line in log n, and it goes below 0; a power law is a line in log n *and* log error": _on_a_line,
        "the error falls as n grows: the sign of the exponent": (
            lambda sizes, errors, n: errors[1] * (n / sizes[1]) ** (np.log(errors[0] / errors[1]) / np.log(sizes[1] / sizes[0]))
        ),
        "start from the error at one of the two sizes, not from 1": (
            lambda sizes, errors, n: n ** -(np.log(errors[0] / errors[1]) / np.log(sizes[1] / sizes[0]))
        ),
        "the second size goes with the second error": lambda sizes, errors, n: _predicted(sizes[::-1], errors, n),
    },
)
