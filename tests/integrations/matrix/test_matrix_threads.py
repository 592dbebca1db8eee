"""Bare threads in tools, which copy no context: `treerings.carry` keeps what runs there in the tree."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from matrix_cell import OUTER_MODEL, OUTER_TOOL, instrumented, load
from openai import OpenAI
from treerings.testing import ModelServer, capture


def in_a_thread(function: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("carried", [True, False], ids=["carried", "bare"])
@pytest.mark.parametrize("name", ["langchain", "crewai", "autogen", "llamaindex"])
def test_a_thread_that_a_tool_starts_is_in_the_tree_if_it_is_carried(
    server: ModelServer, name: str, carried: bool
) -> None:
    block = load(name)
    if block is None:
        pytest.skip("the framework is not installed")

    def look_up() -> str:
        with treerings.step("task", "look up"), OpenAI(base_url=server.base_url, api_key="unused") as client:
            asked: Any = [{"role": "user", "content": "How old?"}]
            return str(client.chat.completions.create(model="gpt-4o", messages=asked).choices[0].message.content)

    def ask_colleague(question: str) -> str:
        """Ask a colleague who knows trees."""
        return str(in_a_thread(treerings.carry(look_up) if carried else look_up))

    before = server.usage_served
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with instrumented([block], ["openai"]), capture() as captured, treerings.labels(user_id="ada"):
            block.run(server.base_url, OUTER_MODEL, ask_colleague, "How old is the oak?")
            steps = {step.id: step for step in captured.steps}
            workflows = captured.workflows
            shown = captured.outline(show=("source",), hidden=True)
    looked_up = captured.step("task", "look up")
    parent = steps.get(looked_up.parent_id or "")
    if carried:
        assert parent is not None, shown
        assert (parent.kind, parent.name, looked_up.user_id) == ("tool", OUTER_TOOL, "ada"), shown
        assert len(workflows) == 1, shown
    else:
        assert (parent, looked_up.user_id, len(workflows)) == (None, None, 2), shown
    tokens = sum(workflow.totals.total_tokens for workflow in workflows)
    assert tokens == server.usage_served.total_tokens - before.total_tokens, shown
