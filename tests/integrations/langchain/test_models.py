"""Which model was asked, which one answered, and whose it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from treerings.testing import Answer, Capture, ModelServer

Make = Callable[..., Any]


class Plain(BaseChatModel):
    """A user's own model that says nothing of itself but its `model_name`."""

    model_name: str = "house-7b"

    @property
    def _llm_type(self) -> str:
        return "plain"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Ninety."))])


def test_the_answers_model_is_shown(captured: Capture, server: ModelServer, model: Make, invoke: Make) -> None:
    server.reply(Answer("x", model="gpt-4o-mini-2024-07-18"))

    invoke(model(), "?")

    step = captured.step("llm")
    assert (step.model, step.provider) == ("gpt-4o-mini-2024-07-18", "openai")


def test_a_streams_model_is_not_doubled(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("one ring for each year")

    list(model(stream_usage=True).stream("?", traced))

    assert captured.step("llm").model == "gpt-4o-mini"


def test_a_failed_call_has_the_model_that_was_asked(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.fail(500)

    with pytest.raises(Exception, match=r"."):
        model().invoke("?", traced)

    assert captured.step("llm").model == "gpt-4o-mini"


def test_a_models_own_word_is_used_where_langchain_knows_no_name(captured: Capture, traced: dict[str, Any]) -> None:
    Plain().invoke("?", traced)

    assert captured.step("llm").model == "house-7b"


def test_a_model_without_any_name_has_none(captured: Capture, traced: dict[str, Any]) -> None:
    GenericFakeChatModel(messages=iter([AIMessage("x")])).invoke("?", traced)

    assert captured.step("llm").model is None


def test_the_request_keeps_known_parameters(
    captured: Capture, server: ModelServer, model: Make, traced: dict[str, Any]
) -> None:
    server.say("x")

    model(temperature=0.5, max_tokens=7).invoke("?", traced)

    request = captured.step("llm").attributes["request"]
    assert request["temperature"] == 0.5
    assert 7 in (request.get("max_tokens"), request.get("max_completion_tokens"))
