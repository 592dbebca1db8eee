"""Model calls: exact tokens, errors, streams, caches, and one step with whatever a provider's SDK recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import openai
import pytest
import treerings
from autogen_agentchat.agents import AssistantAgent
from autogen_core import EVENT_LOGGER_NAME, FunctionCall
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.cache_store.diskcache import DiskCacheStore
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient
from treerings import Kind, Usage, runtime
from treerings.claims import offer_call
from treerings.context import current_step
from treerings.testing import Answer, Capture, ModelServer
from treerings.testing.model_usage import UsageOverrides

ASK = [UserMessage(content="How old?", source="user")]


async def streamed(client: Any, **options: Any) -> list[Any]:
    return [item async for item in client.create_stream(ASK, **options)]


def test_tokens_are_the_providers_with_their_parts(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    """The client's own result knows of no cached and no reasoning tokens."""
    usage: UsageOverrides = {
        "input_tokens": 1000,
        "output_tokens": 50,
        "cache_read_tokens": 800,
        "reasoning_tokens": 30,
    }
    server.reply(Answer("112", usage=usage))

    asyncio.run(client(temperature=0.5, seed=7).create(ASK, extra_create_args={"max_tokens": 100}))

    step = captured.step("llm")
    assert step.usage is not None
    assert {name: step.usage.as_dict()[name] for name in usage} == dict(usage)
    assert (step.model, step.provider, step.source) == ("gpt-4o-mini-2024-07-18", "openai", "autogen")
    assert step.attributes["request"] == {"temperature": 0.5, "seed": 7, "max_tokens": 100}
    assert (step.attributes["finish_reason"], step.attributes["response_id"]) == ("stop", "chatcmpl-000001")
    assert step.cost_usd is not None


def test_no_key_and_no_header_is_recorded(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    server.say("112")

    asyncio.run(client(api_key="sk-very-secret", default_headers={"x-token": "sk-very-secret"}).create(ASK))

    assert "very-secret" not in repr(captured.steps)


def test_the_prompt_and_the_answer_are_messages(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("112")
    calls = [FunctionCall(id="c1", name="rings", arguments='{"tree": "oak"}')]
    messages = [
        SystemMessage(content="Be brief."),
        *ASK,
        AssistantMessage(content=calls, thought="hm", source="ann"),
        FunctionExecutionResultMessage(
            content=[FunctionExecutionResult(content="no", name="rings", call_id="c1", is_error=True)]
        ),
    ]

    asyncio.run(client().create(messages))

    step = captured.step("llm")
    assert step.input == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How old?", "name": "user"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "name": "rings", "args": {"tree": "oak"}}],
            "reasoning": "hm",
        },
        {"role": "tool", "content": "no", "name": "rings", "tool_call_id": "c1", "status": "error"},
    ]
    assert step.output == {"role": "assistant", "content": "112"}


def test_a_stream_without_usage_is_unknown_not_free(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    """A4: the client says 0 and 0."""
    server.say("one hundred and twelve")

    items = asyncio.run(streamed(client()))

    assert items[-1].usage == RequestUsage(0, 0)
    step = captured.step("llm")
    assert step.usage is not None
    assert step.estimated
    assert step.usage.output_tokens
    assert step.first_token_ms is not None


@pytest.mark.parametrize(
    "options", [{"include_usage": True}, {"extra_create_args": {"stream_options": {"include_usage": True}}}]
)
def test_a_stream_with_usage_is_exact(
    server: ModelServer, client: Callable[..., Any], captured: Capture, options: dict[str, Any]
) -> None:
    server.say("one hundred and twelve")

    asyncio.run(streamed(client(), **options))

    step = captured.step("llm")
    assert not step.estimated
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.output_tokens) == (
        server.usage_served.input_tokens,
        server.usage_served.output_tokens,
    )


def test_an_answer_without_usage_is_unknown(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    server.reply(Answer("112", report_usage=False))

    asyncio.run(client().create(ASK))

    assert captured.step("llm").estimated


@pytest.mark.parametrize("stream", [False, True], ids=["create", "create_stream"])
def test_a_failed_call_is_a_step_with_its_error(
    server: ModelServer, client: Callable[..., Any], captured: Capture, stream: bool
) -> None:
    """A5: AutoGen logs nothing of a call that fails."""
    server.fail(429)
    agent = AssistantAgent("ann", client(), model_client_stream=stream)

    with pytest.raises(openai.RateLimitError):
        asyncio.run(agent.run(task="How old?"))

    assert captured.outline() == "agent ann error\n  llm OpenAIChatCompletionClient error"
    assert captured.step("llm").error_type == "RateLimitError"


def test_a_stream_that_breaks_off_is_an_error(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.drop(after_chunks=2, text="one hundred and twelve")

    with pytest.raises((openai.APIError, httpx.HTTPError)):
        asyncio.run(streamed(client()))

    step = captured.step("llm")
    assert (step.status, step.first_token_ms is not None) == ("error", True)


def test_a_stream_that_nobody_reads_on_is_cancelled(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("one hundred and twelve")

    async def go() -> None:
        stream = client().create_stream(ASK)
        async for _ in stream:
            break
        assert current_step() is None
        await stream.aclose()

    asyncio.run(go())

    assert captured.outline() == "llm OpenAIChatCompletionClient cancelled"


def test_a_call_out_of_a_cache_costs_nothing(
    server: ModelServer, client: Callable[..., Any], captured: Capture, tmp_path: Any
) -> None:
    diskcache = pytest.importorskip("diskcache")
    server.say("112")

    async def go() -> None:
        with diskcache.Cache(str(tmp_path)) as store:
            cached = ChatCompletionCache(client(), DiskCacheStore(store))
            await cached.create(ASK)
            await cached.create(ASK)

    asyncio.run(go())

    first, second = captured.workflows
    assert [step.name for step in first.steps] == ["ChatCompletionCache", "OpenAIChatCompletionClient"]
    assert [step.name for step in second.steps] == ["ChatCompletionCache"]
    assert first.totals.input_tokens == server.usage_served.input_tokens
    assert (float(second.totals.cost_usd), second.steps[0].attributes["cache_hit"]) == (0.0, True)


def test_a_client_that_logs_nothing_is_recorded(captured: Capture) -> None:
    client = ReplayChatCompletionClient(["112 years"])
    client.set_cached_bool_value(False)

    asyncio.run(client.create(ASK))

    step = captured.step("llm")
    assert (step.name, step.usage.output_tokens, step.provider) == ("ReplayChatCompletionClient", 2, None)  # type: ignore[union-attr]


def test_usage_on_messages_is_not_counted_again(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    """A18: `models_usage` repeats what the call reported."""
    server.call_tool("rings").say("112")

    def rings() -> str:
        """Count."""
        return "112"

    result = asyncio.run(AssistantAgent("ann", client(), tools=[rings], reflect_on_tool_use=True).run(task="How old?"))

    said = [message.models_usage for message in result.messages if message.models_usage is not None]
    assert len(said) == 2
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens
    assert captured.workflow.totals.input_tokens == sum(usage.prompt_tokens for usage in said)
    assert captured.workflow.totals.llm_calls == 2


class Retrying(OpenAIChatCompletionClient):
    """A client of the program's own: two requests in one call, by `super()`."""

    async def create(self, *args: Any, **kwargs: Any) -> CreateResult:
        try:
            return await super().create(*args, **kwargs)
        except openai.RateLimitError:
            return await super().create(*args, **kwargs)


def test_a_call_of_an_inherited_method_is_the_same_call(server: ModelServer, captured: Capture) -> None:
    server.fail(429).say("112")
    client = Retrying(model="gpt-4o-mini-2024-07-18", base_url=server.base_url, api_key="unused", max_retries=0)

    asyncio.run(client.create(ASK))

    assert captured.outline() == "llm Retrying"
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def sdk_call(*, response_id: str | None, finish: Callable[[], None]) -> None:
    """What a provider's SDK plugin does: a step within the framework's, offered when it is over."""
    recorder = runtime.current_recorder()
    step = recorder.start(Kind.LLM, "chat.completions", source="openai", parent=current_step(), model="gpt-4o-mini")
    finish()
    recorder.end(step, usage=Usage(input_tokens=10, output_tokens=2))
    offer_call(step, response_id)


def test_a_call_that_an_sdk_plugin_recorded_too_counts_once(
    server: ModelServer, client: Callable[..., Any], captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reply(Answer("112", usage={"input_tokens": 10, "output_tokens": 2}))
    model = client()
    original = model._client.chat.completions.create

    async def create(*args: Any, **kwargs: Any) -> Any:
        answer = await original(*args, **kwargs)
        sdk_call(response_id=answer.id, finish=lambda: None)
        return answer

    monkeypatch.setattr(model._client.chat.completions, "create", create)
    asyncio.run(AssistantAgent("ann", model).run(task="How old?"))

    assert captured.outline() == "agent ann\n  llm OpenAIChatCompletionClient\n    llm chat.completions"
    totals = captured.workflow.totals
    assert (totals.llm_calls, totals.input_tokens, totals.output_tokens) == (1, 10, 2)


RESPONSE = {
    "id": "resp-1",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"finish_reason": "stop", "message": {"content": "112"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}


def log_call() -> None:
    """What the documentation tells agents that call a model by other means."""
    event = LLMCallEvent(messages=[{"role": "user"}], response=RESPONSE, prompt_tokens=10, completion_tokens=2)
    logging.getLogger(EVENT_LOGGER_NAME).info(event)


def test_a_call_that_is_only_logged_is_a_step(captured: Capture) -> None:
    with treerings.step("agent", "own"):
        log_call()

    assert captured.outline() == "agent own\n  llm gpt-4o-mini-2024-07-18"
    step = captured.step("llm")
    assert (step.usage, step.attributes["response_id"]) == (Usage(input_tokens=10, output_tokens=2), "resp-1")


def test_a_logged_call_that_an_sdk_plugin_recorded_is_claimed(captured: Capture) -> None:
    with treerings.step("agent", "own"):
        sdk_call(response_id="resp-1", finish=lambda: None)
        log_call()

    assert captured.outline() == "agent own\n  llm chat.completions"
    assert captured.step("llm").attributes["finish_reason"] == "stop"
    assert captured.workflow.totals.llm_calls == 1


def test_a_logged_stream_is_claimed_by_its_parent(captured: Capture) -> None:
    """An event of a stream carries no response id."""
    with treerings.step("agent", "own"):
        sdk_call(response_id="resp-1", finish=lambda: None)
        event = LLMStreamEndEvent(
            response={"content": "112", "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
            prompt_tokens=0,
            completion_tokens=0,
        )
        logging.getLogger(EVENT_LOGGER_NAME).info(event)

    assert captured.outline() == "agent own\n  llm chat.completions"
    assert captured.step("llm").usage == Usage(input_tokens=10, output_tokens=2)


def test_an_event_that_cannot_be_serialised_is_read(captured: Capture) -> None:
    """A12: the text of an event is made by `json.dumps`, which raises for many values."""
    event = LLMCallEvent(messages=[{"x": object()}], response=RESPONSE, prompt_tokens=10, completion_tokens=2)

    logging.getLogger(EVENT_LOGGER_NAME).info(event)

    assert captured.step("llm").usage == Usage(input_tokens=10, output_tokens=2)


class Slow(ReplayChatCompletionClient):
    """A client whose stream is no generator function but returns a generator."""

    def create_stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[str | CreateResult, None]:
        return super().create_stream(*args, **kwargs)


def test_a_stream_that_a_plain_function_returns_is_recorded(captured: Capture) -> None:
    items = asyncio.run(streamed(Slow(["one two"])))

    assert "".join(item for item in items if isinstance(item, str)).strip() == "one two"
    assert captured.outline() == "llm Slow"
