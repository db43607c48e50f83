"""A sweep's report and its recommendations: what they say of awkward points, and of names from outside."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console
from rich.text import Text

from mpq.report import recommendation_section, section
from mpq.summary import Group, summarize
from reports import terminal
from reports.content import Section
from reports.export import markdown, to_csv, to_json
from tests.test_summary import _cell

N = 20
NAMES = ["run [final].safetensors", "[/b]", "[red]", "a_b*c"]


def _group(after: Any, *, before: Any = None, times: float = 0.1, q: Any = 5, **more: Any) -> Group:
    """jpeg beside the originals. times: how many times the stored files its bitstreams are."""
    after = np.asarray(after)
    before, bits = np.ones(len(after)) if before is None else np.asarray(before), np.full(len(after), 1000)
    cells = [_cell("none", 0, bits, before), _cell("jpeg", q, (times * bits).astype(int), after, **more)]
    (group,) = summarize(cells, resamples=1000)
    return group


def _shown(one: Section) -> str:
    file = io.StringIO()
    terminal.show(one, Console(file=file, width=200))
    return file.getvalue()


# How large bitstreams are


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (0.1, "10.0 times smaller than the stored files"),
        (2.5, "2.5 times larger than the stored files"),
        (1.25, "1.2 times larger than the stored files"),
        (1.0, "as large as the stored files"),
        (1.04, "as large as the stored files"),
        (0.96, "as large as the stored files"),
    ],
)
def test_bitstreams_are_smaller_or_larger_than_the_stored_files(times: float, said: str) -> None:
    answer = section(_group(np.ones(N), times=times)).answer
    assert f", {said}. It is the cheapest" in answer
    assert answer.count("stored files") == 1


# Names


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [section, lambda group: recommendation_section(group, 1.0)])
def test_a_name_is_shown_as_it_is_and_stays_in_the_data(name: str, make: Any) -> None:
    made = make(_group(np.ones(N), q=name))
    assert _shown(made).count(f"q={name} ") >= 2  # in the answer, and in the table
    (row,) = [row for row in made.table.rows if row["codec"] == "jpeg"]
    assert f"q={name}" in [Text.from_markup(cell).plain.removeprefix("jpeg:") for cell in row.values()]
    assert f"q={name}" in [d["setting"] for d in json.loads(to_json([made]))[0]["points"]]
    assert f"q={name}" in [d["setting"] for d in csv.DictReader(io.StringIO(to_csv([made])))]
    for sign in "_*[":
        name = name.replace(sign, f"\\{sign}")
    assert f"q={name} |" in markdown([made])


# Recommendations


def _with_failures(errors: dict[int, str]) -> Section:
    return recommendation_section(_group(np.ones(N), errors=errors), 1.0)


def test_a_codec_that_failed_is_said_to_have_failed_and_why() -> None:
    made = _with_failures({3: "codec: no way", 4: "codec: no"})
    (row,) = made.table.rows
    assert row["setting"] == "failed"
    assert made.data[0]["why_not"] == "failed" and made.data[0]["setting"] is None
    assert "jpeg:q=5: 2 samples failed (codec: no way), so it has no score." in made.notes
    assert "No setting stays within" not in made.answer
    one = _with_failures({3: "codec: no way"})
    assert "jpeg:q=5: 1 sample failed (codec: no way), so it has no score." in one.notes
    whole = _with_failures(dict.fromkeys(range(N), "codec: no way"))
    assert whole.table.rows[0]["setting"] == "failed"


def test_a_codec_without_scores_is_said_to_have_none() -> None:
    bits = np.full(N, 100)
    identity, table = _cell("jpeg", 5, bits, np.ones(N))
    table = table.set_column(
        table.schema.get_field_index("top1"), table.schema.field("top1"), pa.nulls(N, pa.bool_())
    )
    webp = _cell("webp", 5, bits, np.zeros(N))
    (group,) = summarize([_cell("none", 0, 9 * bits, np.ones(N)), (identity, table), webp], resamples=50)
    made = recommendation_section(group, 1.0)
    settings = {row["codec"]: row["setting"] for row in made.table.rows}
    assert settings == {"jpeg": "not scored", "webp": "none loses at most 1 point"}
    assert made.answer == "No setting stays within 1 point of the original's top-1."


def test_every_line_of_recommendations_says_whose_it_is_and_what_changes() -> None:
    group = _group([*[0] * 2, *[1] * 18])
    made, whole = recommendation_section(group, 20.0), section(group)
    head = ("task", "view", "dataset", "model", "weights_sha256")
    assert tuple(made.data[0])[:5] == tuple(whole.data[1])[:5] == head
    assert [made.data[0][key] for key in head] == [whole.data[1][key] for key in head]
    assert made.data[0]["change"] == whole.data[1]["changes"]["top1"]["difference"]
    (row,) = csv.DictReader(io.StringIO(to_csv([made])))
    assert float(row["change.value"]) == pytest.approx(-0.1)
    assert float(row["change.low"]) < -0.1 < float(row["change.high"])
    (none,) = csv.DictReader(io.StringIO(to_csv([recommendation_section(group, 1.0)])))
    assert none.keys() == row.keys() and none["change.value"] == ""


# Few samples


def test_where_few_samples_cannot_tell_what_is_kept_that_is_said() -> None:
    answer = section(_group([1, 1, 0, 0], before=[1, 0, 0, 0])).answer
    assert answer.startswith("4 samples are too few to tell how much of top-1 jpeg:q=5 at ")
    assert "%)" not in answer and "It is the cheapest setting that loses at most 1 point; " in answer
    assert "keeps 100.0 % of top-1 (95 % interval " in section(_group(np.ones(N))).answer


def _colours(answers: list[int]) -> tuple[bool, float, bool]:
    """Whether a change is coloured, its p, and whether a note tells that the two differ."""
    made = section(_group(answers))
    change = made.data[1]["changes"]["top1"]
    told = any("Colour follows the interval" in note for note in made.notes)
    return "[red]" in made.table.rows[1]["change"], change["p"], told


def test_a_colour_that_p_does_not_bear_out_is_explained() -> None:
    coloured, p, told = _colours([0] * 4 + [1] * 16)  # 4 lost, none won: two in 16 coins fall so
    assert coloured and p == pytest.approx(2 / 16) and told
    coloured, p, told = _colours([0] * 10 + [1] * 10)
    assert coloured and p < 0.01 and not told
    coloured, p, told = _colours([1] * 20)
    assert not coloured and p == 1 and not told


def test_one_is_no_plural_in_a_report() -> None:
    made = section(_group([1, 1], errors={1: "source: broken"}))
    said = " ".join([made.title, made.answer, *made.notes])
    assert "1 of 2 samples could not be read and is in no score." in said
    assert "1 samples" not in said
