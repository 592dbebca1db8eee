"""What importing Treerings and loading its plugins brings along: nothing heavy."""

from __future__ import annotations

import json

import pytest
from programs import RunProgram

HEAVY = {
    "alembic", "asyncio", "click", "dotenv", "langchain", "langchain_core", "langgraph", "multiprocessing", "numpy",
    "openai", "pydantic", "pydantic_settings", "requests", "rich", "sqlalchemy", "sqlite3", "sqlmodel", "ssl", "tiktoken",
    "yaml",
}  # fmt: skip


def imported_by(run_program: RunProgram, program: str) -> set[str]:
    """The top-level modules that a program has imported at its end, as far as they are heavy."""
    done = run_program(f"import json, sys\n{program}\nprint(json.dumps([m.split('.')[0] for m in sys.modules]))")
    return set(json.loads(done.stdout)) & HEAVY


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
