"""Codec specs: what is written is what is run, and what is wrong is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpq import registry
from mpq.codecs.base import Codec, parse_codec
from mpq.errors import UserError


def test_a_bare_name_stands_for_its_ladder() -> None:
    assert [codec.values["quality"] for codec in parse_codec("jpeg")] == [5, 10, 15, 25, 40, 60, 80]


def test_several_values_of_several_keys_are_every_combination() -> None:
    specs = [codec.spec for codec in parse_codec("jpeg:quality=5,20,subsampling=420,444")]
    assert specs == [
        "jpeg:quality=5,subsampling=420",
        "jpeg:quality=5,subsampling=444",
        "jpeg:quality=20,subsampling=420",
        "jpeg:quality=20,subsampling=444",
    ]


@given(st.lists(st.integers(1, 100), min_size=1, unique=True), st.sampled_from(["420", "422", "444"]))
def test_a_codec_is_parsed_back_from_its_spec(qualities: list[int], subsampling: str) -> None:
    text = "jpeg:quality=" + ",".join(map(str, qualities)) + f",subsampling={subsampling}"
    codecs = parse_codec(text)
    assert [c.values["quality"] for c in codecs] == qualities
    for codec in codecs:
        (again,) = parse_codec(codec.spec)
        assert again.identity == codec.identity


@given(st.text(max_size=30))
def test_any_text_is_a_codec_or_one_sentence(text: str) -> None:
    try:
        assert all(isinstance(codec, Codec) for codec in parse_codec(text))
    except UserError as error:
        assert str(error)


@given(st.text(alphabet="quality=,0159:-e.x ", max_size=25))
def test_any_options_are_settings_or_one_sentence(options: str) -> None:
    try:
        codecs = parse_codec(f"jpeg:{options}")
    except UserError as error:
        assert "jpeg" in str(error)
    else:
        assert all(1 <= float(c.values["quality"]) <= 100 for c in codecs)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("jpg", "did you mean 'jpeg'"),
        ("jpeg:qualty=5", "did you mean 'quality'"),
        ("jpeg:quality=0", "from 1 to 100, not '0'"),
        ("jpeg:quality=5.5", "whole number"),
        ("jpeg:quality=nan", "whole number"),
        ("jpeg2000:ratio=nan", "not 'nan'"),
        ("jpeg:subsampling=411", "one of 420, 422, 444"),
        ("jpeg:quality", "name:key=value"),
        ("jpeg:quality=", "name:key=value"),
        ("jpeg:5", "name:key=value"),
        ("jpeg:quality=5,quality=6", "twice"),
        ("jpeg:", "or the name alone"),
        ("jpeg:,,", "name:key=value"),
        ("jpeg:quality=5,,6", "name:key=value"),
        ("jpeg:quality=5_0", "whole number"),
        ("jpeg:quality=٥", "whole number"),
        ("jpeg:quality=1e1", "whole number"),
    ],
)
def test_a_wrong_word_is_named(spec: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        parse_codec(spec)


def test_every_ladder_is_made_of_allowed_settings() -> None:
    for name, cls in registry.codecs.entries.items():
        if cls.ladder:
            assert len(parse_codec(name)) == cls.ladder.count(",") + 1


def test_defaults_left_unsaid_change_nothing() -> None:
    short, long = parse_codec("webp:quality=80"), parse_codec("webp:method=4")
    assert short[0].identity == long[0].identity
