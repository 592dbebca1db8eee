"""A supervisor and its workers: handoffs are steps, each call belongs to the agent that made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from treerings.testing import Capture, ModelServer

pytest.importorskip("langgraph_supervisor")

from langgraph.prebuilt import create_react_agent
from langgraph_supervisor import create_supervisor

QUESTION: Any = {"messages": [("user", "How old is the oak?")]}


def test_each_worker_is_an_agent_under_the_team(
    captured: Capture, server: ModelServer, model: Callable[..., Any], invoke: Callable[..., Any]
) -> None:
    workers = [create_react_agent(model(), [], name="counter"), create_agent(model(), name="writer")]
    team = create_supervisor(workers, model=model(), prompt="You lead.").compile(name="team")
    server.call_tool("transfer_to_counter").say("90").call_tool("transfer_to_writer").say("Ninety.").say("Done.")

    invoke(team, QUESTION)

    assert captured.outline(show=("handoff_to",)) == (
        "workflow team\n"
        "  node supervisor\n"
        "    agent supervisor\n"
        "      node agent\n"
        "        llm ChatOpenAI\n"
        "      node tools\n"
        "        handoff transfer_to_counter handoff_to=counter\n"
        "  node counter\n"
        "    agent counter\n"
        "      node agent\n"
        "        llm ChatOpenAI\n"
        "  node supervisor\n"
        "    agent supervisor\n"
        "      node agent\n"
        "        llm ChatOpenAI\n"
        "      node tools\n"
        "        handoff transfer_to_writer handoff_to=writer\n"
        "  node writer\n"
        "    agent writer\n"
        "      node model\n"
        "        llm ChatOpenAI\n"
        "  node supervisor\n"
        "    agent supervisor\n"
        "      node agent\n"
        "        llm ChatOpenAI"
    )
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens
