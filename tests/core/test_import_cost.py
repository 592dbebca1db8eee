"""What importing Treerings and loading its plugins brings along: nothing heavy."""

from __future__ import annotations

import json

import pytest
from programs import RunProgram

HEAVY = {
    "alembic",
    "asyncio",
    "click",
    "dotenv",
    "langchain",
    "langchain_core",
    "langgraph",
    "multiprocessing",
    "numpy",
    "openai",
    "pydantic",
    "pydantic_settings",
    "requests",
    "rich",
    "sqlalchemy",
    "sqlite3",
    "sqlmodel",
    "ssl",
    "tiktoken",
    "yaml",
}
FRAMEWORKS = {
    "ag2", "agent_framework", "agents", "agno", "anthropic", "autogen", "autogen_agentchat", "autogen_core", "crewai", "dspy",
    "google.adk", "google.genai", "haystack", "langchain", "langchain_core", "langgraph", "litellm", "llama_index.core",
    "mcp", "openai", "pydantic_ai", "smolagents",
}  # fmt: skip


def imported_by(run_program: RunProgram, program: str) -> set[str]:
    """The top-level modules that a program has imported at its end, as far as they are heavy."""
    done = run_program(f"import json, sys\n{program}\nprint(json.dumps(list(sys.modules)))")
    modules = set(json.loads(done.stdout))
    return {name.split(".")[0] for name in modules} & HEAVY | modules & FRAMEWORKS


@pytest.mark.parametrize(
    "program",
    [
        "import treerings",
        "import treerings.testing",
        "import treerings.testing.pytest_plugin",
        "from treerings.registry import Registry; r = Registry(); r.load(); assert {'jsonl', 'sqlite'} <= r.stores.keys()",
    ],
    ids=["the package", "what tests need", "the pytest plugin", "the plugins"],
)
def test_importing_brings_nothing_heavy(run_program: RunProgram, program: str) -> None:
    assert imported_by(run_program, program) == set()


def test_a_first_step_brings_the_settings_and_no_framework(run_program: RunProgram) -> None:
    program = """
import treerings
from treerings.testing import capture
with capture() as captured:
    with treerings.step("task", "work"):
        pass
    captured.flush()
"""
    heavy = imported_by(run_program, program)
    assert heavy.isdisjoint(
        {"langchain_core", "langgraph", "sqlalchemy", "sqlmodel", "alembic", "tiktoken", "click", "rich"}
    )


def test_capturing_everything_imports_no_framework(run_program: RunProgram) -> None:
    program = "import treerings; done = treerings.instrument(); assert done.waiting == done.enabled"
    assert imported_by(run_program, program).isdisjoint(FRAMEWORKS)
