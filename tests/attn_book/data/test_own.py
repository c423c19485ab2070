"""The reader's own pictures: every kind of file as Pillow shows it, and a clear word about those that cannot be read."""

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from attn_book.data.own import PICTURE_FORMATS, folder_per_class, read_picture

RED, BLUE = (255, 0, 0), (0, 0, 255)
NO_SUCH_FILES = {  # mode of Pillow: formats that cannot hold it
    "RGB": (),
    "P": (".jpg", ".jpeg"),
    "RGBA": (".jpg", ".jpeg"),
    "CMYK": (".png", ".bmp", ".gif"),
    "YCbCr": (".png", ".bmp", ".gif"),
}


def two_colours(mode="RGB"):
    """5 px high and 7 px wide; the upper two rows are red, the others blue."""
    picture = Image.new("RGB", (7, 5), BLUE)
    picture.paste(RED, (0, 0, 7, 2))
    return picture.convert(mode)


def deep_grey():
    return np.random.default_rng(0).integers(0, 65_536, (5, 7), dtype=np.uint16)


def clear_above(mode, ink):
    """The upper two of five rows are transparent, the others have the ink."""
    alpha = Image.new("L", (7, 5), 255)
    alpha.paste(0, (0, 0, 7, 2))
    picture = Image.new(mode, (7, 5), ink)
    picture.putalpha(alpha)
    return picture


# ------------------------------------------------------------------ what a file shows


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(mode, suffix) for mode, without in NO_SUCH_FILES.items() for suffix in PICTURE_FORMATS if suffix not in without],
)
def test_colours_of_every_format(tmp_path, mode, suffix):
    two_colours(mode).save(tmp_path / f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    picture = read_picture(tmp_path / f"a{suffix}")
    assert picture.shape == (5, 7, 3)
    assert picture.dtype == np.float32
    atol = 0.35 if "j" in suffix else 0.03  # JPEG mixes neighbours
    assert_allclose(picture[0], np.broadcast_to([1, 0, 0], (7, 3)), atol=atol)
    assert_allclose(picture[-1], np.broadcast_to([0, 0, 1], (7, 3)), atol=atol)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_stands_upright(tmp_path, orientation, suffix):
    """Stored on its side, or mirrored, with the note that says so: it must look as before."""
    stored = np.zeros((40, 56, 3), np.uint8)
    stored[:20, :28], stored[:20, 28:], stored[20:, :28] = RED, BLUE, (255, 255, 255)
    undo = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, -1),
        7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
        8: lambda x: np.rot90(x, 1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(tmp_path / f"a{suffix}", exif=exif)
    picture, expected = read_picture(tmp_path / f"a{suffix}"), undo(stored) / 255
    assert picture.shape == expected.shape
    assert_allclose(picture[5::10, 7::14], expected[5::10, 7::14], atol=0.1)


def test_grey_has_three_equal_channels(tmp_path):
    for mode, ink, shown in [("L", 51, 0.2), ("1", 1, 1.0)]:
        Image.new(mode, (7, 5), ink).save(tmp_path / "a.png")
        assert_allclose(read_picture(tmp_path / "a.png"), np.full((5, 7, 3), shown), atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize(("mode", "ink", "shown"), [("RGB", (51, 0, 255), (0.2, 0, 1)), ("L", 51, (0.2, 0.2, 0.2))])
def test_what_is_transparent_shows_white(tmp_path, mode, ink, shown, suffix):
    lossless = {"lossless": True} if suffix == ".webp" else {}
    clear_above(mode, ink).save(tmp_path / f"a{suffix}", **lossless)
    picture = read_picture(tmp_path / f"a{suffix}")
    assert_allclose(picture[0], 1.0)
    assert_allclose(picture[-1], np.broadcast_to(shown, (7, 3)), atol=0.005)


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (7, 5), (255, 0, 0, 51)).save(tmp_path / "a.png")
    assert_allclose(read_picture(tmp_path / "a.png"), np.broadcast_to([1.0, 0.8, 0.8], (5, 7, 3)), atol=0.005)


@pytest.mark.parametrize(
    ("mode", "clear"), [("P", 0), ("L", 76), ("RGB", RED), ("1", 0)], ids=["palette", "grey", "RGB", "bilevel"]
)
def test_one_colour_named_as_transparent_shows_white(tmp_path, mode, clear):
    """The tRNS chunk of a PNG: not an alpha channel, but a colour that is not there."""
    picture = Image.new(mode, (7, 5), 1 if mode in "P1" else 20 if mode == "L" else BLUE)
    if mode == "P":
        picture.putpalette([*RED, *BLUE])
    picture.paste(clear, (0, 0, 7, 2))
    picture.save(tmp_path / "a.png", transparency=clear)
    shown = read_picture(tmp_path / "a.png")
    assert_allclose(shown[0], 1.0)
    assert_allclose(shown[-1, 0], {"L": [20 / 255] * 3, "1": [1, 1, 1]}.get(mode, [0, 0, 1]), atol=1e-6)


def test_transparent_gif(tmp_path):
    picture = Image.new("P", (7, 5), 1)
    picture.putpalette([*RED, *BLUE])
    picture.paste(0, (0, 0, 7, 2))
    picture.save(tmp_path / "a.gif", transparency=0)
    shown = read_picture(tmp_path / "a.gif")
    assert_allclose(shown[0], 1.0)
    assert_allclose(shown[-1], np.broadcast_to([0, 0, 1], (7, 3)))


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_16_bits_keep_their_precision(tmp_path, byteorder):
    grey = deep_grey()
    Image.fromarray(grey).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", grey, byteorder=byteorder)
    for name in ("a.png", "a.tif"):
        assert_allclose(read_picture(tmp_path / name), np.repeat(grey[..., None] / 65_535, 3, axis=2), atol=1e-6)
    Image.fromarray(grey).save(tmp_path / "clear.png", transparency=int(grey[2, 3]))
    shown = read_picture(tmp_path / "clear.png")
    assert_allclose(shown[2, 3], 1.0)
    assert_allclose(shown[0, 0], grey[0, 0] / 65_535, atol=1e-6)


def test_16_bits_in_colour(tmp_path):
    colour = np.random.default_rng(0).integers(0, 65_536, (5, 7, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb")
    assert_allclose(read_picture(tmp_path / "a.tif"), colour / 65_535, atol=1 / 255)


def test_floats_from_0_to_1_are_taken_as_they_are(tmp_path):
    grey = np.random.default_rng(0).random((5, 7), dtype=np.float32)
    tifffile.imwrite(tmp_path / "a.tif", grey)
    assert_array_equal(read_picture(tmp_path / "a.tif"), np.repeat(grey[..., None], 3, axis=2))


def test_the_first_page_and_the_first_frame_count(tmp_path):
    pages = np.stack([np.full((5, 7), ink, np.uint8) for ink in (51, 102, 255)])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    frames = [Image.fromarray(page) for page in pages]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    for name in ("a.tif", "a.gif"):
        assert_allclose(read_picture(tmp_path / name), np.full((5, 7, 3), 0.2), atol=1e-6)


def test_a_picture_is_cropped_to_the_size_asked_for(tmp_path):
    two_colours().save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", size=4).shape == (4, 4, 3)
    assert read_picture(str(tmp_path / "a.png"), size=(2, 6)).shape == (2, 6, 3)


# ------------------------------------------------------------------ what cannot be read


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((4, 4), np.nan, np.float32), "floats from nan to nan; they must lie in [0, 1]"),
        (np.array([[0.5, np.inf]], np.float32), "floats from 0.5 to inf"),
        (np.array([[-0.5, 0.5]], np.float32), "floats from -0.5 to 0.5"),
        (np.array([[0, 200]], np.float32), "floats from 0 to 200"),
        (np.array([[0, 200]], np.int16), "signed or 32-bit whole numbers"),
        (np.array([[-3, 100]], np.int8), "signed or 32-bit whole numbers"),
        (np.array([[0, 200]], np.int32), "signed or 32-bit whole numbers"),
        (np.array([[0, 200]], np.uint32), "signed or 32-bit whole numbers"),
        (np.zeros((4, 4, 3), np.float32), "cannot identify image file"),
    ],
    ids=["NaN", "infinite", "below 0", "above 1", "int16", "int8", "int32", "uint32", "floats in colour"],
)
def test_a_tiff_that_is_no_picture_says_why(tmp_path, array, words):
    tifffile.imwrite(tmp_path / "odd.tif", array, photometric="rgb" if array.ndim == 3 else "minisblack")
    with pytest.raises(ValueError, match=r"odd\.tif' cannot be read as a picture: ") as raised:
        read_picture(tmp_path / "odd.tif")
    assert words in str(raised.value)


@pytest.mark.parametrize("suffix", PICTURE_FORMATS)
@pytest.mark.parametrize("kept", [0, 0.2, 0.6])
def test_a_damaged_file_is_named(tmp_path, suffix, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "cat").mkdir()
    file = tmp_path / "cat" / f"torn{suffix}"
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    for read in (lambda: read_picture(file), lambda: folder_per_class(tmp_path, size=8)):
        with pytest.raises(ValueError, match=rf"torn\{suffix}' cannot be read as a picture: "):
            read()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.png' cannot be read as a picture: .*No such file"):
        read_picture(tmp_path / "nowhere.png")


# ------------------------------------------------------------------ a folder for each class


def test_folder_per_class_reads_what_was_written(tmp_path):
    colours = {"cat": (200, 30, 40), "dog": (10, 180, 90)}
    for name, colour in colours.items():
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("RGB", (31, 20 + i), colour).save(tmp_path / name / f"{i}.{'png' if i else 'PNG'}")
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    images, labels, names = folder_per_class(tmp_path, size=np.uint8(17))
    assert images.shape == (6, 3, 17, 17)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    assert names == ["cat", "dog"]
    assert_array_equal(labels, [0, 0, 0, 1, 1, 1])
    for image, label in zip(images, labels, strict=True):
        expected = np.array(colours[names[label]])[:, None, None] / 255
        assert_allclose(image, np.broadcast_to(expected, (3, 17, 17)), atol=1e-5)


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    for folder in ("cat", ".hidden", "__MACOSX"):
        (tmp_path / folder).mkdir()
        two_colours().save(tmp_path / folder / "a.png")
    (tmp_path / "cat" / "._a.png").write_bytes(b"\x00\x05\x16\x07")  # AppleDouble: no picture, whatever its name
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"Bud1")
    (tmp_path / "cat" / "folder.png").mkdir()
    images, _, names = folder_per_class(tmp_path, size=5)
    assert (len(images), names) == (1, ["cat"])


def test_pictures_and_classes_come_in_the_order_of_their_names_on_every_system(tmp_path):
    for name in ("b", "C", "a"):
        (tmp_path / name).mkdir()
        for i, file in enumerate(("B.png", "a.png", "c.png")):
            Image.new("L", (3, 3), 100 * i).save(tmp_path / name / file)
    images, _, names = folder_per_class(tmp_path, size=3)
    assert names == ["C", "a", "b"]
    assert_allclose(images[:3, 0, 0, 0], [0, 100 / 255, 200 / 255], atol=1e-6)


def test_folder_per_class_rejections(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        folder_per_class(tmp_path / "nowhere", size=8)
    with pytest.raises(ValueError, match="holds no folder"):
        folder_per_class(tmp_path, size=8)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "._a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="got none in 'empty'"):
        folder_per_class(tmp_path, size=8)
    with pytest.raises(ValueError, match="size must be a whole number of at least 1, got 0"):
        folder_per_class(tmp_path, size=0)
