"""Fallbacks: the attempts hang under the run that made them, and a failure that was helped is no failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from treerings.testing import Capture, ModelServer


def test_fallbacks_at_the_root_are_one_workflow(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.when(model="small").fail(500)
    server.say("ninety")

    invoke(model(model="small").with_fallbacks([model(model="large")]), "how old?")

    assert captured.outline(show=("model",)) == (
        "workflow RunnableWithFallbacks\n  llm ChatOpenAI error model=small\n  llm ChatOpenAI model=large"
    )


def test_fallbacks_in_a_chain_hang_where_they_are(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.when(model="small").fail(500)
    server.say("ninety")
    model_with_help = model(model="small").with_fallbacks([model(model="large")])

    invoke(RunnableLambda(lambda text: text) | model_with_help, "how old?")

    assert captured.outline() == (
        "workflow RunnableSequence\n  chain RunnableLambda\n  chain RunnableWithFallbacks\n"
        "    llm ChatOpenAI error\n    llm ChatOpenAI"
    )
    assert captured.workflow.status == "ok"


def test_fallbacks_of_whole_chains_keep_their_own_steps(captured: Capture, invoke: Callable[..., Any]) -> None:
    def fail(text: str) -> str:
        raise ValueError("bad wood")

    first = (RunnableLambda(lambda text: text) | RunnableLambda(fail)).with_config(run_name="first")
    second = (RunnableLambda(lambda text: text) | RunnableLambda(str.upper)).with_config(run_name="second")

    invoke(first.with_fallbacks([second]), "oak")

    assert captured.outline() == (
        "workflow RunnableWithFallbacks\n"
        "  chain first error\n    chain RunnableLambda\n    chain fail error\n"
        "  chain second\n    chain RunnableLambda\n    chain upper"
    )


def test_fallbacks_that_all_fail_are_an_error(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.fail(500, times=None)

    with pytest.raises(Exception, match="500"):
        invoke(model().with_fallbacks([model()]), "how old?")

    assert captured.outline() == (
        "workflow RunnableWithFallbacks error\n  llm ChatOpenAI error\n  llm ChatOpenAI error"
    )


def test_streamed_fallbacks_are_one_workflow(
    model: Callable[..., Any], server: ModelServer, captured: Capture, traced: dict[str, Any]
) -> None:
    server.when(model="small").fail(500)
    server.say("ninety")

    list(model(model="small").with_fallbacks([model(model="large")]).stream("how old?", traced))

    assert captured.outline(show=("model",)) == (
        "workflow RunnableWithFallbacks\n  llm ChatOpenAI error model=small\n  llm ChatOpenAI model=large"
    )
