"""The reader's own pictures."""

from pathlib import Path

import numpy as np
from skimage import io

from attn_book.data.checks import check_range
from attn_book.data.material import fit_to


def folder_per_class(path, *, size):
    """The reader's own pictures: one folder per class, any common picture format inside.

    Args:
        path: a folder whose sub-folders are the classes, `path/cat/1.jpg`, `path/dog/a.png`, …
        size: side in px; every picture is cropped to its centred square and resized.

    Returns:
        images (n, 3, size, size) float32 in [0, 1], labels (n,) int64, and the class names in alphabetical order.

    Raises:
        ValueError: when the folder is missing, holds no class folders, or a class holds no picture.
    """
    check_range("size", size, 1)
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"path must be a folder that holds one folder per class, got {str(path)!r}, which is not a folder")
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if not folders:
        raise ValueError(f"path must hold one folder per class, got {str(path)!r}, which holds no folder")
    images, labels = [], []
    for label, folder in enumerate(folders):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURE_FORMATS)
        if not files:
            formats = ", ".join(PICTURE_FORMATS)
            raise ValueError(f"every class folder must hold a picture ({formats}), got none in {folder.name!r}")
        images += [fit_to(_rgb(io.imread(file)), size, size).transpose(2, 0, 1) for file in files]
        labels += [label] * len(files)
    return np.stack(images), np.array(labels), [folder.name for folder in folders]


PICTURE_FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def _rgb(picture):
    """Any picture as (H, W, 3) float32 in [0, 1]; transparency shows white."""
    if picture.ndim == 4:  # the first frame of a moving picture
        picture = picture[0]
    if picture.ndim == 2:
        picture = picture[..., None]
    top = np.iinfo(picture.dtype).max if np.issubdtype(picture.dtype, np.integer) else 1.0
    picture = picture.astype(np.float32) / top
    if picture.shape[-1] in (2, 4):
        alpha = picture[..., -1:]
        picture = picture[..., :-1] * alpha + (1 - alpha)
    return np.broadcast_to(picture, (*picture.shape[:2], 3))
