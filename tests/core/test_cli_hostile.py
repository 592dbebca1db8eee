"""Names and payloads from outside do not reach the terminal as commands, and do not break a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from rendering_samples import Builder
from treerings import open_store
from treerings.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold red]markup[/] \u202etxt.exe\x9b31m \x00 {braces} :smile: \ud83d"


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    url = f"jsonl:///{tmp_path / 'runs'}"
    b = Builder()
    root = b.add(None, "workflow", HOSTILE, session_id=HOSTILE, user_id=HOSTILE, labels={"k": HOSTILE})
    failed = {"status": "error", "error_type": HOSTILE, "error": HOSTILE}
    b.call(
        b.add(root, "agent", HOSTILE), (1, 1), "0.1", model=HOSTILE, input={HOSTILE: HOSTILE}, output=HOSTILE, **failed
    )
    store = open_store(url)
    store.write(b.steps)
    store.close()
    return url


@pytest.mark.parametrize(
    "command",
    [
        ["workflows"],
        ["show"],
        ["show", "--payloads", "--all"],
        ["totals", "--by", "agent,model,user_id"],
        ["tail", "--once"],
        ["show", HOSTILE.replace("\ud83d", "")],
        ["totals", "--by", HOSTILE.replace("\ud83d", "")],
        ["workflows", "--agent", HOSTILE.replace("\ud83d", "")],
    ],
)
def test_nothing_that_a_terminal_acts_on_is_printed(store_url: str, command: list[str]) -> None:
    result = CliRunner().invoke(cli, [*command, "--store", store_url])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not set(result.output) & {"\x1b", "\x9b", "\x07", "\x00", "\u202e"}


@pytest.mark.parametrize("command", [["workflows"], ["show"], ["totals"], ["tail", "--once"]])
def test_json_keeps_the_characters_as_escapes(store_url: str, command: list[str]) -> None:
    result = CliRunner().invoke(cli, [*command, "--json", "--store", store_url])
    assert result.exit_code == 0
    assert "\\u001b]0;owned" in result.stdout
    assert "\x1b" not in result.stdout


def test_markup_in_names_is_text(store_url: str) -> None:
    assert "[bold red]markup[/]" in CliRunner().invoke(cli, ["show", "--store", store_url]).stdout
