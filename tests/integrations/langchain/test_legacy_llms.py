"""Text completion models: one run a prompt, the usage of a batch on its first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseLLM
from langchain_core.outputs import Generation, LLMResult
from langchain_openai import OpenAI
from treerings.testing import Capture, ModelServer


class Scripted(BaseLLM):
    """Answers with what it was asked, and reports 10 tokens in and 2 out for each prompt."""

    silent: bool = False

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, prompts: list[str], stop: Any = None, run_manager: Any = None, **options: Any) -> LLMResult:
        count = len(prompts)
        usage = {} if self.silent else {"prompt_tokens": 10 * count, "completion_tokens": 2 * count}
        return LLMResult(
            generations=[[Generation(text=prompt)] for prompt in prompts], llm_output={"token_usage": usage}
        )


def inputs(captured: Capture) -> list[int | None]:
    return [step.usage.input_tokens if step.usage else None for step in captured.steps]


def generate(llm: BaseLLM, asynchronous: bool, config: dict[str, Any]) -> None:
    prompts = ["a", "b", "c"]
    if asynchronous:
        asyncio.run(llm.agenerate(prompts, **config))
    else:
        llm.generate(prompts, **config)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_usage_of_a_batch_counts_once(captured: Capture, traced: dict[str, Any], asynchronous: bool) -> None:
    generate(Scripted(), asynchronous, traced)

    assert inputs(captured) == [30, 0, 0]
    assert not any(step.estimated for step in captured.steps)


def test_the_other_calls_of_a_batch_name_the_one_with_the_usage(captured: Capture, traced: dict[str, Any]) -> None:
    generate(Scripted(), False, traced)

    first, *others = captured.steps
    assert {step.attributes["usage_with"] for step in others} == {first.id}


def test_a_batch_without_usage_is_estimated_call_by_call(captured: Capture, traced: dict[str, Any]) -> None:
    generate(Scripted(silent=True), False, traced)

    assert all(step.estimated for step in captured.steps)


def test_a_completion_model_has_the_tokens_served(
    captured: Capture, server: ModelServer, invoke: Callable[..., Any]
) -> None:
    server.say("one ring for each year")
    llm = OpenAI(base_url=server.base_url, api_key="unused", model="gpt-3.5-turbo-instruct", max_retries=0)

    invoke(llm, "How old?")

    step, served = captured.step("llm"), server.usage_served
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_tokens) == (served.input_tokens, served.output_tokens)
    assert (step.input, step.output) == ("How old?", "one ring for each year")


def test_a_long_prompt_is_bounded(captured: Capture, traced: dict[str, Any]) -> None:
    events: list[Any] = []
    emit = captured.recorder.emit
    captured.recorder.emit = lambda event: (events.append(getattr(event, "input", None)), emit(event))[1]  # type: ignore[method-assign]

    Scripted().invoke("x" * 1_000_000, traced)

    assert len(events[0]) < 300_000


def test_a_cached_completion_is_not_asked_for_again(captured: Capture, traced: dict[str, Any]) -> None:
    llm = Scripted(cache=InMemoryCache())

    llm.invoke("a", traced)
    llm.invoke("a", traced)

    assert sum(step.usage.input_tokens or 0 for step in captured.steps if step.usage) == 10
