"""What several commands take, and what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mpq.errors import UserError
from mpq.paths import user_path

INCOMPLETE = 3
"""Exit status of a sweep that ended, but some of whose cells failed or whose codecs were not all at hand."""

Out = Annotated[Path | None, typer.Option("--out", help="Folder of the results.", show_default=False)]
MaxDrop = Annotated[float, typer.Option(help="Points (of SDR: dB) that may be lost.", min=0, max=100)]
MaxFailures = Annotated[
    float | None,
    typer.Option(
        help="Share of samples that may fail before a cell does. [default: the run's]",
        min=0,
        max=1,
        show_default=False,
    ),
]


def names(text: str) -> list[str]:
    return [] if text == "none" else [name.strip() for name in text.split(",") if name.strip()]


def numbers(text: str, option: str) -> list[int]:
    """``1,16,256``. Raises UserError."""
    try:
        found = [int(number) for number in text.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1:
        raise UserError(f"{option} is numbers such as 1,16,256, not '{text}'")
    return found


def weights_of(given: list[str], models: list[str], codecs: list[str]) -> dict[str, str]:
    """SPEC=FILE, where specs may have equals signs themselves; FILE alone is the one model's, or else codec's."""
    weights = {}
    for text in given:
        named = [spec for spec in [*models, *codecs] if text.startswith(f"{spec}=")]
        others = models or codecs
        if not named and len(others) != 1:
            raise UserError(f"--weights {text}: write SPEC=FILE for one of {', '.join([*models, *codecs])}")
        if not named and "=" in text and not user_path(text).exists():
            raise UserError(
                f"--weights {text}: no file is called so, and no model or codec that is asked: "
                f"{', '.join([*models, *codecs])}"
            )
        spec = max(named, key=len) if named else others[0]
        weights[spec] = text.removeprefix(f"{spec}=")
    return weights


def allowed_failures(max_failures: float | None, store: Any) -> float:
    """The share that may fail: what the user says, else what each cell's last command said, the least of all."""
    if max_failures is not None:
        return max_failures
    from mpq.plan import Plan

    said: dict[str, float] = {}
    for content in store.read_invocations():
        share = content["plan"].get("max_failures", Plan.max_failures)
        said |= dict.fromkeys(content.get("cells", [""]), share)
    return min(said.values(), default=Plan.max_failures)
