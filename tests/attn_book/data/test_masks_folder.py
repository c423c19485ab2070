"""Folders of pictures and masks: numbers come through as they are, and every fault is told with the file that has it."""

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from attn_book.data.masks_folder import image_and_mask_folders

SHAPE = (9, 13)


@pytest.fixture
def folders(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    return images, masks


def picture(images, name="a.jpg", shape=SHAPE):
    Image.new("RGB", shape[::-1], (255, 0, 0)).save(images / name)


def numbers(shape=SHAPE, most=3, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, most + 1, shape).astype(dtype)


def deep():
    return numbers(most=60_000, dtype=np.uint16)


def mask(masks, name="a.png", array=None):
    Image.fromarray(numbers() if array is None else array).save(masks / name)


def test_pictures_and_masks_by_name(folders):
    images, masks = folders
    for name in ("b.png", "a.jpg", "c.v2.webp", ".hidden.png"):
        picture(images, name)
    for name in ("a.png", "b.bmp", "c.v2.gif"):
        mask(masks, name)
    (images / "notes.txt").write_text("no picture", encoding="utf8")
    pictures, truths, names = image_and_mask_folders(images, masks, size=9)
    assert names == ["a", "b", "c.v2"]
    assert pictures.shape == (3, 3, 9, 9)
    assert pictures.dtype == np.float32
    assert_allclose(pictures[:, 0], 1, atol=0.02)
    assert truths.dtype == np.int64
    for truth in truths:
        assert_array_equal(truth, numbers()[:, 2:11])


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda path: Image.fromarray(numbers() > 1).save(path), numbers() > 1),
        (lambda path: Image.fromarray(deep()).save(path), deep()),
        (lambda path: palette().save(path), numbers()),
    ],
    ids=["one bit", "16 bits", "palette"],
)
def test_masks_of_every_mode_keep_their_numbers(folders, write, expected):
    images, masks = folders
    picture(images)
    write(masks / "a.png")
    assert_array_equal(image_and_mask_folders(images, masks, size=9)[1][0], expected[:, 2:11])


def palette():
    made = Image.fromarray(numbers()).convert("P")
    made.putpalette([255, 255, 255, 0, 0, 0, 7, 7, 7, 200, 0, 0])
    made.frombytes(numbers().tobytes())
    return made


def test_16_bits_in_a_tiff(folders):
    images, masks = folders
    picture(images)
    tifffile.imwrite(masks / "a.tif", deep())
    assert_array_equal(image_and_mask_folders(images, masks, size=9)[1][0], deep()[:, 2:11])


@pytest.mark.parametrize("size", [5, 9, 20])
def test_a_mask_is_resized_without_new_numbers_and_in_step_with_its_picture(folders, size):
    images, masks = folders
    marked = np.zeros((40, 60), np.uint8)
    marked[8:30, 20:45] = 200
    Image.fromarray(np.repeat(marked[..., None], 3, axis=2)).save(images / "a.png")
    mask(masks, array=marked)
    pictures, truths, _ = image_and_mask_folders(images, masks, size=size)
    assert set(np.unique(truths)) == {0, 200}
    assert ((pictures[0, 0] > 0.39) == (truths[0] > 0)).mean() > 0.9


def test_a_photograph_on_its_side_fits_its_upright_mask(folders):
    images, masks = folders
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", SHAPE, (255, 0, 0)).save(images / "a.jpg", exif=exif)  # stored with its sides exchanged
    mask(masks)
    assert_array_equal(image_and_mask_folders(images, masks, size=9)[1][0], numbers()[:, 2:11])


# ------------------------------------------------------------------ faults


def test_folders_that_are_missing_or_empty(folders, tmp_path):
    images, masks = folders
    with pytest.raises(ValueError, match="images must be a folder, got '.*nowhere', which is not a folder"):
        image_and_mask_folders(tmp_path / "nowhere", masks, size=9)
    with pytest.raises(ValueError, match=r"images must hold files of the formats \.png, \.jpg.*, got '.*images', which has none"):
        image_and_mask_folders(images, masks, size=9)
    picture(images)
    with pytest.raises(ValueError, match=r"masks must hold files of the formats \.png, \.bmp.*, got '.*masks', which has none"):
        image_and_mask_folders(images, masks, size=9)


def test_a_picture_without_mask_and_a_mask_without_picture(folders):
    images, masks = folders
    picture(images)
    picture(images, "b.jpg")
    mask(masks)
    with pytest.raises(ValueError, match=r"b\.jpg' has no mask: '.*masks' holds no file named 'b'"):
        image_and_mask_folders(images, masks, size=9)
    mask(masks, "b.png")
    mask(masks, "c.png")
    with pytest.raises(ValueError, match=r"c\.png' has no picture: '.*images' holds no file named 'c'"):
        image_and_mask_folders(images, masks, size=9)


def test_a_mask_saved_as_jpeg_is_no_mask(folders):
    images, masks = folders
    picture(images)
    mask(masks, "a.jpg")
    with pytest.raises(ValueError, match=r"masks must hold files of the formats \.png"):
        image_and_mask_folders(images, masks, size=9)


def test_two_files_for_one_name(folders):
    images, masks = folders
    picture(images)
    picture(images, "a.png")
    mask(masks)
    with pytest.raises(ValueError, match=r"images must hold one file for each name, got 'a\.jpg' and 'a\.png'"):
        image_and_mask_folders(images, masks, size=9)


def test_a_mask_of_another_size(folders):
    images, masks = folders
    picture(images)
    mask(masks, array=numbers((13, 9)))
    with pytest.raises(ValueError, match=r"a\.png' must be as large as its picture, 9 × 13 px, got 13 × 9 px"):
        image_and_mask_folders(images, masks, size=9)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_a_mask_in_colour(folders, mode):
    images, masks = folders
    picture(images)
    Image.new(mode, SHAPE[::-1], 255).save(masks / "a.png")
    with pytest.raises(ValueError, match=rf"a\.png' must have one channel of whole numbers \(mode 1, L, .*\), got mode {mode}"):
        image_and_mask_folders(images, masks, size=9)


def test_a_mask_of_fractions(folders):
    images, masks = folders
    picture(images)
    tifffile.imwrite(masks / "a.tif", numbers().astype(np.float32))
    with pytest.raises(ValueError, match=r"a\.tif' must have one channel of whole numbers .*, got mode F"):
        image_and_mask_folders(images, masks, size=9)


def test_a_mask_that_marks_nothing(folders):
    images, masks = folders
    picture(images)
    mask(masks, array=np.zeros(SHAPE, np.uint8))
    with pytest.raises(ValueError, match=r"a\.png' must mark something, got 0 at every pixel"):
        image_and_mask_folders(images, masks, size=9)


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_damaged_mask_is_named(folders, kept):
    images, masks = folders
    picture(images, shape=(64, 64))
    mask(masks, array=numbers((64, 64), most=255))
    file = masks / "a.png"
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    with pytest.raises(ValueError, match=r"a\.png' cannot be read as a mask: "):
        image_and_mask_folders(images, masks, size=9)


def test_a_damaged_picture_is_named(folders):
    images, masks = folders
    (images / "a.jpg").write_bytes(b"no picture")
    mask(masks)
    with pytest.raises(ValueError, match=r"a\.jpg' cannot be read as a picture: "):
        image_and_mask_folders(images, masks, size=9)


@pytest.mark.parametrize("wrong", [0, 2.5, (9, 9), True])
def test_a_size_that_is_no_whole_number(folders, wrong):
    with pytest.raises(ValueError, match="size must be a whole number of at least 1"):
        image_and_mask_folders(*folders, size=wrong)
