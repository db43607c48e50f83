"""The README is always true: its reference is the command line's, its table is what the command prints today."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import cli
from mpq.codecs.base import Bitstream
from mpq.registry import codecs
from mpq.samples import read_image
from reid.commands import reid

README = Path(__file__).parents[1] / "README.md"


def reference() -> str:
    """The command reference in Markdown, from the command line itself."""
    lines = []
    for app in (cli.mpq, reid):
        program = app.info.name
        for name, command in _commands(typer.main.get_command(app)):
            arguments = [p.name.upper() for p in command.params if p.param_type_name == "argument"]
            words = [
                f"[{a}]" if not p.required else a for a, p in zip(arguments, command.params, strict=False)
            ]
            lines.append(f"**`{' '.join([program, name, *words])}`** {' '.join(command.help.split())}\n")
            for p in command.params:
                if p.param_type_name == "option" and p.name != "help":
                    default = (
                        "" if p.default in (None, False, ()) or callable(p.default) else f" [{p.default}]"
                    )
                    names = "/".join([p.opts[0], *p.secondary_opts])
                    lines.append(f"- `{names}` {p.help}{default.replace('[True]', '[on]')}")
            lines.append("")
    return "\n".join(lines).strip()


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its full name; a group that does something by itself is one too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield f"{prefix}{name}", command
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _section(title: str) -> str:
    match = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README.read_text(), re.DOTALL | re.MULTILINE
    )
    assert match, title
    return match[1]


def test_the_command_reference_is_the_command_lines() -> None:
    assert _section("Commands").split("<!-- reference -->")[1].strip() == reference()


def test_the_table_is_what_its_command_prints(mpq: Callable, tmp_path: Path) -> None:
    text = _section("What it prints")
    (command,) = re.findall(r"^mpq sweep .*--markdown.*$", text, re.MULTILINE)
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 9
    printed = mpq(*shlex.split(command)[1:], "--out", tmp_path, "--workers", 2).out
    assert [line for line in printed.splitlines() if line.startswith("| ")] == table


def test_the_codec_in_one_file_is_a_codec(photographs: list[Path]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", _section("Adding a codec"), re.DOTALL)
    module = type(sys)("readme_codec")
    exec(compile(code, "README.md", "exec"), module.__dict__)
    (cls,) = [t for t in vars(module).values() if isinstance(t, type) and t.__module__ == "readme_codec"]
    sample = read_image(photographs[0].read_bytes())
    sent = cls().transmit(sample)
    assert isinstance(sent.bitstream, Bitstream)
    assert 0 < sent.bitstream.payload_bits <= sent.bitstream.bits < 24 * sample.width * sample.height
    assert cls.name not in codecs.entries


@pytest.mark.parametrize("whole", ["mpq", "reid", "reports"])
def test_the_architecture_names_every_folder_and_every_module_that_stands_alone(whole: str) -> None:
    text = _section("Architecture")
    start = text.index(f"\n    {whole}/")
    following = re.search(r"^ {4}\S+/", text[start + 6 :], re.MULTILINE)
    text = text[start : start + 6 + following.start()] if following else text[start:]
    for path in sorted((README.parent / whole).rglob("*.py")):
        folder = path.relative_to(README.parent / whole).parent
        if folder != Path():
            assert f" {folder.name}/" in text, folder
        elif whole != "reports" and path.name != "__init__.py":
            assert path.name in text, path.name
    for module in re.findall(r"([\w/]+\.py)", text):
        assert list((README.parent / whole).rglob(module)), f"there is no {module}"


def test_every_module_says_what_it_is_about() -> None:
    for whole in ("mpq", "reid", "reports"):
        for path in (README.parent / whole).rglob("*.py"):
            assert ast.get_docstring(ast.parse(path.read_text())), path


if __name__ == "__main__":
    print(reference())
