"""Sentences on a dataset: the findings of its check."""

from __future__ import annotations

from .sentence import says

SENTENCES = {
    "image_unreadable": says("images do not open completely: replace them or take them out"),
    "image_too_small": says("images have an edge below %(pixels)s pixels: take them out"),
    "image_shared": says("images are in more than one split: keep each in one split only"),
    "label_unreadable": says("label files cannot be read"),
    "label_not_text": says("label files are not text in UTF-8"),
    "label_columns": says("label rows have fewer than 5 columns: class x_center y_center width height"),
    "label_polygon": says(
        "label rows have more than 5 columns, segmentation polygons or keypoints: convert to boxes (class x y w h)"
    ),
    "label_not_a_number": says("label rows hold something that is not a number"),
    "label_not_finite": says("label rows hold NaN or infinity"),
    "label_class_fraction": says("class ids are not whole numbers"),
    "label_class_range": says("class ids must be 0 to %(last)s: 'names' has %(number)s classes"),
    "label_pixels": says("coordinates above 1 look like pixels: divide by the image's width and height"),
    "label_negative": says("coordinates or sizes are negative: they are fractions of the image, from 0 to 1"),
    "split_empty": says("a split has no images: put images there, or correct its path"),
    "split_without_box": says(
        "a split has no box at all: label its images (labels are expected under /labels/ for /images/)"
    ),
    "label_zero_area": says("boxes have no area"),
    "label_leaves_image": says("boxes leave the image"),
    "label_duplicate": says("label rows are repeated; each box counts once"),
    "label_missing": says("images have no label file and count as background"),
    "label_orphan": says("label files have no image"),
    "image_twice": says("images have the same content as another one of their split"),
    "image_listed_twice": says("images are listed more than once and used once"),
    "class_untrained": says("classes have no training instance"),
    "class_absent_in_val": says("classes do not occur in val: their accuracy cannot be measured"),
    "class_name_twice": says("several classes share a name: %(names)s", names="listed"),
    "label_empty": says("label files are empty: background images"),
    "download_ignored": says("the 'download' key is ignored: nothing is fetched or run"),
}
