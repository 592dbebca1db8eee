"""Models of a user's own: silent without us, recorded when asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from crewai import Agent, BaseLLM, Crew
from treerings.testing import Capture
from treerings_crewai import record_llm


class OakLLM(BaseLLM):
    """Says the same to everybody."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        with treerings.step("chain", "thinking"):
            return "112 rings."

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return "112 rings."


@record_llm
class RecordedLLM(OakLLM):
    """The same, recorded."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        if messages == "break":
            raise ValueError("broken")
        return super().call(messages, *args, **kwargs)

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return await super().acall(messages)


def test_an_agent_whose_model_says_nothing_is_marked_and_it_is_logged_once(
    crew: Callable[..., Crew], agent: Callable[..., Agent], captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    crew("First.", "Second.", worker=agent(llm=OakLLM(model="oak-7b"))).kickoff()

    agents = [step for step in captured.steps if step.kind == "agent"]
    assert [step.attributes["no_llm_data"] for step in agents] == ["OakLLM", "OakLLM"]
    assert captured.workflow.totals.llm_calls == 0
    logged = [record.getMessage() for record in caplog.records if record.name == "treerings"]
    assert len([message for message in logged if "OakLLM" in message]) == 1


def test_a_recorded_model_class_has_its_calls_in_the_tree(
    crew: Callable[..., Crew], agent: Callable[..., Agent], captured: Capture
) -> None:
    crew("Count.", worker=agent(llm=RecordedLLM(model="oak-7b"))).kickoff()

    assert captured.outline() == (
        "workflow crew\n  task Count.\n    agent forester\n      llm oak-7b\n        chain thinking"
    )
    call = captured.step("llm")
    assert (call.model, call.provider, call.output, call.estimated) == ("oak-7b", None, "112 rings.", True)
    assert "no_llm_data" not in captured.step("agent").attributes


def test_an_agent_asked_directly_with_a_silent_model_is_marked(agent: Callable[..., Agent], captured: Capture) -> None:
    agent(llm=OakLLM(model="oak-7b")).kickoff("Count.")

    assert captured.step("agent").attributes["no_llm_data"] == "OakLLM"


def test_a_call_that_fails_is_failed_and_the_error_is_the_users(captured: Capture) -> None:
    with pytest.raises(ValueError, match="broken"):
        RecordedLLM(model="oak-7b").call("break")

    assert captured.step("llm").status == "error"


def test_asynchronous_calls_are_recorded(captured: Capture) -> None:
    assert asyncio.run(RecordedLLM(model="oak-7b").acall("Count.")) == "112 rings."

    assert captured.outline() == "llm oak-7b"


def test_a_class_is_recorded_once_and_stays_what_it_was(captured: Capture) -> None:
    assert record_llm(record_llm(RecordedLLM)) is RecordedLLM
    assert RecordedLLM.call.__name__ == "call"

    RecordedLLM(model="oak-7b").call("Count.")

    assert captured.workflow.totals.llm_calls == 1
