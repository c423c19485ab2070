"""What the programs of this folder train: a small ViT that reads real handwriting, 8 × 8 pixels, and has dropout to lose."""

import torch
import torch.nn.functional as F

from attn_book.data.material import digit_scans
from attn_utils.vit import ViT


def scans():
    """Handwriting for training: images (1000, 1, 8, 8) and labels (1000,)."""
    images, labels = digit_scans("train")
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels)


def reader(*, width=32, depth=2, dropout=0.1):
    """A ViT on 16 patches of 2 × 2 pixels, the same on every process; `fit` would see to that, too."""
    torch.manual_seed(0)
    return ViT(image_size=8, patch=2, classes=10, channels=1, dim=width, depth=depth, heads=2, mlp_ratio=2.0, dropout=dropout)


def cross_entropy(model, images, labels):
    """The loss, and the share of right answers beside it."""
    logits = model(images)
    return F.cross_entropy(logits, labels), {"accuracy": (logits.argmax(dim=1) == labels).float().mean()}
