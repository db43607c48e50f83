"""What a page says of its columns: each of them once, in words."""

from __future__ import annotations

import numpy as np

from mpq.glossary import glossary_section
from mpq.summary import summarize
from tests.test_summary import _cell


def test_every_column_is_explained_once() -> None:
    some = np.array([100, 200, 300])
    groups = summarize([_cell("jpeg", 5, some, some > 100), _cell("none", 0, some, some > 0)], resamples=50)
    rows = {row["term"]: row for row in glossary_section([*groups, *groups]).table.rows}
    assert len(rows) == len(glossary_section(groups).table.rows)
    assert {"bpp", "top-1", "agree", "KL", "PSNR"} <= rows.keys()
    assert "SSIM" not in rows  # it was not measured
    assert rows["bpp"]["better"] == rows["KL"]["better"] == "lower" and rows["PSNR"]["better"] == "higher"
    assert rows["PSNR"]["what"].startswith("Peak signal-to-noise ratio")
