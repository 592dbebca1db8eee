"""The documentation's code runs as it is written, and prints what the pages show."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from treerings.cli import cli
from update_docs_output import ROOT, blocks, pages, run, updated, with_tables

PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()]
RUNNABLE = ("python", "prelude")


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_the_page_runs_and_prints_what_the_page_shows(page: Path) -> None:
    text = page.read_text("utf-8")
    if not any(block.language in RUNNABLE or block.generated for block in blocks(text)):
        return
    pytest.importorskip("langchain_openai", reason="the pages show LangChain")
    fresh = updated(text, run(page))
    assert _without_numbers(text) == _without_numbers(fresh), "Type: uv run scripts/update_docs_output.py"


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_on_the_page_are_those_of_the_code(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == with_tables(text), "Type: uv run scripts/update_docs_output.py"


def _without_numbers(text: str) -> str:
    """Text whose numbers, ids and column widths do not matter: times differ from run to run."""
    text = re.sub(r"\b[0-9a-f]{8,32}\b", "ID", text)
    text = re.sub(r"\d+(\.\d+)?(ms|s|m)?", "0", text)
    return re.sub(r"[ ─━╸╺]+", " ", text)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_on_the_page_exist(page: Path) -> None:
    for block in blocks(page.read_text("utf-8")):
        if block.language != "console":
            continue
        for line in block.code.split("\n"):
            if line.startswith("$ "):
                for command in re.split(r"\s(?:\||>|;|&&)\s", line[2:]):
                    _check_command(command)


@pytest.mark.parametrize("page", PAGES)
def test_the_extras_on_the_page_exist(page: Path) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for named in re.findall(r"treerings\[([\w,-]+)\]", page.read_text("utf-8")):
        assert set(named.split(",")) <= set(extras)


def _check_command(line: str) -> None:
    """Parse a line as the command line would, without running it."""
    words = shlex.split(line, comments=True)
    while words and ("=" in words[0] or words[:2] == ["uv", "run"]):
        words = words[2:] if words[0] == "uv" else words[1:]
    if not words or words[0] != "treerings":
        return
    try:
        context = cli.make_context("treerings", words[1:])
        while isinstance(context.command, click.Group):
            name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
            assert command is not None
            context = command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:  # --help and --version are done
        return
    except click.UsageError as error:
        raise AssertionError(f"$ {line}\n{error.format_message()}") from None
