"""A swarm: agents that hand over to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from treerings.testing import Capture, ModelServer

pytest.importorskip("langgraph_swarm")

from langgraph_swarm import create_handoff_tool, create_swarm

QUESTION: Any = {"messages": [("user", "How old is the oak?")]}


def test_a_handoff_ends_one_agent_well_and_starts_the_other(
    captured: Capture, server: ModelServer, model: Callable[..., Any], invoke: Callable[..., Any]
) -> None:
    alice = create_agent(model(), [create_handoff_tool(agent_name="Bob")], name="Alice")
    bob = create_agent(model(), name="Bob")
    server.call_tool("transfer_to_bob").say("Ninety.")

    invoke(create_swarm([alice, bob], default_active_agent="Alice").compile(name="swarm"), QUESTION)

    assert captured.outline(show=("handoff_to",)) == (
        "workflow swarm\n"
        "  node Alice\n"
        "    agent Alice\n"
        "      node model\n"
        "        llm ChatOpenAI\n"
        "      node tools\n"
        "        handoff transfer_to_bob handoff_to=Bob\n"
        "  node Bob\n"
        "    agent Bob\n"
        "      node model\n"
        "        llm ChatOpenAI"
    )
    assert captured.workflow.totals.output_tokens == server.usage_served.output_tokens
