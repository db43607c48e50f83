"""What data sets call classes, and which output that is."""

from __future__ import annotations

import pytest

from mpq.models.classification.labels import imagenet_1k, named, unnamed


@pytest.mark.parametrize(
    ("label", "index"),
    [
        ("0", 0),
        ("999", 999),
        ("1000", None),
        ("-1", None),
        ("²", None),
        ("n01440764", 0),
        ("tench", 0),
        ("Tench, Tinca tinca", 0),
        ("n02012849", 134),  # crane, the bird
        ("n03126707", 517),  # crane, the machine
        ("crane", None),  # says neither
        ("nonsense", None),
        ("", None),
    ],
)
def test_imagenet_by_index_id_and_name(label: str, index: int | None) -> None:
    assert imagenet_1k().resolve(label) == index


def test_imagenet_has_a_thousand_titles() -> None:
    space = imagenet_1k()
    assert len(space) == 1000
    assert space.title(0) == "tench"


def test_a_name_that_is_a_number_is_a_name_first() -> None:
    assert named(["7", "3", "5"]).resolve("5") == 2


def test_classes_without_names_are_known_by_index() -> None:
    assert unnamed(10).resolve("9") == 9
    assert unnamed(10).resolve("10") is None
    assert unnamed(10).title(3) == "3"
