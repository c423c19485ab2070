"""The reader's own pictures, as Pillow would show them: upright, in colour, on white."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from attn_book.data.checks import check_size, check_whole
from attn_book.data.material import crop_and_resize

PICTURE_FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read_picture(path, *, size=None):
    """Any picture file that Pillow reads, as the book uses pictures.

    A photograph that a phone took on its side is turned upright, what is transparent shows white, and of several frames or
    pages the first one counts. Grey of 16 bits and floats keep their precision; everything else has 8 bits a channel.

    Args:
        path: the file.
        size: side in px of a centred square, or (height, width) of a centred crop with that aspect; None keeps the original.

    Returns:
        (H, W, 3) float32 in [0, 1].

    Raises:
        ValueError: for a file that is missing, damaged or no picture, or whose numbers say nothing about white (signed whole
            numbers; floats outside [0, 1] or NaN): it names the file and what is wrong with it. Also for a size that is not
            made of whole numbers of at least 1.
    """
    if size is not None:
        check_size("size", size)
    try:
        with Image.open(path) as opened:
            _refuse_signed(opened)
            picture = _brightness(ImageOps.exif_transpose(opened))
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(f"{str(path)!r} cannot be read as a picture: {error}") from error
    return picture if size is None else crop_and_resize(picture, size)


def folder_per_class(path, *, size):
    """The reader's own pictures: one folder per class, any common picture format inside.

    Args:
        path: a folder whose sub-folders are the classes, `path/cat/1.jpg`, `path/dog/a.png`, … Hidden files and folders, and
            those that macOS adds to archives (`._1.jpg`, `__MACOSX`), are passed over.
        size: side in px; every picture is cropped to its centred square and resized.

    Returns:
        images (n, 3, size, size) float32 in [0, 1], labels (n,) int64, and the class names in alphabetical order.

    Raises:
        ValueError: when the folder is missing, holds no class folders, or a class holds no picture; when a picture cannot be
            read, as `read_picture`.
    """
    size = check_whole("size", size, 1)
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"path must be a folder that holds one folder per class, got {str(path)!r}, which is not a folder")
    folders = [folder for folder in _visible(root) if folder.is_dir()]
    if not folders:
        raise ValueError(f"path must hold one folder per class, got {str(path)!r}, which holds no folder")
    images, labels = [], []
    for label, folder in enumerate(folders):
        files = [file for file in _visible(folder) if file.is_file() and file.suffix.lower() in PICTURE_FORMATS]
        if not files:
            formats = ", ".join(PICTURE_FORMATS)
            raise ValueError(f"every class folder must hold a picture ({formats}), got none in {folder.name!r}")
        images += [read_picture(file, size=size).transpose(2, 0, 1) for file in files]
        labels += [label] * len(files)
    return np.stack(images), np.array(labels, np.int64), [folder.name for folder in folders]


def _visible(folder):
    """What a folder shows, by name: `Path` itself sorts differently on Windows."""
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name != "__MACOSX")
    return sorted(entries, key=lambda entry: entry.name)


def _refuse_signed(opened):
    """Raise ValueError where numbers may be negative, or take 32 bits: they do not say how large white is."""
    signed = opened.format == "TIFF" and 2 in opened.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, ())
    if signed or (opened.mode == "I" and opened.format not in ("PNG", "PPM")):  # which read 16 bits so
        raise ValueError("it holds signed or 32-bit whole numbers, which have no white; save it with 8 or 16 bits, unsigned")


def _brightness(picture):
    """A picture of Pillow, in any of its modes, as (H, W, 3) float32 in [0, 1]."""
    if picture.mode == "F" or picture.mode.startswith("I"):  # one deep channel, which Pillow would clip at 255
        return np.repeat(_deep_grey(picture)[..., None], 3, axis=-1)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"), np.float32) / 255


def _deep_grey(picture):
    """One channel of 16 bits or of floats, (H, W) float32 in [0, 1]."""
    numbers = np.asarray(picture)
    if picture.mode == "F" and not (0 <= numbers.min() and numbers.max() <= 1):  # NaN fails both
        raise ValueError(f"it holds floats from {numbers.min():g} to {numbers.max():g}; they must lie in [0, 1]")
    grey = numbers.astype(np.float32) / (1 if picture.mode == "F" else 65_535)
    clear = picture.info.get("transparency")  # a PNG may name one grey that is transparent
    return grey if clear is None else np.where(numbers == clear, np.float32(1), grey)
