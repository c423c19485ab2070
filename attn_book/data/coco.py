"""The reader's own pictures with boxes: a COCO JSON file and the folder that its pictures lie in."""

import json
import math
from numbers import Real
from pathlib import Path

import numpy as np

from attn_book.data.checks import check_choice, check_whole
from attn_book.data.material import crop_and_resize
from attn_book.data.own import read_picture


def coco_boxes(annotations, pictures, *, size, crowds="refuse"):
    """Pictures with their boxes and classes, from a COCO JSON file as label tools export it.

    A picture keeps its aspect: its longer side becomes `size`, and what is left of the square, on the right or below, is black.
    Boxes move along, in px of the square. Only `images` (id, file_name, width, height), `annotations` (image_id, category_id,
    bbox, iscrowd, segmentation) and `categories` (id, name) are looked at.

    Args:
        annotations: the JSON file.
        pictures: the folder that every `file_name` starts from.
        size: side of the square in px, at least 1.
        crowds: "refuse" raises for one outline around many objects (`iscrowd` of 1, or a run-length encoded `segmentation`, which COCO
            keeps for crowds): as a box it would be wrong. "leave out" reads the file without them.

    Returns:
        images (n, 3, size, size) float32 in [0, 1]; labels (n, K) int64, K the largest number of boxes in a picture, -1 where a
        picture has fewer; boxes (n, K, 4) float32 px, x0 y0 x1 y1, zeros there; and the names of the classes, in the order of their
        ids. Pictures come in the order of `images`; one without boxes is a picture with nothing on it.

    Raises:
        ValueError: a file that is missing or cannot be read, JSON that is broken or no COCO, an id that names nothing or two things, a
            size that is not the picture's, a box that is no box or leaves its picture by more than half a pixel, a crowd. The
            error names the file, the entry and the field.
    """
    size = check_whole("size", size, 1)
    check_choice("crowds", crowds, ("refuse", "leave out"))
    content = _Content(Path(annotations))
    names = content.by_id("categories", "name", str)
    files = content.by_id("images", "file_name", str)
    if not files or not names:
        raise content.error("images and categories", "must hold at least one entry each")
    order = {category: number for number, category in enumerate(sorted(names))}
    images, extents = [], {}
    for entry, image in enumerate(content.entries("images")):
        picture = read_picture(Path(pictures) / image["file_name"])
        height, width = extents[image["id"]] = picture.shape[:2]
        for field, true in (("width", width), ("height", height)):
            if image.get(field) != true:
                raise content.error(
                    f"images[{entry}].{field}", f"must be that of {image['file_name']!r}, {true} px, got {image.get(field)!r}"
                )
        side = max(height, width)
        square = np.pad(picture, ((0, side - height), (0, side - width), (0, 0)))
        images.append(crop_and_resize(square, size).transpose(2, 0, 1))

    found = {image: [] for image in files}
    for entry, annotation in enumerate(content.entries("annotations")):
        where = f"annotations[{entry}]"
        image = content.known(f"{where}.image_id", annotation.get("image_id"), files, "images")
        category = content.known(f"{where}.category_id", annotation.get("category_id"), names, "categories")
        if _is_crowd(content, where, annotation, crowds):
            continue
        box = _corners(content, f"{where}.bbox", annotation.get("bbox"), *extents[image])
        found[image].append((order[category], box * size / max(extents[image])))

    K = max(map(len, found.values()))
    labels, boxes = np.full((len(files), K), -1, np.int64), np.zeros((len(files), K, 4), np.float32)
    for row, objects in enumerate(found.values()):
        for k, (label, box) in enumerate(objects):
            labels[row, k], boxes[row, k] = label, box
    return np.stack(images), labels, boxes, [names[category] for category in order]


class _Content:
    """What a COCO file says; whatever is wrong in it becomes an error that names the file and the field."""

    def __init__(self, path):
        self.path = path
        try:
            self.content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"annotations: {str(path)!r} cannot be read: {error.strerror or error}") from error
        except ValueError as error:  # broken JSON, or no text
            raise ValueError(f"annotations: {str(path)!r} is not JSON: {error}") from error
        if not isinstance(self.content, dict):
            raise ValueError(f"annotations: {str(path)!r} must hold an object with images, annotations and categories")

    def error(self, field, problem):
        return ValueError(f"{str(self.path)!r}: {field} {problem}")

    def entries(self, name):
        """The list of that name, of objects."""
        entries = self.content.get(name)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self.error(name, "must be a list of objects" if name in self.content else "is missing")
        return entries

    def by_id(self, name, field, kind):
        """{id: what stands in a field} of a list, in its order."""
        found = {}
        for number, entry in enumerate(self.entries(name)):
            if not isinstance(entry.get("id"), int):
                raise self.error(f"{name}[{number}].id", f"must be a whole number, got {entry.get('id')!r}")
            if entry["id"] in found:
                raise self.error(f"{name}[{number}].id", f"must differ from all others, got {entry['id']} twice")
            if not isinstance(entry.get(field), kind):
                raise self.error(f"{name}[{number}].{field}", f"must be text, got {entry.get(field)!r}")
            found[entry["id"]] = entry[field]
        return found

    def known(self, field, got, ids, what):
        if not isinstance(got, int) or got not in ids:
            raise self.error(field, f"must be an id of {what}, got {got!r}")
        return got


def _is_crowd(content, where, annotation, crowds):
    """Whether an annotation is to be left out; an error where crowds are refused."""
    marks = {
        "iscrowd": annotation.get("iscrowd", 0) not in (0, False),
        "segmentation": isinstance(annotation.get("segmentation"), dict),
    }
    field = next((field for field, marked in marks.items() if marked), None)
    if field is not None and crowds == "refuse":
        how = "iscrowd is not 0" if field == "iscrowd" else "it is run-length encoded"
        raise content.error(
            f"{where}.{field}",
            f'marks a crowd ({how}), whose box is of no one object: crowds="leave out" reads the file without it',
        )
    return field is not None


def _corners(content, field, bbox, height, width):
    """[x, y, width, height] as corners, (4,), cut to the picture where it leaves it by rounding."""
    if (
        not isinstance(bbox, list)
        or len(bbox) != 4
        or not all(isinstance(number, Real) and not isinstance(number, bool) and math.isfinite(number) for number in bbox)
    ):
        raise content.error(field, f"must be [x, y, width, height], four numbers, got {bbox!r}")
    x, y, w, h = bbox
    if w <= 0 or h <= 0:
        raise content.error(field, f"must have a width and a height above 0, got {bbox!r}")
    if min(x, y) < -0.5 or x + w > width + 0.5 or y + h > height + 0.5:
        raise content.error(field, f"must lie in its picture of {width} × {height} px, got {bbox!r}")
    return np.clip([x, y, x + w, y + h], 0, [width, height] * 2)
