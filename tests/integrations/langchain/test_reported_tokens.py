"""Tokens in the tree are the provider's, each call's once, and unknown where it said nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from treerings.testing import Answer, Capture, ModelServer, UsageTotal

Make = Callable[..., Any]
QUESTION: Any = {"messages": [("user", "How old is the oak?")]}


class Age(BaseModel):
    """How old something is."""

    years: int


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


def total(captured: Capture) -> tuple[int, ...]:
    t = captured.workflow.totals
    return (t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens, t.reasoning_tokens)


def served(usage: UsageTotal) -> tuple[int, ...]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )


@pytest.mark.parametrize("options", [{}, {"streaming": True, "stream_usage": True}, {"use_responses_api": True}])
def test_an_agents_tokens_are_those_served(
    captured: Capture, server: ModelServer, model: Make, invoke: Make, options: dict[str, Any]
) -> None:
    server.call_tools([("measure", {"tree": "oak"}), ("measure", {"tree": "elm"})], text="Let me see.")
    server.say("Both ninety.", usage={"input_tokens": 90, "cache_read_tokens": 64, "reasoning_tokens": 5})

    invoke(create_agent(model(**options), [measure]), QUESTION)

    assert total(captured) == served(server.usage_served)
    assert captured.workflow.totals.llm_calls == 2


def test_cached_and_reasoning_tokens_are_parts_of_the_sums(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("x", usage={"input_tokens": 100, "output_tokens": 50, "cache_read_tokens": 80, "reasoning_tokens": 30})

    model().invoke("?", traced)

    usage = captured.step("llm").usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 50, 150)
    assert (usage.cache_read_tokens, usage.reasoning_tokens) == (80, 30)


@pytest.mark.parametrize("tier", ["priority", "flex"])
def test_the_service_tier_prefixes_no_bucket(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any], tier: Any
) -> None:
    server.say(
        "x",
        usage={
            "input_tokens": 100,
            "output_tokens": 50,
            "cache_read_tokens": 80,
            "reasoning_tokens": 30,
            "service_tier": tier,
        },
    )

    model(service_tier=tier).invoke("?", traced)

    usage = captured.step("llm").usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.service_tier) == (100, 50, tier)
    assert (usage.cache_read_tokens, usage.reasoning_tokens) == (80, 30)


def test_several_choices_repeat_one_usage(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.reply(Answer("one", alternatives=("two", "three"), usage={"input_tokens": 10, "output_tokens": 30}))

    model(n=3).invoke("?", traced)

    assert total(captured)[:2] == (10, 30)
    assert captured.step("llm").output == [{"role": "assistant", "content": text} for text in ("one", "two", "three")]


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output_is_counted_once(
    captured: Capture, server: ModelServer, model: Make, invoke: Make, method: Any
) -> None:
    if method == "function_calling":
        server.call_tool("Age", {"years": 90})
    else:
        server.say({"years": 90})

    assert invoke(model().with_structured_output(Age, method=method), "How old? Answer in JSON.") == Age(years=90)

    assert total(captured) == served(server.usage_served)


def test_usage_that_a_server_leaves_out_is_estimated_and_says_so(
    captured: Capture, server: ModelServer, model: Make, invoke: Make
) -> None:
    server.reply(Answer("one ring for each year", report_usage=False))

    invoke(model(), "How old is a tree?")

    step = captured.step("llm")
    assert step.estimated
    assert step.usage is not None
    assert step.usage.output_tokens
    assert captured.workflow.totals.estimated_calls == 1


def test_a_refused_call_used_nothing(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.fail(400, message="no")

    with pytest.raises(Exception, match="no"):
        model().invoke("?", traced)

    step = captured.step("llm")
    assert (step.status, step.usage, step.cost_usd) == ("error", None, None)


def test_retries_inside_the_sdk_are_one_call(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.fail(429, retry_after=0).say("x")

    model(max_retries=1).invoke("?", traced)

    assert len(server.requests) == 2
    assert captured.workflow.totals.llm_calls == 1
    assert total(captured) == served(server.usage_served)


def test_a_batch_counts_each_of_its_calls(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    for text in ("a", "b b", "c c c"):
        server.say(text)

    model().generate([[HumanMessage("1")], [HumanMessage("2 2")], [HumanMessage("3 3 3")]], **traced)

    assert sum(step.usage.output_tokens or 0 for step in captured.steps if step.usage) == 6
    assert len(captured.workflows) == 3
