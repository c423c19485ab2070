"""Linear recurrences along a sequence, computed for all places at once, and the gated layer that stands on them.

A GRU's gates read its own last state, so its places can only be computed one after the other. Where the gates read the input alone,
the recurrence is linear in the state, and a parallel scan computes N places in log₂ N rounds.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.shapes import check_float, check_shape, check_size, check_tokens


def linear_loop(a: Tensor, b: Tensor) -> Tensor:
    """The recurrence as it is written, one place after the other.

    h_n = a_n ⊙ h_{n-1} + b_n,   from a state of zeros

    Args:
        a: how much of the state is kept, floats (B, N, D), N ≥ 1.
        b: what is added, (B, N, D).

    Returns:
        (B, N, D), the state after each place.

    Raises:
        TypeError: not floating point.
        ValueError: not three axes, other shapes, or no places.

    Examples:
        >>> a, b = torch.full((1, 4, 1), 0.5), torch.tensor([[[8.0], [0.0], [0.0], [1.0]]])
        >>> linear_loop(a, b).flatten().tolist()
        [8.0, 4.0, 2.0, 2.0]
    """
    _check_steps(a, b)
    state, states = torch.zeros_like(b[:, 0]), []
    for keep, new in zip(a.unbind(1), b.unbind(1), strict=True):
        state = keep * state + new
        states.append(state)
    return torch.stack(states, dim=1)


def linear_scan(a: Tensor, b: Tensor) -> Tensor:
    """`linear_loop`, in log₂ N rounds that each treat all places at once.

    Two steps in a row are one step of the same kind: (a, b) and then (a', b') are (a' a, a' b + b'). In round r every place takes
    in the 2^r steps before those that it holds already, so it holds twice as many; after the last it holds all.

    Args, returns and raises: as `linear_loop`. Products of a underflow to 0 where the loop's would: what is forgotten is forgotten.

    Source: Martin and Cundy 2018, arXiv:1709.04057, section 2, who use a scan with less work; this one doubles, as
    Hillis and Steele 1986: N log₂ N multiplications in place of 2 N, and fewer rounds.

    Examples:
        >>> a, b = torch.full((1, 4, 1), 0.5), torch.tensor([[[8.0], [0.0], [0.0], [1.0]]])
        >>> linear_scan(a, b).flatten().tolist()
        [8.0, 4.0, 2.0, 2.0]
    """
    _check_steps(a, b)
    reach = 1  # steps that every place holds
    while reach < b.shape[1]:
        b = b + a * _later(b, reach)  # (B, N, D)
        a = a * _later(a, reach)
        reach *= 2
    return b


def _later(x: Tensor, steps: int) -> Tensor:
    """What each place finds so many steps before itself; zeros before the beginning."""
    return F.pad(x[:, :-steps], (0, 0, steps, 0))


def _check_steps(a: Tensor, b: Tensor) -> None:
    for name, x in (("a", a), ("b", b)):
        check_float(name, x)
        check_shape(name, x, ("B", "N", "D"))
    check_shape("b", b, tuple(a.shape))
    check_size("the number of places", b.shape[1])


def memory_biases(hidden: int, longest: float) -> Tensor:
    """Logits of how much a gate keeps at first, for units that remember from two to `longest` steps.

    A unit that keeps the share σ(β) of its state in each step forgets within about 1 + exp(β) steps: β = log(T − 1).

    Args:
        hidden: number of units; their T lie evenly from 2 to `longest`.
        longest: above 2, such as the number of places.

    Returns:
        (hidden,), rising from 0.

    Raises:
        ValueError: no units, or `longest` not above 2.

    Source: Tallec and Ollivier 2018, arXiv:1804.11188 ("chrono initialization"), who draw T at random.
    """
    if not longest > 2:
        raise ValueError(f"longest must be above 2 steps, got {longest}")
    return torch.linspace(1.0, longest - 1.0, check_size("hidden", hidden)).log()


class MinGRU(nn.Module):
    """A GRU whose gate and candidate read the input alone, so that all places are computed at once.

    z_n = σ(W_z x_n + b_z),   c_n = W_c x_n + b_c,   h_n = (1 − z_n) ⊙ h_{n-1} + z_n ⊙ c_n

    Args:
        dim: width D of the tokens.
        hidden: width of the state.
        longest: steps that the longest-lived unit remembers at first (`memory_biases`); None leaves b_z as a linear layer
            draws it: then every unit forgets about half in each step.

    Shapes:
        forward(x) -> h; x (B, N, dim), h (B, N, hidden). Place n knows places up to n.

    Source: Feng et al. 2024, arXiv:2410.01201, section 3.1.
    Differs from the paper: for training it computes in logarithms, for which c must be positive; ours is the form of its section 3.1,
    which `linear_scan` computes without dividing, so that nothing overflows. The paper has no `longest`.

    Examples:
        >>> MinGRU(8, hidden=5)(torch.rand(2, 10, 8)).shape
        torch.Size([2, 10, 5])
    """

    def __init__(self, dim: int, *, hidden: int, longest: float | None = None):
        super().__init__()
        self.dim, self.hidden = check_size("dim", dim), check_size("hidden", hidden)
        self.project = nn.Linear(self.dim, 2 * self.hidden)
        if longest is not None:
            with torch.no_grad():
                self.project.bias[: self.hidden] = -memory_biases(self.hidden, longest)

    def forward(self, x: Tensor) -> Tensor:
        check_tokens("x", x, self.dim)
        gate, candidate = self.project(x).chunk(2, dim=-1)  # (B, N, hidden) each
        return linear_scan(torch.sigmoid(-gate), torch.sigmoid(gate) * candidate)
