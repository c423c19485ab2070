"""The reader's own boxes: a COCO file read as it is meant, and every fault of it named with file and field."""

import copy
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from attn_book.data.coco import coco_boxes

CONTENT = {
    "images": [
        {"id": 7, "file_name": "wide.png", "width": 40, "height": 20},
        {"id": 3, "file_name": "deep/high.png", "width": 10, "height": 30},
        {"id": 5, "file_name": "empty.png", "width": 20, "height": 20},
    ],
    "categories": [{"id": 90, "name": "zebra"}, {"id": 2, "name": "ape", "supercategory": "animal"}],
    "annotations": [
        {"id": 1, "image_id": 3, "category_id": 90, "bbox": [1, 2, 3, 4]},
        {"id": 2, "image_id": 7, "category_id": 2, "bbox": [4.5, 6, 8, 10], "segmentation": [[0, 0, 1, 0, 1, 1]], "iscrowd": 0},
        {"id": 3, "image_id": 7, "category_id": 90, "bbox": [0, 0, 40, 20], "iscrowd": 0},
    ],
}


@pytest.fixture
def own(tmp_path):
    """A function that writes a changed content and reads it with `coco_boxes`."""
    (tmp_path / "deep").mkdir()
    for image in CONTENT["images"]:
        picture = np.full((image["height"], image["width"], 3), 255, np.uint8)
        Image.fromarray(picture).save(tmp_path / image["file_name"])

    def read(change=lambda content: None, **options):
        content = copy.deepcopy(CONTENT)
        change(content)
        (tmp_path / "instances.json").write_text(json.dumps(content), encoding="utf-8")
        return coco_boxes(tmp_path / "instances.json", tmp_path, **{"size": 20} | options)

    read.folder = tmp_path
    return read


def test_boxes_go_along_with_their_pictures(own):
    images, labels, boxes, names = own()
    assert names == ["ape", "zebra"]  # ids 2 and 90
    assert images.shape == (3, 3, 20, 20) and images.dtype == np.float32
    assert_array_equal(labels, [[0, 1], [1, -1], [-1, -1]])
    assert_allclose(boxes[0], [[2.25, 3, 6.25, 8], [0, 0, 20, 10]])
    assert_allclose(boxes[1], [[2 / 3, 4 / 3, 8 / 3, 4], [0, 0, 0, 0]])
    assert boxes.dtype == np.float32 and labels.dtype == np.int64


def test_a_picture_keeps_its_aspect_and_the_rest_is_black(own):
    images, *_ = own()
    assert_allclose(images[0, :, :9], 1)
    assert_allclose(images[0, :, 11:], 0, atol=1e-3)
    assert_allclose(images[1, :, :, :6], 1, atol=1e-3)
    assert_allclose(images[1, :, :, 8:], 0, atol=1e-3)
    assert_allclose(images[2], 1)


def test_the_box_lies_on_what_it_was_drawn_around(own):
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[6:16, 4:12] = 255
    Image.fromarray(picture).save(own.folder / "wide.png")
    images, _, boxes, _ = own(lambda content: content["annotations"][1].update(bbox=[4, 6, 8, 10]), size=40)
    x0, y0, x1, y1 = boxes[0, 0].astype(int)
    assert images[0, :, y0:y1, x0:x1].min() > 0.9
    assert images[0].sum() == pytest.approx(3 * (x1 - x0) * (y1 - y0), rel=0.02)


def test_rounding_at_the_edge_is_cut_off(own):
    _, _, boxes, _ = own(lambda content: content["annotations"][2].update(bbox=[-0.4, -0.2, 40.8, 20.3]), size=40)
    assert_allclose(boxes[0, 1], [0, 0, 40, 20])


def test_no_annotation_at_all(own):
    _, labels, boxes, _ = own(lambda content: content.update(annotations=[]))
    assert labels.shape == (3, 0) and boxes.shape == (3, 0, 4)


@pytest.mark.parametrize("mark", [{"iscrowd": 1}, {"segmentation": {"counts": [3, 5], "size": [20, 40]}}])
def test_crowds_are_refused_or_left_out(own, mark):
    change = lambda content: content["annotations"][1].update(mark)
    with pytest.raises(ValueError) as raised:
        own(change)
    assert f"instances.json': annotations[1].{next(iter(mark))} marks a crowd" in str(raised.value)
    assert 'crowds="leave out"' in str(raised.value)
    _, labels, _, _ = own(change, crowds="leave out")
    assert_array_equal(labels, [[1], [1], [-1]])


def at(part, number, **changes):
    """Change an entry of a list; a value of None takes the field away."""

    def change(content):
        entry = content[part][number]
        entry.update(changes)
        for field in [field for field, value in entry.items() if value is None]:
            del entry[field]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.pop("images"), "instances.json': images is missing"),
        (lambda content: content.pop("annotations"), "annotations is missing"),
        (lambda content: content.update(categories={"2": "ape"}), "categories must be a list of objects"),
        (lambda content: content.update(annotations=[3]), "annotations must be a list of objects"),
        (
            lambda content: content.update(categories=[], annotations=[]),
            "images and categories must hold at least one entry each",
        ),
        (at("images", 1, id="x"), "images[1].id must be a whole number, got 'x'"),
        (at("images", 1, id=7), "images[1].id must differ from all others, got 7 twice"),
        (at("categories", 0, name=None), "categories[0].name must be text, got None"),
        (at("images", 0, file_name=3), "images[0].file_name must be text, got 3"),
        (at("images", 0, width=41), "images[0].width must be that of 'wide.png', 40 px, got 41"),
        (at("images", 1, height=None), "images[1].height must be that of 'deep/high.png', 30 px, got None"),
        (at("annotations", 0, image_id=8), "annotations[0].image_id must be an id of images, got 8"),
        (at("annotations", 0, image_id=[3]), "annotations[0].image_id must be an id of images, got [3]"),
        (at("annotations", 2, category_id=None), "annotations[2].category_id must be an id of categories, got None"),
        (at("annotations", 0, bbox=None), "annotations[0].bbox must be [x, y, width, height], four numbers, got None"),
        (at("annotations", 0, bbox=[1, 2, 3]), "annotations[0].bbox must be [x, y, width, height], four numbers, got [1, 2, 3]"),
        (at("annotations", 0, bbox=[1, 2, "3", 4]), "four numbers, got [1, 2, '3', 4]"),
        (at("annotations", 0, bbox=[1, 2, float("nan"), 4]), "four numbers, got [1, 2, nan, 4]"),
        (at("annotations", 0, bbox=[1, 2, 0, 4]), "annotations[0].bbox must have a width and a height above 0"),
        (at("annotations", 0, bbox=[1, 2, 3, -4]), "annotations[0].bbox must have a width and a height above 0"),
        (at("annotations", 0, bbox=[8, 2, 3, 4]), "annotations[0].bbox must lie in its picture of 10 × 30 px, got [8, 2, 3, 4]"),
        (at("annotations", 0, bbox=[1, -2, 3, 4]), "annotations[0].bbox must lie in its picture of 10 × 30 px"),
        (at("annotations", 0, bbox=[1, 27, 3, 4]), "annotations[0].bbox must lie in its picture of 10 × 30 px"),
    ],
)
def test_a_fault_is_named_with_file_and_field(own, change, words):
    with pytest.raises(ValueError) as raised:
        own(change)
    assert words in str(raised.value)
    assert "instances.json" in str(raised.value)


def test_files_that_are_missing_or_broken(own, tmp_path):
    (tmp_path / "empty.png").unlink()
    with pytest.raises(ValueError, match=r"empty\.png' cannot be read as a picture"):
        own()
    with pytest.raises(ValueError, match=r"annotations: '.*none\.json' cannot be read: No such file"):
        coco_boxes(tmp_path / "none.json", tmp_path, size=20)
    for text, words in [("{", "is not JSON: "), ("[1]", "must hold an object with images"), (b"\xff\xfe\xff", "is not JSON: ")]:
        path = tmp_path / "broken.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ValueError, match=words):
            coco_boxes(path, tmp_path, size=20)


def test_bad_arguments(own):
    with pytest.raises(ValueError, match="size must be a whole number of at least 1, got 0"):
        own(size=0)
    with pytest.raises(ValueError, match="crowds must be one of refuse, leave out; got 'keep'"):
        own(crowds="keep")
