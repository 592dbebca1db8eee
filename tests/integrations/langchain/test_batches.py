"""Batches: every element is a workflow of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.runnables import RunnableLambda
from treerings.testing import Capture, ModelServer

ONE = "workflow RunnableSequence\n  chain RunnableLambda\n  llm ChatOpenAI"


@pytest.fixture(params=["batch", "abatch"])
def batch(request: pytest.FixtureRequest) -> Callable[..., Any]:
    def run(runnable: Any, values: list[Any], config: Any, **options: Any) -> Any:
        if request.param == "batch":
            return runnable.batch(values, config, **options)
        return asyncio.run(runnable.abatch(values, config, **options))

    return run


def work(text: str) -> str:
    if text == "bad":
        raise ValueError("bad wood")
    return text


def test_elements_are_sibling_workflows(
    model: Callable[..., Any], server: ModelServer, captured: Capture, batch: Callable[..., Any], traced: dict[str, Any]
) -> None:
    server.say("yes", times=3)

    batch(RunnableLambda(lambda text: text) | model(), ["oak", "elm", "ash"], traced)

    assert captured.outline() == "\n\n".join([ONE] * 3)
    assert sorted(workflow.steps[0].input for workflow in captured.workflows) == ["ash", "elm", "oak"]


def test_a_run_id_given_to_a_batch_does_not_merge_its_elements(
    model: Callable[..., Any], server: ModelServer, captured: Capture, batch: Callable[..., Any], traced: dict[str, Any]
) -> None:
    server.say("yes", times=3)

    with pytest.warns(RuntimeWarning, match="run_id"):
        batch(RunnableLambda(lambda text: text) | model(), ["oak", "elm", "ash"], {**traced, "run_id": uuid4()})

    assert captured.outline() == "\n\n".join([ONE] * 3)


def test_a_batch_in_a_chain_stays_in_its_tree(captured: Capture, invoke: Callable[..., Any]) -> None:
    leaf = RunnableLambda(lambda text: text).with_config(run_name="leaf")

    invoke(leaf.map() | RunnableLambda(len), ["a", "b"])

    assert captured.outline() == (
        "workflow RunnableSequence\n  chain RunnableEach<RunnableLambda>\n    chain leaf\n    chain leaf\n  chain len"
    )


def test_a_bad_element_fails_alone_when_exceptions_are_returned(
    captured: Capture, batch: Callable[..., Any], traced: dict[str, Any]
) -> None:
    chain = RunnableLambda(work) | RunnableLambda(str.upper)

    batch(chain, ["oak", "bad"], traced, return_exceptions=True)

    statuses = {workflow.steps[0].input: workflow.status for workflow in captured.workflows}
    assert statuses == {"oak": "ok", "bad": "error"}


def test_roots_that_only_share_a_batch_with_a_failure_say_so(
    captured: Capture, batch: Callable[..., Any], traced: dict[str, Any]
) -> None:
    chain = RunnableLambda(work) | RunnableLambda(str.upper)

    with pytest.raises(ValueError, match="bad wood"):
        batch(chain, ["oak", "bad", "elm"], traced)

    roots = {workflow.steps[0].input: workflow.steps[0] for workflow in captured.workflows}
    shared = {text for text, root in roots.items() if root.attributes.get("failed_with") == roots["bad"].workflow_id}
    assert {root.status for root in roots.values()} == {"error"}
    assert shared == {"oak", "elm"}


def test_a_failure_of_its_own_is_not_blamed_on_an_earlier_run(captured: Capture, invoke: Callable[..., Any]) -> None:
    for text in ("bad", "bad", "bad"):
        with pytest.raises(ValueError, match="bad wood"):
            invoke(RunnableLambda(work), text)

    assert all("failed_with" not in step.attributes for step in captured.steps)
