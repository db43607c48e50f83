"""The lists of what there is."""

from __future__ import annotations

from reid.catalogue import datasets_section
from reid.datasets.base import registry


def test_every_data_set_says_what_it_is_and_how_it_lies() -> None:
    section = datasets_section()
    assert [row["name"] for row in section.table.rows] == sorted(registry.entries)
    assert {
        "market1501",
        "dukemtmc-reid",
        "msmt17",
        "cuhk03",
        "occluded-duke",
        "occluded-reid",
        "p-duke",
    } < set(registry.entries)
    assert {"sysu-mm01", "regdb", "veri", "folder", "manifest", "demo"} < set(registry.entries)
    for row in section.table.rows:
        assert set(row) == {column.key for column in section.table.columns}
        assert all(row[key] for key in ("what", "layout", "counts", "source"))
