"""A training run's checkpoint: whole or not there, and taken up only by the recipe and pictures that it began with."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mpq.errors import UserError, first_line
from mpq.weights.sources import read_checkpoint


def write(path: Path, recipe: Any, pictures: str, held: dict[str, Any]) -> None:
    """Beside the checkpoint, then in its place: a kill leaves the one or the other whole. Raises UserError.

    recipe: a dataclass. pictures: a digest of which there are. held: all that the run goes on from.
    """
    beside = path.with_name(f"{path.name}.writing{os.getpid()}")
    try:
        torch.save({"recipe": _plain(recipe), "pictures": pictures, **held}, beside)
        beside.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
        raise UserError(f"'{path}' cannot be written: {first_line(error)}") from None


def read(path: Path, recipe: Any, pictures: str, names: set[str], command: str) -> dict[str, Any] | None:
    """What ``write`` was given; None where there is no checkpoint. Raises UserError where it is another run's.

    names: of what must be held. command: that writes such.
    """
    if not path.exists():
        return None
    saved = read_checkpoint(path)
    if not {"recipe", "pictures", *names} <= saved.keys():
        raise UserError(f"{path} is no checkpoint of {command}")
    mine, other = _plain(recipe), saved["recipe"]
    unlike = sorted(k for k in mine if mine[k] != other.get(k))
    if unlike:
        raise UserError(
            f"'{path.parent}' holds a run with another {unlike[0]} ({other.get(unlike[0])}, not {mine[unlike[0]]}); "
            "choose another --out"
        )
    if saved["pictures"] != pictures:
        raise UserError(f"the pictures are not those that '{path.parent}' began with; choose another --out")
    return saved


def _plain(recipe: Any) -> dict[str, Any]:
    """As JSON has it: without tuples."""
    return json.loads(json.dumps(asdict(recipe)))
