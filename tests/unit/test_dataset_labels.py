from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.evo.data.check import SEVERITIES
from workflow.evo.data.labels import parse_labels

GOOD = "0 0.5 0.5 0.25 0.25"


@pytest.mark.parametrize(
    ("row", "code", "place"),
    [
        ("0 0.5 0.5 0.25", "label_columns", "line 2: 4 columns"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3", "label_polygon", "line 2: 7 columns"),
        ("0 0.5 0.5 0.25 0.25 0.9", "label_polygon", "line 2: 6 columns"),
        ("cat 0.5 0.5 0.25 0.25", "label_not_a_number", "line 2: 'cat'"),
        ("0 0,5 0.5 0.25 0.25", "label_not_a_number", "line 2: '0,5'"),
        ("0 nan 0.5 0.25 0.25", "label_not_finite", "line 2: 0 nan 0.5 0.25 0.25"),
        ("0 0.5 0.5 inf 0.25", "label_not_finite", "line 2: 0 0.5 0.5 inf 0.25"),
        ("0.5 0.5 0.5 0.25 0.25", "label_class_fraction", "line 2: 0.5"),
        ("0 320 0.5 0.25 0.25", "label_pixels", "line 2: 320"),
        ("0 0.5 0.5 -0.25 0.25", "label_negative", "line 2: -0.25"),
        ("0 -0.5 0.5 0.25 0.25", "label_negative", "line 2: -0.5"),
        ("1 0.5 0.5 0 0.25", "label_zero_area", "line 2"),
        ("1 0.9 0.5 0.25 0.25", "label_leaves_image", "line 2: by 0.025"),
        (GOOD, "label_duplicate", "line 2"),
    ],
)
def test_a_bad_row_is_named_with_its_line(row, code, place):
    assert parse_labels(f"{GOOD}\n{row}\n".encode()).problems == {code: (1, place)}


def test_boxes_are_counted_by_class_each_once():
    labels = parse_labels(f"\ufeff{GOOD}\n\n{GOOD}\r\n3.0 .1 .1 .1 .1\n3 0.2 0.2 0.2 0.2".encode())
    assert labels.instances == {0: 1, 3: 2}
    assert labels.problems == {"label_duplicate": (1, "line 3")}


def test_rounding_beyond_the_edge_is_borne():
    assert parse_labels(b"0 0.5 0.5 1.0005 1").problems == {}


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_a_background_image(content):
    assert list(parse_labels(content).problems) == ["label_empty"]


def test_a_binary_file_is_no_label():
    assert list(parse_labels(b"\xff\xd8\xff").problems) == ["label_not_text"]


@given(st.binary(max_size=200) | st.text(alphabet="0123456789.-+einfa \n\x0c", max_size=200).map(str.encode))
def test_any_content_is_parsed_or_named_by_a_known_code(content):
    labels = parse_labels(content)
    assert labels.instances or labels.problems
    assert labels.problems.keys() <= SEVERITIES.keys()
