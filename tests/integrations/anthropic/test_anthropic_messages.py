"""A message asked for is a model call: what it asked, what it answered, what it used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import treerings
from anthropic import Anthropic, OverloadedError
from anthropic.types import Message
from anthropic_answers import ASK, RING_COUNT, USAGE, failed, message, text, tool_use, whole
from pydantic import BaseModel
from treerings.testing import Capture, ModelServer, capture
from treerings.testing.recordings import Call
from treerings_anthropic import unwrap, wrap

COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")


def test_a_message_is_a_model_call(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole()])

    client.messages.create(**ASK, system="Be brief.", tools=[RING_COUNT], extra_body={"temperature": 0.5})

    step = captured.step("llm", "messages")
    assert (step.status, step.source, step.provider, step.model) == (
        "ok",
        "anthropic",
        "anthropic",
        "claude-sonnet-4-6",
    )
    assert step.input == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How old is the oak?"},
    ]
    assert step.output == {"role": "assistant", "content": "112 rings."}
    assert step.attributes == {
        "request": {"max_tokens": 64, "temperature": 0.5, "tools": ["ring_count"]},
        "response_id": "msg_1",
        "finish_reason": "end_turn",
    }
    assert step.cost_usd is not None
    assert step.usage is not None
    assert [getattr(step.usage, name) for name in COUNTS] == [140, 7, 100, 30, 10]


def test_an_asynchronous_message_is_a_model_call(
    server: ModelServer, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([whole()])

    answer = run(lambda client: client.messages.create(**ASK))

    assert type(answer) is Message
    assert captured.outline(show=("provider", "input_tokens", "output_tokens")) == (
        "llm messages provider=anthropic input_tokens=140 output_tokens=7"
    )


def test_the_beta_interface_is_recorded_like_the_other(
    server: ModelServer, client: Anthropic, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([whole(), whole()])

    client.beta.messages.create(**ASK, betas=["context-1m-2025-08-07"])
    run(lambda client: client.beta.messages.create(**ASK))

    assert captured.outline(show=("output_tokens",)) == "llm messages output_tokens=7\n\nllm messages output_tokens=7"


def test_a_parsed_answer_is_one_call(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    class Oak(BaseModel):
        rings: int

    server.play([whole(text('{"rings": 112}'))])

    answer = client.messages.parse(**ASK, output_format=Oak)

    assert answer.parsed_output == Oak(rings=112)
    assert captured.step("llm").output == {"role": "assistant", "content": '{"rings": 112}'}


def test_an_answer_that_does_not_fit_its_schema_was_billed_all_the_same(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    class Oak(BaseModel):
        rings: int

    server.play([whole(text("no JSON"))])

    with pytest.raises(ValueError, match=r"rings|JSON"):
        client.messages.parse(**ASK, output_format=Oak)

    step = captured.step("llm")
    assert (step.status, step.usage.output_tokens) == ("error", 7)


def test_tool_calls_and_thoughts_are_told_apart_from_the_text(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    thinking = {"type": "thinking", "thinking": "An oak.", "signature": "s"}
    server.play([whole(thinking, text("Counting."), tool_use(tree="oak"))])

    client.messages.create(**ASK)

    assert captured.step("llm").output == {
        "role": "assistant",
        "content": "Counting.",
        "reasoning": "An oak.",
        "tool_calls": [{"id": "toolu_1", "name": "ring_count", "args": {"tree": "oak"}}],
    }


def test_what_the_provider_bills_beside_tokens_is_kept(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    usage = {
        **USAGE,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "output_tokens_details": {"thinking_tokens": 5},
        "service_tier": "priority",
    }
    server.play([whole(usage=usage)])

    client.messages.create(**ASK)

    usage = captured.step("llm").usage
    assert (usage.requests, usage.reasoning_tokens, usage.service_tier) == ({"web_search": 2}, 5, "priority")


def test_a_picture_is_noted_and_not_kept(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "aGVsbG8h" * 200}
    shown: Any = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    server.play([whole()])

    client.messages.create(**{**ASK, "messages": [{"role": "user", "content": shown}]})

    step = captured.step("llm")
    assert step.attributes["call_type"] == "vision"
    assert step.input[0]["content"][0]["source"]["data"] == "<base64 1600 characters>"


def test_counting_tokens_and_models_is_no_model_call(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([Call("https://api.anthropic.com/v1/messages/count_tokens", 200, {}, {"input_tokens": 9})])

    assert client.messages.count_tokens(model=ASK["model"], messages=ASK["messages"]).input_tokens == 9

    assert captured.steps == []


def test_a_text_completion_says_what_it_is(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    answer = {"id": "c_1", "type": "completion", "completion": " 112.", "stop_reason": "stop", "model": "claude-2.1"}
    server.play([Call("https://api.anthropic.com/v1/complete", 200, {}, answer)])

    client.post(
        "/v1/complete", cast_to=object, body={"model": "claude-2.1", "prompt": "How old?", "max_tokens_to_sample": 9}
    )

    step = captured.step("llm", "completions")
    assert (step.input, step.output, step.estimated) == ("How old?", {"role": "assistant", "content": " 112."}, True)
    assert step.attributes["call_type"] == "completion"


def test_a_failure_is_the_steps_and_the_programs(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([failed(529, "overloaded_error", "Overloaded")])

    with pytest.raises(OverloadedError, match="Overloaded"):
        client.messages.create(**ASK)

    step = captured.step("llm")
    assert (step.status, step.error_type, step.usage) == ("error", "OverloadedError", None)
    assert "Overloaded" in step.error


def test_retries_within_the_sdk_are_one_call(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([failed(529, "overloaded_error", "Overloaded"), whole()])

    client.with_options(max_retries=1).messages.create(**ASK)

    assert captured.outline(show=("output_tokens", "attempt")) == "llm messages output_tokens=7 attempt=2"


def test_retries_that_all_failed_are_one_call(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([failed(529, "overloaded_error", "Overloaded") for _ in range(2)])

    with pytest.raises(OverloadedError):
        client.with_options(max_retries=1).messages.create(**ASK)

    assert captured.outline(show=("attempt",)) == "llm messages error attempt=2"


def test_wrong_arguments_raise_as_without_us_and_record_nothing(client: Anthropic, captured: Capture) -> None:
    with pytest.raises(TypeError, match="max_tokens"):
        client.messages.create(model="m", messages=[])  # type: ignore[call-overload]

    assert captured.steps == []


def test_no_key_and_no_header_is_recorded(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole()])

    client.messages.create(**ASK, extra_headers={"x-secret": "hidden-header"}, metadata={"user_id": "u-7"})

    told = repr(captured.step("llm"))
    assert "sk-ant-secret" not in told
    assert "hidden-header" not in told


def test_messages_from_an_iterator_are_read_by_the_sdk_alone(
    server: ModelServer, client: Anthropic, captured: Capture
) -> None:
    server.play([whole()])

    client.messages.create(**{**ASK, "messages": iter(ASK["messages"])})

    assert server.requests[0].data["messages"] == ASK["messages"]
    assert captured.step("llm").usage.output_tokens == 7


def test_of_a_long_conversation_the_end_is_kept(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole()])
    turns: Any = [{"role": "user", "content": f"{place} " + "x" * 100_000} for place in range(5)]

    client.messages.create(**{**ASK, "messages": turns})

    shown = captured.step("llm").input
    assert shown[0] == "… 2 earlier messages"
    assert [turn["content"][:3] for turn in shown[1:]] == ["2 x", "3 x", "4 x"]


def test_steps_hang_below_what_runs(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole()])

    with treerings.step("agent", "forester"):
        client.messages.create(**ASK)

    assert captured.outline() == "agent forester\n  llm messages"


def test_answers_are_what_they_are_without_us(server: ModelServer, client: Anthropic) -> None:
    server.play([whole(), whole()])
    before = client.messages.create(**ASK)

    with capture() as captured:
        treerings.instrument("anthropic")
        treerings.instrument("anthropic")
        after = client.messages.create(**ASK)
        treerings.uninstrument("anthropic")
        assert len(captured.steps) == 1

    assert type(after) is type(before) is Message
    assert after.to_dict() == before.to_dict() == message()
    assert server.requests[0].data == server.requests[1].data


def test_off_again_nothing_is_recorded(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    request = Anthropic.request
    server.play([whole()])
    treerings.uninstrument("anthropic")

    client.messages.create(**ASK)

    assert captured.steps == []
    assert Anthropic.request is request.__wrapped__  # type: ignore[attr-defined]


def test_a_single_client_is_recorded_with_its_copies(server: ModelServer, client: Anthropic) -> None:
    server.play([whole(), whole(), whole()])
    other = client.with_options(timeout=9)
    assert wrap(client) is client

    with capture() as captured:
        client.messages.create(**ASK)
        client.with_options(timeout=9).messages.create(**ASK)
        other.messages.create(**ASK)
        assert unwrap(client) is client

    assert len(captured.steps) == 2


def test_a_wrapped_client_is_recorded_once(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole()])

    wrap(client).messages.create(**ASK)

    unwrap(client)
    assert captured.outline() == "llm messages"
