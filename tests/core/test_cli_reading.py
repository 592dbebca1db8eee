"""`treerings workflows`, `show` and `totals` on a real store."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from rendering_samples import Builder, support_desk
from treerings import open_store
from treerings.cli import cli
from treerings.events import Status

if TYPE_CHECKING:
    from pathlib import Path

OLD_ID = "0190000000007000800000000000000b"


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """A store with two workflows; the newer one is `support desk`."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    b = Builder(OLD_ID)
    root = b.add(None, "workflow", "nightly report", labels={"team": "growth"}, status="error", error="no disk")
    b.call(root, (10, 2), "0.5", model="o4-mini", labels={"team": "growth"})
    day = 86_400_000_000_000
    older = [
        replace(step, started_ns=step.started_ns - day, ended_ns=(step.ended_ns or day) - day, id=step.id[:-1] + "f")
        for step in b.steps[1:]
    ]
    root = replace(b.steps[0], started_ns=b.steps[0].started_ns - day, ended_ns=(b.steps[0].ended_ns or day) - day)
    store = open_store(url)
    store.write([root, *older])
    store.write(support_desk().steps)
    store.close()
    return url


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TREERINGS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("TREERINGS_STORE", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def data(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def names(*arguments: str) -> list[str]:
    return [workflow["name"] for workflow in data("workflows", *arguments)]


def test_workflows_are_listed_newest_first(store_url: str) -> None:
    assert names("--store", store_url) == ["support desk", "nightly report"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "error"], ["nightly report"]),
        (["--agent", "researcher"], ["support desk"]),
        (["--model", "o4-mini"], ["nightly report"]),
        (["--name", "support desk"], ["support desk"]),
        (["--user", "u-7"], ["support desk"]),
        (["--session", "s-41"], ["support desk"]),
        (["--tenant", "t-1"], []),
        (["--label", "team=growth"], ["nightly report"]),
        (["--since", "2026-11-21"], ["support desk"]),
        (["--until", "2026-11-21"], ["nightly report"]),
        (["--kind", "retriever"], ["support desk"]),
        (["--limit", "1"], ["support desk"]),
    ],
)
def test_workflows_can_be_filtered(store_url: str, options: list[str], expected: list[str]) -> None:
    assert names("--store", store_url, *options) == expected


def test_a_listing_is_a_table(store_url: str) -> None:
    head, first, *_ = run("workflows", "--store", store_url).stdout.splitlines()
    assert head.split()[:3] == ["id", "workflow", "status"]
    assert "✓ support desk" in first


def test_a_full_page_says_that_there_may_be_more(store_url: str) -> None:
    assert "The newest 1; --limit shows more." in run("workflows", "--store", store_url, "--limit", "1").stderr


def test_show_takes_the_last_workflow_when_none_is_named(store_url: str) -> None:
    assert run("show", "--store", store_url).stdout.startswith("✓ support desk  ok")


@pytest.mark.parametrize("typed", [OLD_ID, OLD_ID.upper(), "01900000-0000-7000-8000-00000000000b", "0190"])
def test_show_finds_a_workflow_by_its_id_in_any_form_or_its_beginning(store_url: str, typed: str) -> None:
    assert run("show", typed, "--store", store_url).stdout.startswith("✗ nightly report  error")


def test_a_beginning_of_several_ids_lists_them(store_url: str) -> None:
    result = run("show", "019", "--store", store_url)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Several workflows begin with '019': ")
    assert OLD_ID in result.stderr


def test_an_unknown_id_shows_the_nearest_and_how_to_list_all(store_url: str) -> None:
    result = run("show", OLD_ID[:-2] + "ff", "--store", store_url)
    assert result.exit_code == 1
    assert f"Nearest: {OLD_ID}." in result.stderr
    assert "treerings workflows" in result.stderr


def test_the_json_of_a_tree_has_the_columns_of_the_stores(store_url: str) -> None:
    shown = data("show", "last", "--store", store_url)
    call = next(step for step in shown["steps"] if step["model"] == "gpt-5.2-chat")
    assert set(shown) == {"workflow", "steps"}
    assert call["started_at"] == "2026-11-21T08:33:20.300000Z"
    assert (call["input_tokens"], call["cache_read_tokens"], call["reasoning_tokens"]) == (1204, 1024, None)
    assert call["usage"] == {"input_tokens": 1204, "output_tokens": 86, "cache_read_tokens": 1024}


def test_an_unknown_cost_is_null_in_json(store_url: str) -> None:
    steps = data("show", "last", "--store", store_url)["steps"]
    assert next(step for step in steps if step["model"] == "house-model-7b")["cost_usd"] is None
    groups = data("totals", "--by", "model", "--store", store_url)
    assert next(group for group in groups if group["model"] == "house-model-7b")["cost_usd"] is None


def test_costs_are_exact_numbers_in_json(store_url: str) -> None:
    text = run("totals", "--by", "agent", "--json", "--store", store_url).stdout
    groups = {group["agent"]: group for group in json.loads(text, parse_float=Decimal)}
    assert groups["supervisor"]["cost_usd"] == Decimal("0.000473")


def test_totals_are_grouped_and_filtered(store_url: str) -> None:
    groups = data("totals", "--by", "agent,kind", "--agent", "researcher", "--kind", "tool", "--store", store_url)
    assert [(group["agent"], group["kind"], group["tool_calls"]) for group in groups] == [("researcher", "tool", 1)]


def test_totals_can_be_taken_by_label(store_url: str) -> None:
    groups = data("totals", "--by", "label:team", "--store", store_url)
    assert {group["label:team"] for group in groups} == {"growth", None}


def test_totals_end_in_their_sum(store_url: str) -> None:
    assert "total" in run("totals", "--store", store_url).stdout


def test_an_unknown_dimension_lists_those_that_exist(store_url: str) -> None:
    result = run("totals", "--by", "agnet", "--store", store_url)
    assert result.exit_code == 2
    assert "No dimension 'agnet'. Choose from: agent, day" in result.stderr


def test_a_time_that_is_none_shows_what_can_be_typed(store_url: str) -> None:
    result = run("workflows", "--since", "yesterday", "--store", store_url)
    assert result.exit_code == 2
    assert "Type an age (90m, 24h, 7d) or a date" in result.stderr


def test_a_label_without_a_value_shows_the_form(store_url: str) -> None:
    result = run("workflows", "--label", "growth", "--store", store_url)
    assert result.exit_code == 2
    assert "Type it as team=growth." in result.stderr


@pytest.mark.parametrize("command", ["workflows", "show", "totals", "tail"])
def test_a_store_that_nobody_knows_is_one_line(command: str) -> None:
    result = run(command, "--store", "redis://localhost")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No store named 'redis'")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["workflows", "show", "totals"])
def test_a_file_that_is_no_store_is_one_line(command: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database\n" * 1000)
    result = run(command, "--store", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("url", ["{}", "sqlite:///{}", "jsonl:///{}"])
def test_reading_a_store_that_is_not_there_makes_no_file(url: str, tmp_path: Path) -> None:
    result = run("workflows", "--store", url.format(tmp_path / "typo"))
    assert result.exit_code == 1
    assert "nothing is there" in result.stderr
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("command", ["workflows", "totals"])
def test_nothing_recorded_yet_says_what_to_do(command: str, tmp_path: Path) -> None:
    result = run(command)
    assert result.exit_code == 0
    assert "Type: treerings demo, or treerings run app.py" in result.stdout
    assert not (tmp_path / "data").exists()


def test_nothing_recorded_yet_is_an_empty_list_in_json() -> None:
    assert data("workflows") == []


def test_show_without_any_workflow_fails_and_says_what_to_do() -> None:
    result = run("show")
    assert result.exit_code == 1
    assert "treerings demo" in result.stderr


def test_a_filter_that_nothing_matches_says_so(store_url: str) -> None:
    assert run("workflows", "--agent", "nobody", "--store", store_url).stdout == "No workflow matches.\n"
    assert run("totals", "--agent", "nobody", "--store", store_url).stdout == "No step matches.\n"


def test_output_that_is_piped_has_no_escapes(store_url: str) -> None:
    for command in ("workflows", "show", "totals"):
        assert "\x1b" not in run(command, "--store", store_url).stdout


@pytest.mark.parametrize("switch", ["--no-color", "NO_COLOR"])
def test_colours_can_be_switched_off(store_url: str, switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run("show", "--store", store_url).stdout
    if switch == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b" not in run("show", "--store", store_url).stdout
    else:
        assert "\x1b" not in run("show", "--store", store_url, "--no-color").stdout


@pytest.mark.parametrize("columns", [80, 120, 200])
@pytest.mark.parametrize(
    "command", [["workflows"], ["show"], ["show", "--payloads", "--all"], ["totals", "--by", "agent,model,status"]]
)
def test_no_line_is_wider_than_the_terminal(
    store_url: str, command: list[str], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, run(*command, "--store", store_url).stdout.splitlines())) <= columns


def test_a_run_that_is_still_open_is_shown(store_url: str) -> None:
    b = Builder("0199" + "0" * 27 + "1")
    b.add(None, "workflow", "open", status=Status.RUNNING, duration_ms=None)
    store = open_store(store_url)
    store.write(b.steps)
    assert "● open" in run("show", "0199", "--store", store_url).stdout
    store.close()
