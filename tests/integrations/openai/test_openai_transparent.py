"""With and without us: the same results, exceptions and types; nothing grows, and everything can be undone."""

from __future__ import annotations

import gc
import inspect
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
import treerings
import treerings_openai
from openai import AsyncOpenAI, OpenAI
from openai_asking import Asking
from treerings import StopWorkflow
from treerings.registry import Registry
from treerings.testing import Answer, Capture, Drop, Failure, ModelServer, capture
from treerings.wrapped_clients import owner_of
from treerings.wrapping import Patches
from treerings_openai import clients

MESSAGES: list[Any] = [{"role": "user", "content": "How old is the oak?"}]
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": MESSAGES}

USES: dict[str, Callable[[OpenAI], Any]] = {
    "chat": lambda client: client.chat.completions.create(**CHAT),
    "chat stream": lambda client: list(client.chat.completions.create(**CHAT, stream=True)),
    "chat helper": lambda client: _helped(client.chat.completions.stream(**CHAT)),
    "chat raw": lambda client: client.chat.completions.with_raw_response.create(**CHAT).parse(),
    "chat raw text": lambda client: client.chat.completions.with_raw_response.create(**CHAT).text,
    "chat raw stream": lambda client: list(
        client.chat.completions.with_raw_response.create(**CHAT, stream=True).parse()
    ),
    "chat streaming": lambda client: _streaming(client.chat.completions.with_streaming_response.create(**CHAT)),
    "responses": lambda client: client.responses.create(model="gpt-4o-mini", input="How old?"),
    "responses stream": lambda client: list(
        client.responses.create(model="gpt-4o-mini", input="How old?", stream=True)
    ),
    "responses helper": lambda client: _helped(client.responses.stream(model="gpt-4o-mini", input="How old?")),
    "embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input="oak"),
    "moderations": lambda client: client.moderations.create(input="oak"),
    "completions": lambda client: client.completions.create(model="gpt-3.5-turbo-instruct", prompt="oak"),
    "models": lambda client: client.models.list(),
    "bad argument": lambda client: client.chat.completions.create(model="gpt-4o-mini", nonsense=1, messages=MESSAGES),  # type: ignore[call-overload]
    "no messages": lambda client: client.chat.completions.create(model="gpt-4o-mini"),  # type: ignore[call-overload]
    "object as a message": lambda client: client.chat.completions.create(model="m", messages=[object()]),  # type: ignore[list-item]
}


FAILURES = [Failure(400), Failure(500), Drop(after_chunks=0), Drop(answer=Answer("112 years"), after_chunks=1)]


def _helped(manager: Any) -> Any:
    with manager as stream:
        return [event.type for event in stream]


def _streaming(manager: Any) -> Any:
    with manager as response:
        return [type(response).__name__, response.read()]


def outcome(use: Callable[[OpenAI], Any], *, reply: Any = None) -> tuple[Any, ...]:
    """What a use gives on a server of its own: type and value, or type and text of what it raises."""
    with (
        ModelServer(default="echo") as server,
        OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client,
    ):
        if reply is not None:
            server.reply(reply)
        try:
            result = use(client)
        except Exception as error:
            return type(error), str(error).replace(server.url, "")
        return type(result), _plain(result)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [(type(item), _plain(item)) for item in value]
    return value.model_dump(exclude={"created", "created_at"}) if hasattr(value, "model_dump") else value


@pytest.mark.parametrize("use", USES)
def test_results_are_the_same_with_and_without_us(use: str) -> None:
    without = outcome(USES[use])
    with capture() as captured:
        treerings.instrument("openai")
        on = outcome(USES[use])
        treerings.uninstrument("openai")
        assert captured.workflows or use in ("models", "bad argument", "no messages", "object as a message")
    assert on == without


@pytest.mark.parametrize("use", [use for use in USES if not use.startswith("chat raw text")])
@pytest.mark.parametrize("failure", FAILURES)
def test_exceptions_are_the_same_with_and_without_us(use: str, failure: Any) -> None:
    without = outcome(USES[use], reply=failure)
    with capture():
        treerings.instrument("openai")
        on = outcome(USES[use], reply=failure)
        treerings.uninstrument("openai")
    assert on == without


def test_instrumenting_twice_is_once_and_can_be_undone(server: ModelServer, client: OpenAI) -> None:
    owner = owner_of(OpenAI, "request")
    before = {name: inspect.getattr_static(owner, name) for name in ("request", "_process_response")}
    with capture() as captured:
        treerings.instrument("openai")
        treerings.instrument("openai")
        assert inspect.signature(OpenAI.request) == inspect.signature(before["request"])
        assert inspect.iscoroutinefunction(AsyncOpenAI.request)
        client.chat.completions.create(**CHAT)
        assert captured.outline() == "llm chat.completions"
        treerings.uninstrument("openai")
        assert {name: inspect.getattr_static(owner, name) for name in before} == before
        client.chat.completions.create(**CHAT)
        assert len(captured.steps) == 1


def test_clients_that_were_used_before_are_captured_too(captured: Capture, server: ModelServer) -> None:
    treerings.uninstrument("openai")
    with OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        raw, create = client.chat.completions.with_raw_response, client.chat.completions.create
        create(**CHAT)
        treerings.instrument("openai")
        create(**CHAT)
        raw.create(**CHAT)
    assert len(captured.steps) == 2


def test_one_client_alone_can_be_captured(server: ModelServer, client: OpenAI) -> None:
    with (
        OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as other,
        capture() as captured,
    ):
        assert treerings_openai.wrap(client) is client
        treerings_openai.wrap(client)
        client.chat.completions.create(**CHAT)
        client.with_options(timeout=30).chat.completions.create(**CHAT)
        other.chat.completions.create(**CHAT)
        assert captured.outline() == "llm chat.completions\n\nllm chat.completions"
        treerings.instrument("openai")
        client.chat.completions.create(**CHAT)
        treerings.uninstrument("openai")
        client.chat.completions.create(**CHAT)
        assert len(captured.steps) == 4
        assert treerings_openai.unwrap(client) is client
        client.chat.completions.create(**CHAT)
        assert len(captured.steps) == 4
    gc.collect()
    assert not clients._clients._single


class NoModels:
    @treerings.hookimpl
    def step_starting(self, step: treerings.StepStarted) -> None:
        raise StopWorkflow("the budget is spent")


def test_a_guard_stops_the_call_before_anything_is_sent(ask: Asking, server: ModelServer) -> None:
    registry = Registry(entry_points=False)
    registry.register(NoModels(), "no models")
    with capture(registry=registry):
        clients.instrument()
        try:
            with pytest.raises(StopWorkflow):
                ask("chat.completions.create", **CHAT)
        finally:
            clients.uninstrument()
    assert server.requests == []


def test_a_thousand_calls_leave_nothing_behind(captured: Capture, server: ModelServer, client: OpenAI) -> None:
    def use() -> None:
        client.chat.completions.create(**CHAT)
        list(client.chat.completions.create(**CHAT, stream=True))
        gc.disable()  # the SDK leaves a dropped stream to it, and deadlocks when it comes while the SDK connects
        next(client.chat.completions.create(**CHAT, stream=True))
        gc.collect(1)
        gc.enable()
        with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as response:
            response.read()
        client.chat.completions.with_raw_response.create(**CHAT)

    def counts() -> dict[str, int]:
        gc.collect()
        captured.flush()
        kinds = [type(thing).__name__ for thing in gc.get_objects()]
        names = ("SdkCall", "Followed", "FollowedBody", "Choices", "BodyReader", "OpenStep")
        here = {name: kinds.count(name) for name in names if name != "OpenStep"}
        return {**here, "threads": threading.active_count(), "files": len(os.listdir("/proc/self/fd"))}

    for _ in range(3):
        use()
    before = counts()
    for _ in range(200):
        use()
    after = counts()
    deadline = time.monotonic() + 5
    while after != before and time.monotonic() < deadline:
        captured.finish()
        after = counts()
    assert after == before
    assert {step.status for step in captured.steps} == {"ok", "cancelled"}


def test_the_probe_asks_and_calls_a_tool(captured: Capture, server: ModelServer) -> None:
    from treerings.testing import ToolCall
    from treerings_openai.integration import probe

    server.reply(Answer(tool_calls=[ToolCall("ring_count", {"tree": "oak"})]))
    probe(server.base_url)
    assert [step.kind for step in captured.steps] == ["llm", "llm"]


def test_a_version_without_the_private_methods_is_captured_all_the_same(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Patches, "wrap", _without("_process_response", Patches.wrap))
    with capture() as captured, OpenAI(base_url=server.base_url, api_key="unused") as client:
        treerings.instrument("openai")
        client.chat.completions.create(**CHAT)
        treerings.uninstrument("openai")
        assert captured.step("llm").status == "ok"


def _without(missing: str, wrap: Callable[..., bool]) -> Callable[..., bool]:
    return lambda patches, owner, name, around: name != missing and wrap(patches, owner, name, around)


def test_the_module_level_client_is_captured(
    captured: Capture, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "base_url", server.base_url)
    monkeypatch.setattr(openai, "api_key", "unused")
    openai.chat.completions.create(**CHAT)
    openai._reset_client()
    assert captured.outline() == "llm chat.completions"
