"""``mpq weights``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpq.errors import UserError
from mpq.paths import user_path
from reports.printing import show

weights = typer.Typer(help="The weights of codecs: which there are, and getting, checking, converting them.")


@weights.callback(invoke_without_command=True)
def weights_list(context: typer.Context) -> None:
    """The weights that codecs can have: what is here, and where the rest is."""
    if context.invoked_subcommand is None:
        from mpq.catalogue import weights_section

        show([weights_section()])


@weights.command("fetch")
def weights_fetch(
    codec: Annotated[list[str], typer.Argument(help="Codec settings, e.g. mbt2018:quality=1.")],
) -> None:
    """Download weights into torch.hub's cache, and check the hash in their names."""
    from mpq.weights.shelf import fetch

    for item in fetch(tuple(codec)):
        print(f"{item.codec.spec}: {item.path} ({item.licence})")


@weights.command("verify")
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


@weights.command("convert")
def weights_convert(
    file: Annotated[Path, typer.Argument(help="A published HiFiC or MS-ILLM checkpoint.")],
    out: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
) -> None:
    """Turn a checkpoint into safetensors: smaller, and nothing in it can run."""
    from mpq.weights.shelf import convert

    print(f"{out}: {convert(user_path(file), user_path(out))}")
