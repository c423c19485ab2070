"""Flow matching: noise and data joined by straight lines, the velocity learned, samples by solving an ODE; and DDPM beside it.

Time t runs from 0, pure noise, to 1, data. A *velocity* is a function (z, t) -> dz/dt with z (B, ...) and t (B,).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attn_utils.shapes import check_choice, check_shape, check_size

Velocity = Callable[[Tensor, Tensor], Tensor]
NEAREST = 0.05  # to t = 1 that a division by 1 − t comes

# ------------------------------------------------------------------------------------------------- the straight path


def straight_path(x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """A point on the line from noise to data.

    z_t = (1 − t) ε + t x,   dz_t/dt = x − ε

    Args:
        x: data, (B, ...).
        noise: ε, of the same shape.
        t: (B,) in [0, 1].

    Returns:
        z, of the shape of x.

    Source: Liu et al. 2022, arXiv:2209.03003, equation 1; Lipman et al. 2022, arXiv:2210.02747, equation 22 with σ_min = 0.
    """
    t = _beside(t, x)
    return (1 - t) * noise + t * x


def velocity_from_x(x: Tensor, z: Tensor, t: Tensor, *, least: float = NEAREST) -> Tensor:
    """The velocity that leads from z straight to a predicted x: v = (x − z) / (1 − t), with 1 − t not below `least`.

    Source: Li and He 2025, arXiv:2511.13720, table 1 (3)(a), with the limit of its section 4.3.
    """
    return (x - z) / (1 - _beside(t, z)).clamp(min=least)


def x_from_velocity(v: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """Where a straight line from z with this velocity ends: x = z + (1 − t) v."""
    return z + (1 - _beside(t, z)) * v


def as_velocity(predicted: Tensor, z: Tensor, t: Tensor, predicts: str, *, least: float = NEAREST) -> Tensor:
    """What a network predicted, as a velocity; `predicts` says what it was, "x" or "v"."""
    check_choice("predicts", predicts, ("x", "v"))
    return predicted if predicts == "v" else velocity_from_x(predicted, z, t, least=least)


def logit_normal(n: int, *, mean: float = 0.0, std: float = 1.0, device: torch.device | str | None = None) -> Tensor:
    """n random times t = σ(mean + std · g), g standard normal: mostly in the middle, seldom near 0 or 1; (n,).

    Source: Esser et al. 2024, arXiv:2403.03206, section 3.1.
    """
    return torch.sigmoid(mean + std * torch.randn(n, device=device))


def flow_loss(
    model: nn.Module,
    x: Tensor,
    labels: Tensor | None = None,
    *,
    predicts: str = "v",
    drop: float = 0.0,
    mean: float = 0.0,
    std: float = 1.0,
) -> Tensor:
    """Mean squared error of the velocity, whatever the network predicts; for `attn_utils.train.fit`.

    E |v(z_t, t) − (x − ε)|²,   t logit-normal, ε standard normal

    Args:
        model: called as model(z, t), or model(z, t, labels) where there are labels.
        x: data, (B, ...).
        labels: (B,) whole numbers, or captions (B, L), or None.
        predicts: "v", the velocity, or "x", the data: then v = (x − z) / (1 − t), so errors weigh more the nearer t is to 1.
        drop: share of the labels that are replaced by `model.classes`, "any": for guidance.
        mean, std: of the times, as in `logit_normal`.

    Returns:
        A scalar.

    Source: Lipman et al. 2022, arXiv:2210.02747, equation 9; "x" as in Li and He 2025, arXiv:2511.13720, equation 6 and algorithm 1.
    """
    noise, t = torch.randn_like(x), logit_normal(len(x), mean=mean, std=std, device=x.device).to(x.dtype)
    z = straight_path(x, noise, t)
    target = x - noise if predicts == "v" else velocity_from_x(x, z, t)  # the same, but for the limit on 1 − t
    predicted = model(z, t) if labels is None else model(z, t, drop_labels(labels, drop, model.classes))
    return (as_velocity(predicted, z, t, predicts) - target).square().mean()


def drop_labels(labels: Tensor, share: float, anything: int) -> Tensor:
    """Labels (B,), or captions (B, L), of which a random share is replaced by what means "any"."""
    return torch.where(_beside(torch.rand(len(labels), device=labels.device), labels) < share, anything, labels)


# ----------------------------------------------------------------------------------------------------------- sampling


def velocity_of(model: nn.Module, labels: Tensor | None = None, *, predicts: str = "v", guidance: float = 1.0) -> Velocity:
    """The velocity that a network gives, guided towards classes if wished.

    v = v_any + w (v_class − v_any),   w = `guidance`

    A predicted x is divided by 1 − t without the limit of training, so that a last step ends on it: do not ask at t = 1.

    Args:
        model: called as in `flow_loss`.
        labels: (B,) classes of the samples, or their captions (B, L), or None.
        predicts: "v" or "x", as it was trained.
        guidance: w; 1 follows the class as learned, 0 ignores it, above 1 exaggerates it. Other than 1 it takes two predictions.

    Source: Ho and Salimans 2022, arXiv:2207.12598, equation 6, whose w is ours less 1.
    """
    return _guided(model, labels, guidance, lambda predicted, z, t: as_velocity(predicted, z, t, predicts, least=0.0))


def memory(data: Tensor) -> Velocity:
    """The velocity that has the least loss on a finite set of data: attention over the set, at a bandwidth that shrinks to 0.

    v = (x̂ − z) / (1 − t),   x̂ = Σ_i A_i x_i,   A = softmax_i(−|z − t x_i|² / (2 (1 − t)²))

    Whoever follows it ends on one of the data. Not to be asked at t = 1.

    Args:
        data: x_i, (M, ...).

    Returns:
        A function (z, t) -> v; z (B, ...), t (B,).

    Source: Scarvelis et al. 2023, arXiv:2310.12395, who smooth it so that it ends between the data.
    """
    flat = data.flatten(1)  # (M, d)
    half_squares = flat.square().sum(1) / 2

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        query, late = z.flatten(1), t[:, None]
        scores = (late * query @ flat.T - late**2 * half_squares) / (1 - late) ** 2  # (B, M), less what is the same for all i
        return velocity_from_x((scores.softmax(-1) @ flat).reshape(z.shape), z, t, least=0.0)

    return velocity


def sample(
    velocity: Velocity,
    start: Tensor,
    *,
    steps: int,
    method: str = "heun",
    on_step: Callable[[Tensor, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Follow a velocity from t = 0 to t = 1 in equal steps.

    Euler: z' = z + h v(z, t).   Heun: z' = z + h/2 (v(z, t) + v(z + h v(z, t), t + h)), but Euler in the last step: at t = 1
    nothing can be asked of a network that predicts x.

    Args:
        velocity: (z, t) -> dz/dt.
        start: noise, (B, ...).
        steps: how many; Euler asks once a step, Heun twice but once in the last.
        method: "euler" or "heun".
        on_step: called as on_step(t, z, v) before each step, t (B,).

    Returns:
        Samples, of the shape of start. No gradients are kept.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 1, for Heun and its last step.
    """
    check_choice("method", method, ("euler", "heun"))
    h, z = 1 / check_size("steps", steps), start
    with torch.no_grad():
        for step in range(steps):
            t = z.new_full((len(z),), step / steps)
            v = velocity(z, t)
            if on_step is not None:
                on_step(t, z, v)
            if method == "heun" and step < steps - 1:
                v = (v + velocity(z + h * v, z.new_full((len(z),), (step + 1) / steps))) / 2
            z = z + h * v
    return z


def log_density(velocity: Velocity, x: Tensor, *, steps: int) -> Tensor:
    """ln p(x) under the model that a velocity makes of standard normal noise: follow x back, and count how space is stretched.

    ln p₁(x) = ln p₀(z₀) − ∫₀¹ ∇·v(z_t, t) dt

    The divergence is taken exactly, one derivative for each dimension: this is for a few of them.

    Args:
        velocity: (z, t) -> dz/dt, each row of z by itself; also asked at t = 1, so not one made from a predicted x.
        x: (B, d).
        steps: of the midpoint rule.

    Returns:
        (B,), in nats.

    Source: Chen et al. 2018, arXiv:1806.07366, theorem 1.
    """
    check_shape("x", x, ("B", "d"))
    h, z, stretched = 1 / check_size("steps", steps), x.detach(), x.new_zeros(len(x))
    for step in range(steps, 0, -1):
        half = z - h / 2 * _with_divergence(velocity, z, step / steps)[0]
        v, divergence = _with_divergence(velocity, half, (step - 0.5) / steps)
        z, stretched = z - h * v, stretched + h * divergence
    return -z.square().sum(-1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi) - stretched


def _guided(
    model: nn.Module, labels: Tensor | None, guidance: float, convert: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Velocity:
    """What `velocity_of` and `noise_of` share: two predictions in one pass, converted, then mixed."""
    if labels is None and guidance != 1:
        raise ValueError(f"guidance needs labels, got guidance={guidance} and none")

    def follow(z: Tensor, t: Tensor) -> Tensor:
        if labels is None:
            return convert(model(z, t), z, t)
        if guidance == 1:
            return convert(model(z, t, labels), z, t)
        both = torch.cat([labels, torch.full_like(labels, model.classes)])
        predicted = model(torch.cat([z, z]), torch.cat([t, t]), both)
        of_class, of_any = (convert(half, z, t) for half in predicted.chunk(2))
        return of_any + guidance * (of_class - of_any)

    return follow


def _with_divergence(velocity: Velocity, z: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """v (B, d) and its divergence (B,), without a graph."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        v = velocity(z, z.new_full((len(z),), t))
        slopes = [torch.autograd.grad(v[:, i].sum(), z, retain_graph=True)[0][:, i] for i in range(z.shape[1])]
    return v.detach(), torch.stack(slopes).sum(0)


# ------------------------------------------------------------------------------------------------------- DDPM and DDIM


def ddpm_rates(t: Tensor) -> tuple[Tensor, Tensor]:
    """How much data and how much noise DDPM has at time t, with its linear schedule from β = 10⁻⁴ to 0.02 in a thousand steps.

    z_t = a x + b ε,   a = exp(−s²/4 (20 − 0.1) − s/2 · 0.1) with s = 1 − t,   b = √(1 − a²)

    Args:
        t: in [0, 1], 1 = data.

    Returns:
        a and b, each of the shape of t. At t = 0 there is still a little data, a = 0.0066.

    Source: Ho et al. 2020, arXiv:2006.11239, section 4; in continuous time Song et al. 2020, arXiv:2011.13456, equation 33.
    """
    s = 1 - t
    log_a = -(s**2) / 4 * (20 - 0.1) - s / 2 * 0.1
    return log_a.exp(), (-torch.expm1(2 * log_a)).sqrt()


def ddpm_time(t: Tensor) -> Tensor:
    """The time of DDPM at which data and noise have the ratio that they have on the straight path at t: a / b = t / (1 − t).

    So the same noisy picture stands at both places, but for a factor. Before DDPM's first time, where 0.0066 of the data is left,
    it is 0.

    Args:
        t: in (0, 1), of the straight path.

    Returns:
        Times in [0, 1], of the shape of t.
    """
    log_a = -torch.log1p(((1 - t) / t) ** 2) / 2  # since a² + b² = 1
    low, slope = 0.1 / 2, (20 - 0.1) / 4
    return (1 - ((low**2 - 4 * slope * log_a).sqrt() - low) / (2 * slope)).clamp(min=0)


def noise_from_x(x: Tensor, z: Tensor, t: Tensor, *, least: float = NEAREST) -> Tensor:
    """The noise that is in z if the data in it are x: ε = (z − a x) / b, with b not below `least`."""
    a, b = (_beside(rate, z) for rate in ddpm_rates(t))
    return (z - a * x) / b.clamp(min=least)


def as_noise(predicted: Tensor, z: Tensor, t: Tensor, predicts: str, *, least: float = NEAREST) -> Tensor:
    """What a network predicted, as noise; `predicts` says what it was, "noise" or "x"."""
    check_choice("predicts", predicts, ("noise", "x"))
    return predicted if predicts == "noise" else noise_from_x(predicted, z, t, least=least)


def ddpm_loss(
    model: nn.Module,
    x: Tensor,
    labels: Tensor | None = None,
    *,
    predicts: str = "noise",
    drop: float = 0.0,
    mean: float | None = None,
    std: float = 1.0,
) -> Tensor:
    """Mean squared error of the noise, whatever the network predicts, at even times: E |ε(z_t, t) − ε|².

    Which noise levels come how often, and what an error weighs there, is a choice of its own, beside the path. With a `mean` both
    are those of `flow_loss` with this mean, so that nothing but the path differs from it: (ε(z_t, t) − ε) / τ is the error of the
    velocity, where τ is the time of the straight path at which data and noise have the same ratio.

    Args:
        model, x, labels, drop: as in `flow_loss`.
        predicts: "noise", or "x": then ε = (z − a x) / b.
        mean, std: None for even times and errors of noise, as in the source; else as in `flow_loss`.

    Returns:
        A scalar.

    Source: Ho et al. 2020, arXiv:2006.11239, equation 14 ("simple"); that path and weights are two things, Kingma and Gao 2023,
    arXiv:2303.00848.
    """
    noise, weight = torch.randn_like(x), 1.0
    if mean is None:
        t = torch.rand(len(x), device=x.device, dtype=x.dtype)
    else:
        straight = logit_normal(len(x), mean=mean, std=std, device=x.device).to(x.dtype)
        t, weight = ddpm_time(straight), 1 / _beside(straight, x)
    a, b = (_beside(rate, x) for rate in ddpm_rates(t))
    z = a * x + b * noise
    target = noise if predicts == "noise" else noise_from_x(x, z, t)  # the same, but for the limit on b
    predicted = model(z, t) if labels is None else model(z, t, drop_labels(labels, drop, model.classes))
    return (weight * (as_noise(predicted, z, t, predicts) - target)).square().mean()


def noise_of(model: nn.Module, labels: Tensor | None = None, *, predicts: str = "noise", guidance: float = 1.0) -> Velocity:
    """The noise that a network predicts, guided as in `velocity_of`: a function (z, t) -> ε."""
    return _guided(model, labels, guidance, lambda predicted, z, t: as_noise(predicted, z, t, predicts, least=0.0))


def ddim(noise: Velocity, start: Tensor, *, steps: int, limit: float | None = None) -> Tensor:
    """Sample from predicted noise without adding any: take out what was predicted, put back what the next time has.

    x = (z − b ε) / a,   z' = a' x + b' ε

    Args:
        noise: (z, t) -> ε.
        start: noise, (B, ...).
        steps: how many, equal in t.
        limit: predicted data is cut off at ± this (and the noise that goes with it taken anew); None for no limit.

    Returns:
        Samples, of the shape of start. No gradients are kept.

    Source: Song et al. 2020, arXiv:2010.02502, equation 12 with σ = 0.
    """
    z, steps = start, check_size("steps", steps)
    with torch.no_grad():
        for step in range(steps):
            t = z.new_full((len(z),), step / steps)
            epsilon = noise(z, t)
            a, b = (_beside(rate, z) for rate in ddpm_rates(t))
            x = (z - b * epsilon) / a
            if limit is not None:
                x = x.clamp(-limit, limit)
                epsilon = (z - a * x) / b
            a, b = (_beside(rate, z) for rate in ddpm_rates(torch.full_like(t, (step + 1) / steps)))
            z = a * x + b * epsilon
    return z


def _beside(t: Tensor, x: Tensor) -> Tensor:
    """(B,) as (B, 1, …, 1), to stand beside x (B, ...)."""
    check_shape("t", t, (x.shape[0],))
    return t.reshape(-1, *[1] * (x.ndim - 1))
