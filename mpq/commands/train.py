"""``mpq train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpq.devices import device as device_here
from mpq.errors import UserError
from mpq.paths import user_path
from reports.printing import console_of, remark

train = typer.Typer(help="Train codecs, and a segmenter, on your own pictures.", no_args_is_help=True)


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


@train.command("segmentation")
def train_segmentation(
    data: Annotated[
        Path | None,
        typer.Option(help="A folder of pictures and masks, in a layout of mpq datasets.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command again goes on.")] = Path(
        "runs/segmenter"
    ),
    steps: Annotated[int, typer.Option(help="Batches.", min=1)] = 3000,
    batch: Annotated[int, typer.Option(help="Crops a step.", min=2)] = 4,
    width: Annotated[int, typer.Option(help="Channels of the head's coarse levels.", min=8)] = 128,
    learning_rate: Annotated[float, typer.Option(help="AdamW's, at its height.", min=1e-8)] = 2e-3,
    held_out: Annotated[
        float,
        typer.Option(help="Share that is chosen on, where the data has no part for that.", min=0.01, max=0.5),
    ] = 0.125,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.", min=1)] = 250,
    seed: Annotated[int, typer.Option(help="Of weights and crops.", min=0)] = 0,
    threads: Annotated[int | None, typer.Option(help="Of torch.", min=1, show_default=False)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
) -> None:
    """Train a segmenter's head on frozen EfficientNet-Lite0: it is then --model trained:OUT/weights.safetensors."""
    import torch

    from mpq.training.segmentation import Recipe, Run
    from reports.progress import bar

    if threads:
        torch.set_num_threads(threads)
    recipe = Recipe(
        data=str(user_path(data).resolve()) if data else "",
        steps=steps,
        batch=batch,
        width=width,
        learning_rate=learning_rate,
        held_out=held_out,
        every=every,
        seed=seed,
    )
    console = console_of(stderr=True)
    with console.status("reading pictures"):
        run = Run(recipe, user_path(out), device_here(device))
        run.resume()
    remark(*run.training.notes, *run.training.problems)
    try:
        with bar(console, str(out), "steps") as progress:
            progress.start(recipe.steps, run.step)
            for result in run.steps():
                progress.advance(result.step - progress.done)
                if result.miou is not None:
                    print(result.sentence, flush=True)
    except KeyboardInterrupt:
        remark("stopped; the same command goes on from the last checkpoint")
        raise typer.Exit(130) from None
    print(run.weights)


def _sizes(given: list[str]) -> dict[str, int | str]:
    sizes: dict[str, int | str] = {}
    for text in given:
        name, _, value = text.partition("=")
        number = int(value) if value.isdecimal() else None
        if not name or not value or number == 0:
            raise UserError(f"--size {text}: write NAME=VALUE, e.g. base=16")
        sizes[name] = value if number is None else number
    return sizes
