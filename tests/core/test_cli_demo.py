"""`treerings demo`: runs offline, says what it is, and leaves a tree with everything in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from treerings import demo
from treerings.cli import cli
from treerings.testing import DeterministicClock, ModelServer, capture, outline

if TYPE_CHECKING:
    from pathlib import Path

    from treerings.records import Workflow

pytest.importorskip("langgraph")
pytest.importorskip("langchain_openai")

TREE = """
workflow support desk
  agent supervisor
    llm ChatOpenAI model=gpt-5.2
    handoff ask_logistics
  agent logistics
    llm ChatOpenAI model=gpt-5-mini
    tool track_parcel error
    llm ChatOpenAI model=gpt-5-mini
    tool track_parcel
    llm ChatOpenAI model=gpt-5-mini
  agent supervisor
    llm ChatOpenAI model=gpt-5.2
    handoff ask_billing
  agent billing
    llm ChatOpenAI model=gpt-5-mini
    tool refund_terms
      llm ChatOpenAI error model=gpt-5-nano
      llm ChatOpenAI model=gpt-5-nano attempt=2
    llm ChatOpenAI model=gpt-5-mini
  agent supervisor
    llm ChatOpenAI model=gpt-5.2
    handoff write_answer
  llm ChatOpenAI model=gpt-5.2
"""


@pytest.fixture(scope="module")
def workflow() -> Workflow:
    """What the demo records, on a clock that its script moves."""
    import treerings

    clock = DeterministicClock()
    with capture(clock=clock) as captured, ModelServer(default=demo.replies(clock.advance)) as server:
        treerings.instrument("langchain")
        try:
            demo.run_team(server.base_url)
        finally:
            treerings.uninstrument("langchain")
        return captured.workflow


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command prints, and the store that it wrote."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {
        **os.environ,
        "TREERINGS_DATA_DIR": str(folder),
        "COLUMNS": "100",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "treerings", "demo"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return {"stdout": result.stdout, "stderr": result.stderr, "store": f"sqlite:///{folder / 'treerings.db'}"}


def test_the_demo_has_handoffs_a_retry_a_handled_tool_error_and_a_streamed_answer(workflow: Workflow) -> None:
    wanted = {"workflow", "agent", "handoff", "llm", "tool"}
    shown = outline(workflow, show=("model", "attempt")).splitlines()
    kept = [line for line in shown if line.split()[0] in wanted]
    assert [line.strip() for line in kept] == [line.strip() for line in TREE.strip().splitlines()]


def test_the_answer_of_the_demo_is_streamed(workflow: Workflow) -> None:
    assert workflow.steps[-1].first_token_ms is not None


def test_every_call_of_the_demo_has_a_price(workflow: Workflow) -> None:
    assert workflow.totals.unpriced_calls == 0
    assert workflow.totals.cost_usd > Decimal("0.005")


def test_the_demo_says_that_its_models_are_scripted(printed: dict[str, Any]) -> None:
    assert "Its models are scripted: no key, no network." in printed["stdout"]


def test_the_demo_prints_the_tree_and_the_totals(printed: dict[str, Any]) -> None:
    output = printed["stdout"]
    assert "✓ workflow support desk" in output
    assert "\nagent " in output
    assert "\nmodel " in output


def test_the_demo_says_what_to_type_next(printed: dict[str, Any]) -> None:
    assert "treerings show last --payloads" in printed["stdout"]


def test_the_demo_prints_nothing_on_stderr(printed: dict[str, Any]) -> None:
    assert printed["stderr"] == ""


def test_the_demo_is_in_the_store(printed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = CliRunner().invoke(cli, ["workflows", "--json", "--store", printed["store"]])
    assert [(flow["name"], flow["status"]) for flow in json.loads(shown.stdout)] == [("support desk", "ok")]


def test_without_langgraph_the_demo_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("treerings.demo.found", lambda package: package != "langgraph")
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 1
    assert result.stderr == "Error: The demo runs a LangGraph team and needs langgraph. Type: pip install langgraph\n"


def test_the_demo_does_not_start_without_a_store_that_it_can_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREERINGS_STORE", "redis://localhost")
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: No store named 'redis'")
