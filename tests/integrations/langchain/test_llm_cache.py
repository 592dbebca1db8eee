"""An answer out of LangChain's cache is free, and says so."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from langchain_core.caches import InMemoryCache
from treerings.testing import Answer, Capture, ModelServer

Make = Callable[..., Any]


def test_a_cache_hit_costs_nothing(captured: Capture, server: ModelServer, model: Make, invoke: Make) -> None:
    server.say("Ninety.")
    cached = model(cache=InMemoryCache())

    invoke(cached, "How old?")
    invoke(cached, "How old?")

    first, second = captured.steps
    assert first.cost_usd
    assert second.cost_usd == Decimal(0)
    assert len(server.requests) == 1


def test_a_cache_hit_is_marked(captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]) -> None:
    server.say("Ninety.")
    cached = model(cache=InMemoryCache())

    cached.invoke("How old?", traced)
    cached.invoke("How old?", traced)

    assert [step.attributes.get("cache_hit") for step in captured.steps] == [None, True]
    assert not captured.steps[1].unpriced


def test_a_hit_of_an_answer_without_usage_is_free_too(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.reply(Answer("Ninety.", report_usage=False))
    cached = model(cache=InMemoryCache())

    cached.invoke("How old?", traced)
    cached.invoke("How old?", traced)

    assert captured.steps[1].cost_usd in (None, Decimal(0))
    assert captured.steps[1].attributes.get("cache_hit") is True
