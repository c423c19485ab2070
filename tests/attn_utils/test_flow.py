"""Flow matching and DDPM, on normal distributions, where path, velocity, likelihood and samples are known in closed form."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attn_utils.device import seeded
from attn_utils.flow import (
    NEAREST,
    as_noise,
    as_velocity,
    ddim,
    ddpm_loss,
    ddpm_rates,
    ddpm_time,
    drop_labels,
    flow_loss,
    log_density,
    logit_normal,
    memory,
    noise_from_x,
    noise_of,
    sample,
    straight_path,
    velocity_from_x,
    velocity_of,
    x_from_velocity,
)

MEAN, STD = torch.tensor([1.5, -0.7], dtype=torch.float64), torch.tensor([0.3, 2.0], dtype=torch.float64)


def exact_velocity(z, t):
    """Of independent normal numbers N(MEAN, STD²): E[x − ε | z_t = z]."""
    t = t[:, None]
    spread = (1 - t) ** 2 + t**2 * STD**2
    return MEAN + (t * STD**2 - (1 - t)) / spread * (z - t * MEAN)


def exact_noise(z, t):
    """Of the same numbers on DDPM's path: E[ε | z_t = z]."""
    a, b = (rate[:, None] for rate in ddpm_rates(t))
    return b / (a**2 * STD**2 + b**2) * (z - a * MEAN)


def exact_x(z, t):
    """Of the same numbers on DDPM's path: E[x | z_t = z]."""
    a, b = (rate[:, None] for rate in ddpm_rates(t))
    return (z - b * exact_noise(z, t)) / a


class Exact(nn.Module):
    """The best network there can be, for a loss."""

    def __init__(self, of=exact_velocity, predicts="v"):
        super().__init__()
        self.of, self.predicts = of, predicts

    def forward(self, z, t):
        best = self.of(z, t)
        return x_from_velocity(best, z, t) if self.predicts == "x" else best


def normal_numbers(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=generator, dtype=torch.float64)


def test_the_straight_path_by_hand():
    x, noise = torch.tensor([[1.0, 3.0], [1.0, 3.0], [1.0, 3.0]]), torch.tensor([[5.0, -1.0]]).expand(3, -1)
    assert_close(straight_path(x, noise, torch.tensor([0.0, 0.25, 1.0])), torch.tensor([[5.0, -1.0], [4.0, 0.0], [1.0, 3.0]]))


def test_x_and_velocity_say_the_same():
    x, noise, t = torch.randn(5, 2, 3, 7), torch.randn(5, 2, 3, 7), torch.tensor([0.0, 0.2, 0.5, 0.9, 0.95])
    z = straight_path(x, noise, t)
    assert_close(velocity_from_x(x, z, t), x - noise)
    assert_close(x_from_velocity(x - noise, z, t), x)
    assert_close(as_velocity(x, z, t, "x"), x - noise)
    assert_close(as_velocity(x, z, t, "v"), x, rtol=0, atol=0)


def test_x_and_noise_say_the_same():
    x, noise, t = torch.randn(5, 2, 3, 7), torch.randn(5, 2, 3, 7), torch.tensor([0.0, 0.2, 0.5, 0.9, 0.98])
    a, b = (rate[:, None, None, None] for rate in ddpm_rates(t))
    z = a * x + b * noise
    assert_close(noise_from_x(x, z, t), noise)
    assert_close(as_noise(x, z, t, "x"), noise)
    assert_close(as_noise(x, z, t, "noise"), x, rtol=0, atol=0)
    assert_close(noise_from_x(torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1)), torch.full((1, 1), 1 / NEAREST))


def test_near_the_end_the_division_is_limited():
    x, z = torch.ones(2, 3), torch.zeros(2, 3)
    assert_close(velocity_from_x(x, z, torch.tensor([0.99, 1.0])), torch.full((2, 3), 1 / NEAREST))


def test_times_are_logit_normal():
    with seeded(0):
        t = logit_normal(40_001, mean=-0.4, std=1.3)
    logits = torch.logit(t)
    assert 0 < t.min() and t.max() < 1
    assert abs(logits.mean() + 0.4) < 4 * 1.3 / 200
    assert abs(logits.std() - 1.3) < 4 * 1.3 / 283


@pytest.mark.parametrize("predicts", ["v", "x"])
def test_the_exact_velocity_has_the_loss_that_nothing_can_beat(predicts):
    """E Var(x − ε | z_t), by integration over the times; and a network that is off has more."""
    x = MEAN + STD * normal_numbers(100_000)
    t = torch.sigmoid(torch.special.ndtri(torch.linspace(0, 1, 20_001, dtype=torch.float64)[1:-1]))[:, None]
    covariance, spread = t * STD**2 - (1 - t), (1 - t) ** 2 + t**2 * STD**2
    least = (1 + STD**2 - covariance**2 / spread).mean()
    with seeded(1):
        loss = flow_loss(Exact(predicts=predicts), x, predicts=predicts)
    assert_close(loss, least, rtol=0.01, atol=0)
    with seeded(1):
        off = flow_loss(Exact(lambda z, t: exact_velocity(z, t) + 0.3), x)
    assert_close(off - loss, torch.tensor(0.09, dtype=torch.float64), rtol=0, atol=0.01)


@pytest.mark.parametrize("predicts", ["noise", "x"])
def test_ddpm_of_the_exact_noise_has_the_least_loss_too(predicts):
    x = MEAN + STD * normal_numbers(100_000)
    a, b = (rate[:, None] for rate in ddpm_rates((torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000))
    least = (a**2 * STD**2 / (a**2 * STD**2 + b**2)).mean()
    with seeded(1):
        loss = ddpm_loss(Exact(exact_x if predicts == "x" else exact_noise), x, predicts=predicts)
        assert_close(loss, least, rtol=0.04 if predicts == "x" else 0.01, atol=0)  # 1 % of the times lie beyond the limit on b
        off = ddpm_loss(Exact(lambda z, t: exact_noise(z, t) + 0.3), x)
    assert_close(off - least, torch.tensor(0.09, dtype=torch.float64), rtol=0, atol=0.01)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2)])
def test_samplers_come_to_the_known_place_at_their_order(method, order):
    """For normal numbers the flow takes z₀ to MEAN + STD z₀."""
    start = normal_numbers(50)
    errors = [(sample(exact_velocity, start, steps=n, method=method) - (MEAN + STD * start)).abs().max() for n in (64, 128, 256)]
    for coarse, fine in itertools.pairwise(errors):
        assert abs(torch.log2(coarse / fine) - order) < 0.15
    assert errors[-1] < 0.05 / 30 ** (order - 1)


def test_one_step_of_each_sampler_by_hand():
    """dz/dt = z + t from z = 1 in two steps: Euler 1 → 1.5 → 2.5; Heun 1 → 1.75 and, by Euler, → 2.875."""
    velocity = lambda z, t: z + t[:, None]
    start, seen = torch.ones(1, 1), []
    euler = sample(velocity, start, steps=2, method="euler", on_step=lambda *now: seen.append(now))
    assert_close(euler, torch.tensor([[2.5]]))
    assert_close(sample(velocity, start, steps=2), torch.tensor([[2.875]]))
    assert_close(torch.cat([t for t, _, _ in seen]), torch.tensor([0.0, 0.5]))
    assert_close(torch.cat([z for _, z, _ in seen]), torch.tensor([[1.0], [1.5]]))
    assert_close(torch.cat([v for _, _, v in seen]), torch.tensor([[1.0], [2.0]]))
    assert_close(start, torch.ones(1, 1), rtol=0, atol=0)


def test_ddim_comes_to_the_known_place():
    """On DDPM's path z₀ = a₀ x + b₀ ε, and the flow keeps each number's place within its normal distribution."""
    start = normal_numbers(50)
    a, b = ddpm_rates(torch.zeros(1, dtype=torch.float64))
    known = MEAN + STD * (start - a * MEAN) / (a**2 * STD**2 + b**2).sqrt()
    errors = [(ddim(exact_noise, start, steps=n) - known).abs().max() for n in (200, 400, 800)]
    assert errors[-1] < 0.02
    for coarse, fine in itertools.pairwise(errors):
        assert abs(torch.log2(coarse / fine) - 1) < 0.2


def test_ddim_cuts_off_what_is_predicted():
    start = 30 * normal_numbers(50)
    assert ddim(exact_noise, start, steps=50).abs().max() > 20
    assert ddim(exact_noise, start, steps=50, limit=2.5).abs().max() <= 2.5


def test_ddpm_rates_are_those_of_its_thousand_steps():
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    left = (1 - betas).cumprod(0).sqrt()  # data left after each step
    a, b = ddpm_rates(1 - torch.arange(1, 1001, dtype=torch.float64) / 1000)
    assert_close(a, left, rtol=0, atol=5e-3)
    assert_close(a**2 + b**2, torch.ones_like(a))
    assert_close(torch.stack(ddpm_rates(torch.ones(1))), torch.tensor([[1.0], [0.0]]), rtol=0, atol=0)


def test_the_time_of_ddpm_that_has_the_ratio_of_the_straight_path():
    t = torch.tensor([0.01, 0.2, 0.5, 0.9, 0.999], dtype=torch.float64)
    a, b = ddpm_rates(ddpm_time(t))
    assert_close(a / b, t / (1 - t))
    assert ddpm_time(torch.tensor([1e-4])) == 0  # there is no time of DDPM with as little data


@pytest.mark.parametrize("mean", [-1.0, 0.5])
def test_ddpm_at_the_straight_paths_levels_and_weights_has_its_loss(mean):
    """A predicted x that is wrong by the same at the same ratio of data and noise costs the same on both paths."""
    x, ratio_of_straight = torch.full((200_000, 1), 2.0), lambda t: t / (1 - t)
    ratio_of_ddpm = lambda t: torch.div(*ddpm_rates(t))
    wrong = lambda ratio: lambda z, t: 2 + torch.sin(ratio(t))[:, None]
    with seeded(0):
        straight = flow_loss(wrong(ratio_of_straight), x, predicts="x", mean=mean, std=0.7)
    with seeded(0):
        bent = ddpm_loss(wrong(ratio_of_ddpm), x, predicts="x", mean=mean, std=0.7)
    assert_close(bent, straight, rtol=1e-3, atol=0)


def test_a_velocity_is_wrong_by_as_much_as_its_noise_over_the_time():
    """What weighs `ddpm_loss` with a mean: v = x − ε, with x = (z − (1 − τ) ε) / τ, so dv = −dε / τ."""
    with seeded(0):
        straight = logit_normal(300_000, mean=0.3, std=0.5)
    with seeded(1):
        x = torch.randn(300_000, 1)
        loss = ddpm_loss(lambda z, t: torch.zeros_like(z), x, mean=0.3, std=0.5)
    assert_close(loss, (1 / straight**2).mean(), rtol=0.02, atol=0)


def test_the_density_of_a_flow_is_the_known_one():
    x = MEAN + 1.5 * STD * normal_numbers(40)
    expected = torch.distributions.Normal(MEAN, STD).log_prob(x).sum(-1)
    errors = [(log_density(exact_velocity, x, steps=n) - expected).abs().max() for n in (64, 128)]
    assert errors[1] < 1e-4
    assert errors[0] / errors[1] > 3.5  # second order


def test_the_divergence_does_not_leave_a_graph_or_need_parameters():
    x = normal_numbers(3).requires_grad_()
    assert not log_density(exact_velocity, x, steps=2).requires_grad
    assert x.grad is None


@pytest.mark.parametrize("steps", [1, 7, 100])
@pytest.mark.parametrize("method", ["euler", "heun"])
def test_the_last_step_ends_on_what_is_predicted(steps, method):
    """However short it is: the limit on 1 − t is for training."""
    model = lambda z, t: torch.full_like(z, 3.0) + t[:, None]
    got = sample(velocity_of(model, predicts="x"), torch.randn(5, 2), steps=steps, method=method)
    assert_close(got, torch.full((5, 2), 3 + (steps - 1) / steps))


class Classes(nn.Module):
    """Predicts its label; "any" is 7."""

    classes = 7

    def forward(self, z, t, labels):
        return torch.zeros_like(z) + labels[:, None]


def test_guidance_by_hand():
    z, t, labels = torch.zeros(2, 3), torch.full((2,), 0.5), torch.tensor([1, 4])
    answers = {w: velocity_of(Classes(), labels, guidance=w)(z, t)[:, 0].tolist() for w in (0, 0.5, 1, 3)}
    assert answers == {0: [7, 7], 0.5: [4, 5.5], 1: [1, 4], 3: [7 - 18, 7 - 9]}
    assert noise_of(Classes(), labels, guidance=3)(z, t)[:, 0].tolist() == [-11, -2]
    a, b = ddpm_rates(t[:1])
    assert_close(noise_of(Classes(), labels, predicts="x", guidance=3)(z, t)[:, 0], a / b * torch.tensor([11.0, 2.0]))
    of_x = velocity_of(Classes(), labels, predicts="x", guidance=3)(z, t)[:, 0]
    assert_close(of_x, torch.tensor([-22.0, -4.0]))  # (x − z) / (1 − t)


def test_the_memory_of_two_pictures_by_hand():
    """At t = 1/2 from z = 0.4, seen from the data 0 and 1: distances 0.4 and 0.1, so exponents −0.32 and −0.02."""
    weight = 1 / (1 + math.exp(-0.3))  # of the second
    got = memory(torch.tensor([[[0.0]], [[1.0]]]))(torch.full((1, 1, 1), 0.4), torch.tensor([0.5]))
    assert_close(got, torch.full((1, 1, 1), (weight - 0.4) / 0.5))


def test_the_memory_is_the_best_velocity_for_its_data_and_ends_on_them():
    data = MEAN + STD * normal_numbers(7)
    velocity = memory(data)
    ends = sample(velocity, normal_numbers(40, seed=1), steps=60)
    distances, places = torch.cdist(ends, data).min(1)
    assert distances.max() < 1e-6
    assert len(places.unique()) == 7
    x = data.repeat(3000, 1)

    def loss(change):
        with seeded(0):
            return flow_loss(lambda z, t: velocity(z, t) + change(z), x)

    assert loss(torch.zeros_like) < min(
        loss(lambda z: 0.1 * torch.ones_like(z)), loss(lambda z: 0.1 * z), loss(lambda z: -0.1 * z)
    )


def test_labels_are_dropped_by_chance():
    labels = torch.arange(10).repeat(2000)
    with seeded(0):
        kept = drop_labels(labels, 0.15, 10)
    dropped = kept == 10
    assert_close(kept[~dropped], labels[~dropped])
    assert abs(dropped.float().mean() - 0.15) < 4 * math.sqrt(0.15 * 0.85 / 20_000)
    assert_close(drop_labels(labels, 0.0, 10), labels)
    assert_close(drop_labels(labels, 1.0, 10), torch.full_like(labels, 10))


class Kept(Classes):
    """Notes what it was asked, and has something to learn."""

    def __init__(self):
        super().__init__()
        self.factor, self.asked = nn.Parameter(torch.zeros(())), []

    def forward(self, z, t, labels):
        self.asked.append(labels)
        return self.factor * z


@pytest.mark.parametrize("loss", [flow_loss, ddpm_loss])
def test_losses_drop_labels_and_give_gradients(loss):
    model, labels = Kept(), torch.arange(6)
    with seeded(0):
        loss(model, torch.randn(6, 1, 3, 5), labels, drop=1.0).backward()
        loss(model, torch.randn(6, 1, 3, 5), labels)
    assert_close(model.asked[0], torch.full((6,), 7))
    assert_close(model.asked[1], labels)
    assert model.factor.grad.abs() > 0


def test_errors_of_a_predicted_x_weigh_more_near_the_end():
    """The same error of x costs 1/(1 − t)² as much; with times far from both ends' limit."""
    constant = lambda z, t: torch.zeros_like(z)
    x = torch.full((50_001, 1), 2.0)
    for mean in (-2.0, 1.0):
        with seeded(0):
            t = logit_normal(400_000, mean=mean, std=0.1)
        with seeded(1):
            loss = flow_loss(constant, x, predicts="x", mean=mean, std=0.1)
        assert_close(loss, 4 * (1 / (1 - t) ** 2).mean(), rtol=0.02, atol=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: as_velocity(torch.zeros(1), torch.zeros(1), torch.zeros(1), "noise"),
            'predicts must be "x" or "v", got \'noise\'',
        ),
        (lambda: as_noise(torch.zeros(1), torch.zeros(1), torch.zeros(1), "v"), 'predicts must be "noise" or "x", got \'v\''),
        (lambda: noise_of(Classes(), guidance=2.0), "guidance needs labels, got guidance=2.0 and none"),
        (lambda: sample(exact_velocity, torch.zeros(1, 2), steps=0), "steps must be an integer of at least 1, got 0"),
        (
            lambda: sample(exact_velocity, torch.zeros(1, 2), steps=3, method="rk4"),
            'method must be "euler" or "heun", got \'rk4\'',
        ),
        (lambda: ddim(exact_noise, torch.zeros(1, 2), steps=2.0), "steps must be an integer of at least 1, got 2.0"),
        (lambda: log_density(exact_velocity, torch.zeros(2), steps=3), r"x must have shape \(B, d\), got \(2,\)"),
        (lambda: straight_path(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(2)), r"t must have shape \(3,\), got \(2,\)"),
        (lambda: velocity_of(Classes(), guidance=2.0), "guidance needs labels, got guidance=2.0 and none"),
    ],
)
def test_what_makes_no_sense_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
