"""The options that say what a sweep is asked, for each command that takes a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpq.commands.options import names, weights_of

if TYPE_CHECKING:
    from mpq.plan import Plan

PlanFile = Annotated[Path | None, typer.Argument(help="A plan file (YAML); options override it.")]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="classification, segmentation, speech, separation or reid. [default: classification]",
        show_default=False,
    ),
]
Codecs = Annotated[
    list[str] | None,
    typer.Option("--codec", help="name, or name:key=a,b,c. Again for more.", show_default=False),
]
Data = Annotated[
    str | None,
    typer.Option("--data", help="A folder, or a data set's name (see mpq datasets).", show_default=False),
]
Labels = Annotated[
    str | None, typer.Option("--labels", help="Table of files and labels.", show_default=False)
]
NoLabels = Annotated[bool, typer.Option("--no-labels", help="Measure fidelity only.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="A model (see mpq models). Again for more.", show_default=False),
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", help="MODEL=FILE, CODEC=FILE, or the one model's FILE.", show_default=False),
]
Similarity = Annotated[
    str | None,
    typer.Option(
        "--similarity", help="Names (see mpq metrics), or none. [default: the task's]", show_default=False
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", help="Take this many samples, drawn.", show_default=False)
]
Seed = Annotated[int | None, typer.Option("--seed", help="Of the drawing. [default: 0]", show_default=False)]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Processes; 1 is this one. [default: one a core]", min=1, show_default=False
    ),
]
Device = Annotated[str, typer.Option("--device", help="Where models run: auto, cpu, cuda, mps.")]


def asked(
    plan: Path | None, task: str | None, weights: list[str] | None, similarity: str | None, **given: Any
) -> Plan:
    """The plan that a command's options make. given: other keys of a plan, None where nothing is said. Raises UserError."""
    from mpq.plan import DEMONSTRATION, Plan, plan_from, read_plan

    given |= {"task": task, "similarity": None if similarity is None else names(similarity)}
    given = {key: value for key, value in given.items() if value is not None}
    demonstration = plan is None and not given.keys() - {"out", "max_failures", "seed", "limit"}
    base = read_plan(plan) if plan else DEMONSTRATION if demonstration else Plan()
    if task not in (None, base.task):
        base = base.of(str(task))
    # What a plan's own weights were for may not be asked any more.
    models, codecs = given.get("model") or list(base.model), given.get("codec") or list(base.codec)
    kept = {spec: file for spec, file in base.weights.items() if spec in [*models, *codecs]}
    given["weights"] = kept | weights_of(weights or [], models, codecs)
    return plan_from(given, "command line", base)
