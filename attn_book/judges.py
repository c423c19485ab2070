"""A classifier of handwritten digits that judges what is drawn: it has learned from scans that no generator saw."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_book.data.mnist import mnist_digits
from attn_book.data.twins import half_size
from attn_utils.device import seeded
from attn_utils.train import fit

SIDES = (28, 14)
STEPS = 700


class Judge(nn.Module):
    """A small convolutional classifier of digits; what comes before its last layer are features.

    Args:
        side: of a picture in px.

    Shapes:
        forward(x) -> scores; (B, 1, side, side) -> (B, 10). features(x): (B, 64).
    """

    def __init__(self, side: int):
        super().__init__()
        layers, wide = [], 1
        for out, stride in [(16, 2), (32, 1), (32, 2), (64, 2)]:
            layers += [nn.Conv2d(wide, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            wide = out
        flat = 64 * math.ceil(side / 8) ** 2
        layers += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(flat, 64), nn.ReLU()]
        self.features, self.head = nn.Sequential(*layers), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


@cache
def digit_judge(side: int = 14) -> Judge:
    """The judge for digits of 28 or 14 px, trained once and kept: on the 1,000 scans of the split "judge", jittered.

    It takes some seconds, and comes out the same however often it is asked for. Pictures are 1 where there is ink and 0 elsewhere.

    Raises:
        ValueError: another side.
    """
    if side not in SIDES:
        raise ValueError(f"side must be one of {', '.join(map(str, SIDES))}; got {side!r}")
    images, labels = mnist_digits("judge") if side == 28 else half_size("judge")
    loss = lambda model, x, y: F.cross_entropy(model(jittered(x)), y)
    with seeded(0):
        model = Judge(side)
    data = torch.from_numpy(images), torch.from_numpy(labels)
    fit(model, data, loss, steps=STEPS, batch_size=50, lr=3e-3, seed=0)
    return model.requires_grad_(False)


def jittered(x: Tensor) -> Tensor:
    """Pictures (B, C, H, W) turned, stretched, slanted and moved a little, each in its own way; what comes in from outside is 0."""
    n = len(x)
    angle, size = 0.5 * torch.rand(n) - 0.25, 0.9 + 0.2 * torch.rand(n)
    slant = 0.3 * torch.rand(n) - 0.15
    top = torch.stack([size * angle.cos(), slant - size * angle.sin()], -1)
    bottom = torch.stack([size * angle.sin(), size * angle.cos()], -1)
    shift = 0.2 * torch.rand(n, 2, 1) - 0.1
    moves = torch.cat([torch.stack([top, bottom], 1), shift], -1)  # (n, 2, 3)
    grid = F.affine_grid(moves, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)
