"""The command lines ``mpq`` and ``reid``: their commands put together, and how they end.

Heavy modules are imported inside the commands: ``--help`` must answer at once.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from mpq import __version__
from mpq.commands.bench import bench
from mpq.commands.catalogue import codecs, datasets, metrics, models
from mpq.commands.plan import plan
from mpq.commands.reproduce import reproduce
from mpq.commands.results import compare, correlate, merge, recommend, report
from mpq.commands.roundtrip import roundtrip
from mpq.commands.sweep import sweep
from mpq.commands.train import train
from mpq.commands.weights import weights
from mpq.errors import UserError
from reid.commands import reid as reid_app
from reports.printing import remark

mpq = typer.Typer(
    name="mpq",
    help="How hard can you compress before your model notices? Measured rates, measured scores, honest intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    sweep,
    plan,
    report,
    recommend,
    compare,
    correlate,
    merge,
    roundtrip,
    codecs,
    models,
    datasets,
    metrics,
    reproduce,
    bench,
):
    mpq.command()(command)
mpq.add_typer(train, name="train")
mpq.add_typer(weights, name="weights")


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
