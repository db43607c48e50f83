"""``mpq roundtrip``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpq.commands.options import weights_of
from mpq.errors import UserError
from mpq.paths import user_path
from reports.printing import remark, show


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
    files = {spec: user_path(path) for spec, path in weights_of(weights or [], chosen, [codec]).items()}
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
