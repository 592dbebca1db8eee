"""Cost: of each call, of each agent, and unknown where the price is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from treerings.testing import Answer, Capture, ModelServer

Make = Callable[..., Any]
QUESTION: Any = {"messages": [("user", "How old is the oak?")]}


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


def test_a_workflows_cost_is_the_sum_of_its_calls(
    captured: Capture, server: ModelServer, model: Make, invoke: Make
) -> None:
    server.call_tool("measure", {"tree": "oak"}, usage={"input_tokens": 1000, "output_tokens": 100}).say("90")

    invoke(create_agent(model(), [measure]), QUESTION)

    costs = [step.cost_usd for step in captured.steps if step.kind == "llm"]
    assert None not in costs
    assert captured.workflow.totals.cost_usd == sum(cost for cost in costs if cost is not None) > 0


def test_cached_tokens_are_cheaper(captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]) -> None:
    for read in (0, 900):
        server.say("x", usage={"input_tokens": 1000, "output_tokens": 10, "cache_read_tokens": read})

    for _ in range(2):
        model().invoke("?", traced)

    plain, cached = [step.cost_usd for step in captured.steps]
    assert plain is not None
    assert cached is not None
    assert Decimal(0) < cached < plain


def test_an_unknown_model_is_unpriced_and_not_free(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.reply(Answer("x", model="house-7b"))

    model(model="house-7b").invoke("?", traced)

    assert captured.step("llm").cost_usd is None
    assert captured.workflow.totals.unpriced_calls == 1
