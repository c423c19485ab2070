"""The reader's own pictures with masks: one folder of pictures, one of masks, the same names in both."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from attn_book.data.checks import check_whole
from attn_book.data.own import PICTURE_FORMATS, read_picture

MASK_FORMATS = (".png", ".bmp", ".gif", ".tif", ".tiff")  # JPEG changes numbers
MASK_MODES = ("1", "L", "P", "I;16", "I;16B", "I")


def image_and_mask_folders(images, masks, *, size):
    """Pictures and their masks from two folders: `images/cat.jpg` belongs to `masks/cat.png`.

    A mask is a picture of one channel, as large as its picture, whose numbers say what each pixel belongs to: 0 for the ground, other
    numbers for objects or classes (white is 255, or 1 in a mask of one bit). Both are cropped to their centred square; the picture is
    resized smoothly, the mask takes the nearest pixel, so that no new numbers appear.

    Args:
        images: a folder of pictures, of any common format. Hidden files are passed over.
        masks: a folder of masks: PNG, BMP, GIF or TIFF, of 1, 8 or 16 bits, or with a palette (then its numbers count, not its
            colours).
        size: side in px of what is returned.

    Returns:
        pictures (n, 3, size, size) float32 in [0, 1]; masks (n, size, size) int64; and the n names without ending, in
        alphabetical order.

    Raises:
        ValueError: a folder that is missing or empty, a picture without mask, a mask without picture, two files for one name, a
            mask in colour, of another size than its picture or all ground, or a file that cannot be read: the error names it.
    """
    size = check_whole("size", size, 1)
    pictures, truths = _files("images", images, PICTURE_FORMATS), _files("masks", masks, MASK_FORMATS)
    for name in sorted(pictures.keys() ^ truths.keys()):
        there, lacking, folder = (pictures[name], "mask", masks) if name in pictures else (truths[name], "picture", images)
        raise ValueError(f"{str(there)!r} has no {lacking}: {str(folder)!r} holds no file named {name!r}")
    made = []
    for name in sorted(pictures):
        whole, mask = read_picture(pictures[name]), _read_mask(truths[name])
        if mask.shape != whole.shape[:2]:
            raise ValueError(f"{str(truths[name])!r} must be as large as its picture, {_by(whole)} px, got {_by(mask)} px")
        made.append((read_picture(pictures[name], size=size).transpose(2, 0, 1), _square(mask, size)))
    return np.stack([one for one, _ in made]), np.stack([mask for _, mask in made]), sorted(pictures)


def _files(argument, folder, formats):
    """{name without ending: path} of the files with one of the endings."""
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"{argument} must be a folder, got {str(folder)!r}, which is not a folder")
    found = {}
    for path in sorted(root.iterdir(), key=lambda path: path.name):
        if path.is_file() and not path.name.startswith(".") and path.suffix.lower() in formats:
            if path.stem in found:
                raise ValueError(f"{argument} must hold one file for each name, got {found[path.stem].name!r} and {path.name!r}")
            found[path.stem] = path
    if not found:
        raise ValueError(f"{argument} must hold files of the formats {', '.join(formats)}, got {str(folder)!r}, which has none")
    return found


def _read_mask(path):
    """(H, W) int64, the numbers of a mask as they are in the file, upright as its picture."""
    try:
        with Image.open(path) as opened:
            mode = opened.mode
            numbers = np.asarray(ImageOps.exif_transpose(opened))
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(f"{str(path)!r} cannot be read as a mask: {error}") from error
    if mode not in MASK_MODES:
        raise ValueError(f"{str(path)!r} must have one channel of whole numbers (mode {', '.join(MASK_MODES)}), got mode {mode}")
    if not numbers.any():
        raise ValueError(f"{str(path)!r} must mark something, got 0 at every pixel")
    return numbers.astype(np.int64)


def _square(mask, size):
    """The centred square of a mask, its nearest pixels at the given size."""
    H, W = mask.shape
    side = min(H, W)
    top, left = (H - side) // 2, (W - side) // 2
    at = ((np.arange(size) + 0.5) * side / size).astype(np.int64)
    return mask[top + at[:, None], left + at]


def _by(array):
    return f"{array.shape[0]} × {array.shape[1]}"
