"""Beside other things: a thousand calls, LangChain above, the off switch."""

from __future__ import annotations

import gc
import json
import logging
from typing import Any

import pytest
import treerings
from anthropic import Anthropic
from anthropic_answers import ASK, events, message, streamed, text, tool_use, whole
from pydantic import BaseModel
from treerings.streams import Followed
from treerings.testing import Capture, ModelServer, capture
from treerings_anthropic import calls
from treerings_anthropic.answers import Answer
from treerings_anthropic.calls import SdkCall


def test_a_thousand_calls_leave_nothing(captured: Capture) -> None:
    http = pytest.importorskip("httpx2")
    told = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events(tool_use(tree="oak")))

    def answer(request: Any) -> Any:
        if json.loads(request.content).get("stream"):
            return http.Response(200, headers={"content-type": "text/event-stream"}, content=iter([told.encode()]))
        return http.Response(200, json=message())

    with Anthropic(api_key="unused", http_client=http.Client(transport=http.MockTransport(answer))) as client:
        for turn in range(500):
            client.messages.create(**ASK)
            with client.messages.create(**ASK, stream=True) as stream:
                for _ in stream:
                    if turn % 2:
                        break

    del stream
    assert len(captured.steps) == 1_000
    gc.collect()
    kept = [type(found).__name__ for found in gc.get_objects() if isinstance(found, SdkCall | Answer | Followed)]
    assert kept == []
    assert len(calls._asked) <= calls.MAX_ASKED


def test_langchains_call_above_counts_it_once(server: ModelServer, captured: Capture) -> None:
    langchain_anthropic = pytest.importorskip("langchain_anthropic")
    treerings.instrument("langchain")
    server.play([whole()])

    model = langchain_anthropic.ChatAnthropic(model=ASK["model"], base_url=server.url, api_key="unused", max_retries=0)
    model.invoke("How old is the oak?")

    treerings.uninstrument("langchain")
    assert captured.outline() == "llm ChatAnthropic\n  llm messages"
    totals = captured.workflow.totals
    assert (totals.llm_calls, totals.input_tokens, totals.output_tokens) == (1, 140, 7)


def test_langchains_streams_above_count_once(server: ModelServer, captured: Capture) -> None:
    langchain_anthropic = pytest.importorskip("langchain_anthropic")
    treerings.instrument("langchain")
    server.play([streamed()])

    model = langchain_anthropic.ChatAnthropic(model=ASK["model"], base_url=server.url, api_key="unused", max_retries=0)
    for _ in model.stream("How old is the oak?"):
        pass

    treerings.uninstrument("langchain")
    assert captured.outline() == "llm ChatAnthropic\n  llm messages"
    totals = captured.workflow.totals
    assert (totals.llm_calls, totals.input_tokens, totals.output_tokens) == (1, 140, 7)


def test_a_bug_of_ours_costs_the_record_and_not_the_answer(
    server: ModelServer,
    client: Anthropic,
    captured: Capture,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    class Oak(BaseModel):
        rings: int

    caplog.set_level(logging.CRITICAL, "treerings")
    for name in ("take_message", "take_event", "usage"):
        monkeypatch.setattr(Answer, name, fail)
    parsed = text('{"rings": 112}')
    server.play([whole(), whole(parsed), streamed()])

    assert client.messages.create(**ASK).id == "msg_1"
    assert client.messages.parse(**ASK, output_format=Oak).parsed_output == Oak(rings=112)
    assert len(list(client.messages.create(**ASK, stream=True))) == len(events()) - 1

    assert captured.outline() == "llm messages\n\nllm messages\n\nllm messages"


def test_switched_off_nothing_is_recorded(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    server.play([whole()])
    captured.recorder.enabled = False

    client.messages.create(**ASK)

    captured.recorder.enabled = True
    assert captured.steps == []


def test_a_guard_stops_the_call_before_it_is_made(server: ModelServer, client: Anthropic, captured: Capture) -> None:
    class NoModels:
        @treerings.hookimpl
        def step_starting(self, step: Any) -> None:
            if step.kind == "llm":
                raise treerings.StopWorkflow("No more.")

    registry = treerings.runtime.registry()
    name = registry.register(NoModels())
    try:
        with capture() as guarded, pytest.raises(treerings.StopWorkflow):
            client.messages.create(**ASK)
    finally:
        registry.unregister(name)

    assert server.requests == []
    assert guarded.outline() == "llm messages cancelled"


def test_the_probe_is_recorded(server: ModelServer, captured: Capture) -> None:
    from treerings_anthropic.integration import probe

    pytest.importorskip("anthropic.lib.tools")
    server.call_tool("ring_count", {"tree": "oak"}).say("112 rings.", usage={"output_tokens": 5})
    probe(server.base_url)

    assert (
        captured.outline()
        == """\
agent tool_runner
  llm messages
  tool ring_count
  llm messages"""
    )
    assert captured.workflow.totals.total_tokens == server.usage_served.total_tokens


def test_doctors_model_gives_the_probes_tool_what_it_needs(captured: Capture) -> None:
    from treerings.cli import probing
    from treerings_anthropic.integration import probe

    pytest.importorskip("anthropic.lib.tools")
    with ModelServer(default=probing._answer) as server:
        probe(server.base_url)

    tool = captured.step("tool")
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")
