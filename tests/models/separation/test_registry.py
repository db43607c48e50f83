"""What separators there are, whether or not their packages are installed."""

from __future__ import annotations

import pytest

from mpq import registry
from mpq.errors import UserError
from mpq.models.base import load_model
from mpq.models.separation import demucs
from mpq.weights import sources


def test_there_are_three() -> None:
    found = registry.models("separation").entries
    assert {"hdemucs", "hdemucs-plus", "demucs"} <= set(found)
    assert "test tracks as well" in found["hdemucs-plus"].summary  # whoever scores MUSDB18 must be told


def test_a_machine_without_the_package_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demucs, "locate", lambda package, file: sources.locate("no_such_package", file))
    with pytest.raises(
        UserError, match="demucs:htdemucs needs the package 'demucs' from 4.1 on: pip install"
    ):
        load_model("separation", "demucs:htdemucs")
    assert "pip install" in (demucs.Demucs.unavailable() or "")
