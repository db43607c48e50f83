"""The command lines ``mpq`` and ``reid``: they parse, call and print.

Heavy modules are imported inside the commands: ``--help`` must answer at once.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mpq import __version__
from mpq.devices import device as device_here
from mpq.errors import UserError
from mpq.paths import user_path
from reid.commands import reid as reid_app
from reports.printing import AsCsv, AsJson, AsLatex, AsMarkdown, console_of, form_of, remark, show

mpq = typer.Typer(
    name="mpq",
    help="How hard can you compress before your model notices? Measured rates, measured scores, honest intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train = typer.Typer(help="Train codecs on your own pictures.", no_args_is_help=True)
weights_app = typer.Typer(
    help="The weights of codecs: which there are, and getting, checking, converting them."
)
mpq.add_typer(train, name="train")
mpq.add_typer(weights_app, name="weights")

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


def _version(value: bool) -> None:
    if value:
        typer.echo(f"mpq {__version__}")
        raise typer.Exit


@mpq.callback()
def _mpq(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of mistakes, too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


@mpq.command()
def sweep(
    plan: Annotated[Path | None, typer.Argument(help="A plan file (YAML); options override it.")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="classification, segmentation, speech, separation or reid. [default: classification]",
            show_default=False,
        ),
    ] = None,
    codec: Annotated[
        list[str] | None, typer.Option(help="name, or name:key=a,b,c. Again for more.", show_default=False)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="A folder, or a data set's name (see mpq datasets).", show_default=False),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Table of files and labels.", show_default=False)] = None,
    no_labels: Annotated[bool, typer.Option("--no-labels", help="Measure fidelity only.")] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model (see mpq models). Again for more.", show_default=False),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=FILE, CODEC=FILE, or the one model's FILE.", show_default=False),
    ] = None,
    similarity: Annotated[
        str | None,
        typer.Option(help="Names (see mpq metrics), or none. [default: the task's]", show_default=False),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Take this many samples, drawn.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the drawing. [default: 0]", show_default=False)] = None,
    max_failures: Annotated[
        float | None,
        typer.Option(
            help="Share of samples that may fail before a cell does. [default: 0.01]", show_default=False
        ),
    ] = None,
    out: Out = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes; 1 is this one. [default: one a core]", min=1, show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda, mps.")] = "auto",
    retry: Annotated[bool, typer.Option("--retry", help="Make cells that failed anew.")] = False,
    max_drop: MaxDrop = 1.0,
    print_plan: Annotated[
        bool, typer.Option("--print-plan", help="Print the plan as YAML and stop.")
    ] = False,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """Measure scores of models on what codecs left, against rate.

    Alone: the demonstration. The same command again goes on where it was stopped.
    """
    from mpq.plan import DEMONSTRATION, Plan, plan_from, read_plan, to_yaml

    given: dict[str, Any] = {
        "task": task,
        "codec": codec,
        "data": data,
        "labels": labels,
        "no_labels": no_labels or None,
        "model": model,
        "similarity": None if similarity is None else _names(similarity),
        "limit": limit,
        "seed": seed,
        "max_failures": max_failures,
        "out": str(out) if out else None,
    }
    given = {key: value for key, value in given.items() if value is not None}
    demonstration = plan is None and not given.keys() - {"out", "max_failures", "seed", "limit"}
    base = read_plan(plan) if plan else DEMONSTRATION if demonstration else Plan()
    if task not in (None, base.task):
        base = base.of(task)
    # What a plan's own weights were for may not be asked any more.
    models, codecs = given.get("model") or list(base.model), given.get("codec") or list(base.codec)
    kept = {spec: file for spec, file in base.weights.items() if spec in [*models, *codecs]}
    given["weights"] = kept | _weights(weights or [], models, codecs)
    asked = plan_from(given, "command line", base)
    form = form_of(json, csv, markdown, latex)
    if print_plan:
        typer.echo(to_yaml(asked), nl=False)
        return
    _run_sweep(asked, workers, device, retry, max_drop, form)


def _run_sweep(
    plan: Any, workers: int | None, device: str, retry: bool, max_drop: float, form: str | None
) -> None:
    from mpq import engine
    from mpq.codecs.learned import is_learned

    if workers != 1:
        learned = any(is_learned(spec) for spec in plan.codec)
        engine.warm_up(["torch", "timm", "mpq.sweep", *(["mpq.networks.coders"] if learned else [])])
    from mpq.environment import command, environment
    from mpq.store import Store
    from mpq.sweep import Sweep
    from reports.progress import bar

    console = console_of(stderr=True)
    with console.status("reading data and models"):
        made = Sweep.prepare(plan, device_here(device))
        store = Store(plan.folder)
        if retry:
            store.forget(made.failed(store))
    remark(*made.notes, *made.lacking, *made.dataset.problems)
    store.write_invocation(
        {
            "command": command(),
            "plan": made.described,
            "cells": sorted(made.hashes),
            "environment": environment(),
        }
    )
    try:
        with bar(console, plan.folder.as_posix(), "codings") as progress:
            made.run(
                store,
                workers=workers,
                started=lambda total, done: progress.start(total, done, made.block_size),
                advanced=progress.advance,
            )
    except KeyboardInterrupt:
        remark("stopped; what was finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    sections, status = _sections(store, made.hashes, max_drop, plan.max_failures)
    show(sections, form)
    unreadable = made.unreadable(store)
    remark(*unreadable)
    if form is None and console_of().is_terminal:
        console_of().print(f"\n[dim]mpq report {plan.folder} shows this again.[/dim]")
    if unusable := len(made.dataset.problems) + len(unreadable):
        raise UserError(f"{unusable} of the samples of '{plan.data}' could not be used, as said above")
    if status or made.lacking:
        raise typer.Exit(status or INCOMPLETE)


@mpq.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    max_drop: MaxDrop = 1.0,
    max_failures: MaxFailures = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
    svg: Annotated[
        Path | None, typer.Option(help="Also draw the report into this SVG file.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Also write it as one page, which needs nothing else.", show_default=False),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Also write its figures, SVG and PDF, into this folder.", show_default=False),
    ] = None,
) -> None:
    """Show a run's results from disk."""
    from mpq.store import Store

    store = Store(user_path(run), create=False)
    sections, _ = _sections(store, None, max_drop, _allowed(max_failures, store))
    if svg is not None:
        from reports.export import to_svg
        from reports.files import write

        write(user_path(svg), to_svg(sections).encode())
    if html is not None:
        from reports import html as page

        page.write(user_path(html), sections[0].title.partition(" · ")[0], sections, how=_how(store))
    if figures is not None:
        from reports.figures import save_all

        remark(*(str(file) for file in save_all(sections, user_path(figures))))
    show(sections, form_of(json, csv, markdown, latex))


@mpq.command()
def recommend(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    max_drop: MaxDrop = 1.0,
    max_failures: MaxFailures = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """The cheapest setting of each codec whose score loss is small enough, with its confidence."""
    from mpq.report import recommendation_section
    from mpq.store import Store
    from mpq.summary import summarize

    store = Store(user_path(run), create=False)
    groups, allowed = summarize(store.read(), drops=(max_drop,)), _allowed(max_failures, store)
    show(
        [recommendation_section(group, max_drop, allowed) for group in groups],
        form_of(json, csv, markdown, latex),
    )


@mpq.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders.")],
    reference: Annotated[str, typer.Option(help="The codec that the others are held against.")],
    max_drop: MaxDrop = 1.0,
    max_failures: MaxFailures = None,
    json: AsJson = False,
    csv: AsCsv = False,
    markdown: AsMarkdown = False,
    latex: AsLatex = False,
) -> None:
    """How many bits each codec needs at equal score (BD-rate), and what it scores at equal bits, with intervals."""
    from mpq.comparison.report import comparison_sections
    from mpq.summary import summarize

    cells, allowed = _cells(runs, max_failures)
    groups = summarize(cells, drops=(max_drop,))
    sections = comparison_sections(groups, reference, max_drop=max_drop, max_failures=allowed)
    show(sections, form_of(json, csv, markdown, latex))


@mpq.command()
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders.")],
    out: Annotated[Path, typer.Option(help="Folder of the whole; it may be a run already.")],
) -> None:
    """Put several runs, of several machines say, into one. The same cell is taken once."""
    from mpq.store import Store

    sources = [Store(user_path(run), create=False) for run in runs]
    target = Store(user_path(out))
    for run, source in zip(runs, sources, strict=True):
        taken = target.take(source)
        more = f", {taken.parts} parts of unfinished cells" if taken.parts else ""
        remark(f"{run}: {taken.cells} cells taken, {taken.known} known already{more}")
    typer.echo(f"{out}: {len(target.finished())} cells; mpq report {out} shows them.")


@mpq.command()
def roundtrip(
    file: Annotated[Path, typer.Argument(help="A picture, or a sound.")],
    codec: Annotated[
        str, typer.Option(help="A codec at one setting, e.g. jpeg:quality=10 or opus:bitrate=6000.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the bitstream and what was decoded from it.")
    ] = Path(),
    model: Annotated[
        str | None,
        typer.Option(
            help="Asked before and after; 'none' asks nobody. [default: efficientnet-lite0 about a picture; none about a "
            "sound, but e.g. whisper:tiny.en]",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="The model's FILE, or CODEC=FILE.", show_default=False),
    ] = None,
) -> None:
    """One file through one codec: bitstream, decoded picture or sound, bits, similarity, time, answers before and after."""
    from mpq.codecs.base import ready_codecs
    from mpq.models.base import load_model
    from mpq.report import roundtrip_section
    from mpq.roundtrip import roundtrip as run

    chosen = [] if model == "none" else [model or "efficientnet-lite0"]
    files = {spec: user_path(path) for spec, path in _weights(weights or [], chosen, [codec]).items()}
    asked = ready_codecs([codec], {s: path for s, path in files.items() if s == codec})
    if len(asked.codecs) + len(asked.lacking) != 1:
        raise UserError(
            f"'{codec}' is {len(asked.codecs) + len(asked.lacking)} settings; roundtrip takes one, e.g. {asked.codecs[0].spec}"
        )
    remark(*asked.notes)
    takes = asked.codecs[0].takes
    if "image" not in takes or ("audio" in takes and not _is_picture(file)):
        from mpq.roundtrip_audio import audio_roundtrip_section, roundtrip_audio

        recogniser = None if model in (None, "none") else load_model("speech", model, files.get(model))
        show([audio_roundtrip_section(roundtrip_audio(file, asked.codecs[0], out, recogniser))])
        return
    classifier = load_model("classification", chosen[0], files.get(chosen[0])) if chosen else None
    show([roundtrip_section(run(file, asked.codecs[0], classifier, out))])


@mpq.command()
def codecs() -> None:
    """The codecs: their parameters, default ladders, and whether they run here."""
    from mpq.catalogue import codecs_section

    show([codecs_section()])


@mpq.command()
def models() -> None:
    """The models, and whether they run here."""
    from mpq.catalogue import models_section

    show([models_section()])


@mpq.command()
def datasets() -> None:
    """The data sets and layouts, and whether they can be read here."""
    from mpq.catalogue import datasets_section

    show([datasets_section()])


@mpq.command()
def metrics() -> None:
    """The scores and similarities, with their units, and the fields of a result's rows."""
    from mpq.catalogue import metrics_sections

    show(metrics_sections())


@mpq.command()
def bench(
    data: Annotated[str, typer.Option(help="A folder or a data set's name.")] = "embedded",
    model: Annotated[
        list[str] | None, typer.Option(help="Models. [default: lite0 and lite2]", show_default=False)
    ] = None,
    codec: Annotated[
        str, typer.Option(help="Settings for the sweep; or a zoo codec, timed beside CompressAI.")
    ] = "jpeg:quality=5,20,50,80",
    samples: Annotated[
        int | None,
        typer.Option(
            help="Samples; the data set is repeated to fill them. [default: 96; 16 for a zoo codec]",
            min=1,
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes; 1 is this one. [default: one a core]", min=1, show_default=False),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Of which the median counts.", min=1)] = 3,
    json: AsJson = False,
) -> None:
    """Time this sweep, a plain loop and the models alone, side by side, as ratios; or a learned codec's coding."""
    from mpq.benchmarks.report import bench_section, coding_section
    from mpq.codecs.zoo import ZooCodec
    from mpq.registry import codecs as registry

    form = "json" if json else None
    if issubclass(registry.get(codec.partition(":")[0]), ZooCodec):
        from mpq.benchmarks.coding import coding_bench

        show([coding_section(coding_bench(codec, data, samples or 16, rounds))], form)
    else:
        from mpq.benchmarks.sweep import bench as run

        asked = tuple(model or ("efficientnet-lite0", "efficientnet-lite2"))
        show([bench_section(run(data, asked, codec, samples or 96, workers, rounds))], form)


@train.command("codec")
def train_codec(
    data: Annotated[list[Path], typer.Option(help="A folder of pictures. Again for more.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command again goes on.")],
    arch: Annotated[str, typer.Option(help="mean-scale-hyperprior or hific.")] = "mean-scale-hyperprior",
    rate: Annotated[
        float | None, typer.Option(help="Bits per pixel to aim at.", min=0.001, show_default=False)
    ] = None,
    rate_weight: Annotated[
        float,
        typer.Option("--lambda", help="Weight of the rate; where --rate is given, its start.", min=1e-6),
    ] = 2.0,
    steps: Annotated[int, typer.Option(help="Of rate and distortion.", min=0)] = 20_000,
    adversarial_steps: Annotated[
        int, typer.Option(help="And then against a discriminator (hific).", min=0)
    ] = 0,
    batch: Annotated[int, typer.Option(help="Crops a step.", min=1)] = 8,
    crop: Annotated[int, typer.Option(help="Their side, a multiple of 64.", min=64)] = 128,
    learning_rate: Annotated[float, typer.Option(help="Adam's, at its height.", min=1e-8)] = 4e-4,
    perceptual: Annotated[str, typer.Option(help="hific's: st-lpips, lpips or none.")] = "st-lpips",
    perceptual_crops: Annotated[
        int, typer.Option(help="Crops of a batch that it sees: it is slow.", min=1)
    ] = 8,
    perceptual_weight: Annotated[float, typer.Option(help="Its weight, beside MSE's.", min=0)] = 1.0,
    size: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, of the architecture. Again for more.", show_default=False),
    ] = None,
    initial: Annotated[
        Path | None, typer.Option("--from", help="Weights to start from.", show_default=False)
    ] = None,
    held_out: Annotated[int, typer.Option(help="Pictures for progress that no step sees.", min=1)] = 16,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.", min=1)] = 500,
    seed: Annotated[int, typer.Option(help="Of weights, crops and noise.", min=0)] = 0,
    threads: Annotated[int | None, typer.Option(help="Of torch.", min=1, show_default=False)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
) -> None:
    """Train a codec: OUT/weights.safetensors is then --codec trained:weights=OUT/weights.safetensors."""
    import torch

    from mpq.training.codec import Recipe, Run
    from reports.progress import bar

    if threads:
        torch.set_num_threads(threads)
    recipe = Recipe(
        architecture=arch,
        data=tuple(str(user_path(folder).resolve()) for folder in data),
        rate=rate,
        rate_weight=rate_weight,
        steps=steps,
        adversarial_steps=adversarial_steps,
        batch=batch,
        crop=crop,
        learning_rate=learning_rate,
        perceptual=perceptual,
        perceptual_crops=perceptual_crops,
        perceptual_weight=perceptual_weight,
        held_out=held_out,
        every=every,
        seed=seed,
        sizes=_sizes(size or []),
        initial=str(user_path(initial)) if initial else None,
    )
    console = console_of(stderr=True)
    with console.status("reading pictures"):
        run = Run(recipe, user_path(out), device_here(device))
        run.resume()
    if unusable := len(run.pictures.unusable):
        remark(f"{unusable} files are broken or smaller than {crop} × {crop}, and left out")
    try:
        with bar(console, str(out), "steps") as progress:
            progress.start(recipe.total, run.step)
            for result in run.steps():
                progress.advance(result.step - progress.done)
                if result.held_out_rate is not None:
                    print(result.sentence, flush=True)
    except KeyboardInterrupt:
        remark("stopped; the same command goes on from the last checkpoint")
        raise typer.Exit(130) from None
    print(run.weights)


@train.command("card")
def train_card(
    file: Annotated[Path, typer.Argument(help="Weights that mpq train codec wrote.")],
    data: Annotated[Path, typer.Option(help="A folder of pictures that training did not see.")],
    limit: Annotated[
        int | None, typer.Option(help="The first so many pictures.", min=1, show_default=False)
    ] = None,
) -> None:
    """Measure trained weights on real bitstreams, beside JPEG and WebP at equal rate, and print their card."""
    from mpq.training.card import markdown, measure

    print(markdown(measure(user_path(file), user_path(data), limit)), end="")


@weights_app.callback(invoke_without_command=True)
def weights_list(context: typer.Context) -> None:
    """The weights that codecs can have: what is here, and where the rest is."""
    if context.invoked_subcommand is None:
        from mpq.catalogue import weights_section

        show([weights_section()])


@weights_app.command("fetch")
def weights_fetch(
    codec: Annotated[list[str], typer.Argument(help="Codec settings, e.g. mbt2018:quality=1.")],
) -> None:
    """Download weights into torch.hub's cache, and check the hash in their names."""
    from mpq.weights.shelf import fetch

    for item in fetch(tuple(codec)):
        print(f"{item.codec.spec}: {item.path} ({item.licence})")


@weights_app.command("verify")
def weights_verify(
    codec: Annotated[list[str] | None, typer.Argument(help="Codec settings; all that are here.")] = None,
) -> None:
    """Check that weights are what their names say, and load."""
    from mpq.weights.shelf import verify

    results = verify(tuple(codec or ()))
    for item, wrong in results:
        print(f"{item.codec.spec}: {wrong or 'good'}")
    if bad := sum(bool(wrong) for _, wrong in results):
        raise UserError(f"{bad} of {len(results)} files are not as they should be")


@weights_app.command("convert")
def weights_convert(
    file: Annotated[Path, typer.Argument(help="A published HiFiC or MS-ILLM checkpoint.")],
    out: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
) -> None:
    """Turn a checkpoint into safetensors: smaller, and nothing in it can run."""
    from mpq.weights.shelf import convert

    print(f"{out}: {convert(user_path(file), user_path(out))}")


def _is_picture(file: Path) -> bool:
    """Whether it is to be read as a picture: so also where it cannot be read at all."""
    from mpq.samples import SampleError, open_image

    try:
        open_image(file.read_bytes())
    except SampleError:
        return False
    except OSError:
        return True
    return True


def _sections(
    store: Any, only: set[str] | None, max_drop: float, max_failures: float
) -> tuple[list[Any], int]:
    """The report's sections and the exit status that the cells deserve."""
    from mpq.report import section
    from mpq.summary import summarize

    groups = summarize(store.read(only), drops=(max_drop,))
    failed = any(point.too_many_failures(max_failures) for group in groups for point in group.points)
    sections = [section(group, max_drop=max_drop, max_failures=max_failures) for group in groups]
    return sections, INCOMPLETE if failed else 0


def _how(store: Any) -> dict[str, str]:
    """What the run's last command was made with, for a page."""
    from mpq.environment import in_words

    made = store.read_invocations()[-1:]
    return in_words(made[0]["command"], made[0]["environment"]) if made else {}


def _allowed(max_failures: float | None, store: Any) -> float:
    """The share that may fail: what the user says, else what the run's last command said."""
    recorded = [content["plan"]["max_failures"] for content in store.read_invocations()]
    return max_failures if max_failures is not None else recorded[-1] if recorded else 0.01


def _cells(runs: list[Path], max_failures: float | None) -> tuple[list[Any], float]:
    """The finished cells of several runs, and the share that may fail: what the last run said, unless told."""
    from mpq.store import Store

    stores = [Store(user_path(run), create=False) for run in runs]
    return [cell for store in stores for cell in store.read()], _allowed(max_failures, stores[-1])


def _names(text: str) -> list[str]:
    return [] if text == "none" else [name.strip() for name in text.split(",") if name.strip()]


def _weights(given: list[str], models: list[str], codecs: list[str]) -> dict[str, str]:
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


def _sizes(given: list[str]) -> dict[str, int | str]:
    sizes: dict[str, int | str] = {}
    for text in given:
        name, _, value = text.partition("=")
        number = int(value) if value.isdecimal() else None
        if not name or not value or number == 0:
            raise UserError(f"--size {text}: write NAME=VALUE, e.g. base=16")
        sizes[name] = value if number is None else number
    return sizes


def mpq_main() -> None:
    _main(mpq)


def reid_main() -> None:
    _main(reid_app)


def _main(app: typer.Typer) -> None:
    """Runs a command line. A user's mistake is one sentence and exit status 2; a bug is a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal shows what it can
    try:
        status = app(standalone_mode=False)
    except UserError as error:
        if "--debug" in sys.argv:
            raise
        _complain(app, str(error))
    except Exception as error:
        # Typer's own mistakes (a wrong word, a missing value) know how to describe themselves.
        if not hasattr(error, "format_message") or "--debug" in sys.argv:
            raise
        if message := error.format_message():
            _complain(app, message)
        sys.exit(2)  # no words at all: the help has been shown
    else:
        sys.exit(status or 0)


def _complain(app: typer.Typer, sentence: str) -> None:
    remark(f"{app.info.name}: {sentence}")
    sys.exit(2)


if __name__ == "__main__":
    mpq_main()
