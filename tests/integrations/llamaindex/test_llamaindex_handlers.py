"""The handlers themselves: on and off, odd orders, bounds, failures of their own."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index.core.llms import ChatMessage, ChatResponse, MockLLM
from llama_index.llms.openai import OpenAI
from llamaindex_samples import ring_count
from treerings.testing import Capture, ModelServer
from treerings_llamaindex import handlers, integration
from treerings_llamaindex.handlers import TRANSLATOR, EventHandler, SpanHandler

Models = Callable[..., OpenAI]
NOTHING = inspect.signature(lambda: None).bind()
SPAN = "OpenAI.chat-" + "0" * 36
HELLO = [ChatMessage("How old?", role="user")]
ANSWER = ChatResponse(message=ChatMessage("112", role="assistant"))


def asked() -> LLMChatStartEvent:
    return LLMChatStartEvent(messages=HELLO, additional_kwargs={}, model_dict={"model_name": "m"}, span_id=SPAN)


def answered() -> LLMChatEndEvent:
    return LLMChatEndEvent(messages=HELLO, response=ANSWER, span_id=SPAN)


def test_instrument_twice_is_once_and_can_be_undone(captured: Capture, model: Models) -> None:
    root: Any = get_dispatcher()
    handlers_before = len(root.span_handlers), len(root.event_handlers)
    treerings.instrument("llamaindex")
    treerings.instrument("llamaindex")
    assert (len(root.span_handlers), len(root.event_handlers)) == handlers_before
    model().chat(HELLO)
    integration.uninstrument()
    model().chat(HELLO)

    assert captured.outline() == "llm OpenAI"
    assert not any(isinstance(handler, SpanHandler) for handler in root.span_handlers)
    assert not any(isinstance(handler, EventHandler) for handler in root.event_handlers)


def test_capture_begins_when_the_program_imports_llamaindex(run_program: Callable[..., Any]) -> None:
    done = run_program(
        """
        import sys
        import warnings

        warnings.simplefilter("ignore")
        import treerings
        from treerings.testing import capture

        with capture() as captured:
            treerings.instrument()
            assert "llama_index.core" not in sys.modules
            from llama_index.core.llms import MockLLM

            MockLLM().complete("How old?")
            print(captured.outline())
        """
    )

    assert done.stdout == "llm MockLLM\n"


def test_what_was_on_the_dispatcher_stays_there() -> None:
    root: Any = get_dispatcher()
    before = list(root.span_handlers), list(root.event_handlers)
    integration.instrument()
    integration.uninstrument()

    assert (root.span_handlers, root.event_handlers) == before


def test_ends_without_starts_and_repeated_events_do_no_harm(captured: Capture) -> None:
    spans, events, llm = SpanHandler(), EventHandler(), OpenAI(api_key="unused")
    spans.span_exit(SPAN, NOTHING, llm, ANSWER)
    spans.span_drop(SPAN, NOTHING, llm, ValueError())
    events.handle(answered())
    for _ in range(2):
        spans.span_enter(SPAN, NOTHING, llm, None, {})
        events.handle(asked())
    for _ in range(2):
        events.handle(answered())
        spans.span_exit(SPAN, NOTHING, llm, ANSWER)
    events.handle(ExceptionEvent(exception=ValueError(), span_id=SPAN))

    assert captured.outline() == "llm OpenAI"
    assert captured.step("llm").status == "ok"


def test_a_span_whose_parent_is_unknown_joins_its_run(captured: Capture) -> None:
    """A version of workflows lost the parents of its steps: the run's id, in the tags, still says it."""
    spans, agent = SpanHandler(), FunctionAgent(name="counter", llm=MockLLM(), tools=[ring_count])
    tags = {"llamaindex.run_id": "r-1"}
    spans.span_enter("FunctionAgent.run-" + "0" * 36, NOTHING, agent, None, tags)
    step = {**tags, "llamaindex.step.input_event": "AgentSetup"}
    spans.span_enter("BaseWorkflowAgent.run_agent_step-" + "1" * 36, NOTHING, None, None, step)
    llm = OpenAI(api_key="unused")
    spans.span_enter(SPAN, NOTHING, llm, None, step)
    EventHandler().handle(asked())
    EventHandler().handle(answered())
    spans.span_exit(SPAN, NOTHING, llm, ANSWER)
    spans.span_exit("FunctionAgent.run-" + "0" * 36, NOTHING, agent, None)

    assert captured.outline() == "agent counter\n  llm OpenAI"


@pytest.mark.parametrize("failure", [None, ValueError("no tree"), asyncio.CancelledError()])
def test_a_run_whose_span_returns_a_handler_ends_with_the_handler(
    captured: Capture, failure: BaseException | None
) -> None:
    """Some versions exit the run's span with the pending handler."""
    spans, agent = SpanHandler(), FunctionAgent(name="counter", llm=MockLLM(), tools=[ring_count])
    span = "FunctionAgent.run-" + "0" * 36

    async def run() -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        spans.span_enter(span, NOTHING, agent, None, {})
        spans.span_exit(span, NOTHING, agent, future)
        assert captured.step("agent").status == "running"
        if failure is None:
            future.set_result("112")
        elif isinstance(failure, ValueError):
            future.set_exception(failure)
        else:
            future.cancel()
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()

    asyncio.run(run())
    expected = {"NoneType": "ok", "ValueError": "error", "CancelledError": "cancelled"}
    assert captured.step("agent").status == expected[type(failure).__name__]


def test_a_failure_of_ours_is_logged_once_and_the_run_goes_on(
    captured: Capture, model: Models, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handlers, "_reported", set())
    monkeypatch.setattr(TRANSLATOR, "entered", lambda *_: 1 / 0)
    with caplog.at_level(logging.ERROR, logger="treerings"):
        assert model().complete("How old?").text == "112 rings."
        assert model().complete("How old?").text == "112 rings."

    assert [record.message for record in caplog.records] == ["LlamaIndex's span_enter is not recorded; the run goes on"]


def test_nothing_is_recorded_while_recording_is_off(captured: Capture, model: Models) -> None:
    captured.recorder.enabled = False
    model().complete("How old?")
    captured.recorder.enabled = True

    assert captured.workflows == []
    assert len(TRANSLATOR.spans) == 0


def test_a_guard_that_stops_a_step_does_not_stop_the_run(captured: Capture, model: Models) -> None:
    class Guard:
        @treerings.hookimpl
        def step_starting(self, step: Any) -> None:
            raise treerings.StopWorkflow("no more")

    name = treerings.register(Guard())
    try:
        assert model().complete("How old?").text == "112 rings."
    finally:
        treerings.unregister(name)

    assert captured.step("llm").status == "cancelled"


def test_a_thousand_runs_leave_nothing_behind(captured: Capture) -> None:
    async def run(times: int) -> None:
        agent = FunctionAgent(name="counter", llm=Thinker(), tools=[], streaming=False)
        for _ in range(times):
            await agent.run("How old?")

    asyncio.run(run(50))
    model = MockLLM()
    for _ in range(950):
        list(model.stream_complete("oak"))
    assert (len(TRANSLATOR.spans), len(TRANSLATOR.streams), len(TRANSLATOR.runs)) == (0, 0, 0)
    assert len(TRANSLATOR.spans._ended) <= 2_000
    assert not any(span.call or span.error or span.held for span in TRANSLATOR.spans._ended.values())


def test_the_tables_have_bounds() -> None:
    from treerings_llamaindex.spans import Span, Spans

    spans = Spans(max_open=10, max_ended=5)
    for number in range(100):
        spans.add(Span(str(number), "", "", "", None))
    assert (len(spans), spans.open("99") is not None, spans.open("0")) == (10, True, None)
    for number in range(100):
        spans.end(str(number))
    assert (len(spans), len(spans._ended)) == (0, 5)


def test_runs_that_begin_the_next_one_are_no_endless_chain() -> None:
    from treerings_llamaindex.spans import Span, Spans

    spans, latest = Spans(), Span("0", "", "", "", None)
    for number in range(1, 100):
        spans.add(latest)
        spans.end(latest.id)
        latest = Span(str(number), "", "", "", latest)

    assert latest.parent is None


def test_nothing_of_the_program_is_kept_alive(captured: Capture, model: Models, server: ModelServer) -> None:
    import weakref

    class Note:
        pass

    def fail() -> None:
        note = Note()
        notes.append(weakref.ref(note))
        server.fail(400, message="no such model")
        model().chat(HELLO)

    notes: list[weakref.ref[Note]] = []
    with pytest.raises(Exception, match="no such model"):
        fail()
    gc.collect()

    assert notes[0]() is None


class Thinker(MockLLM):
    """Answers, and may be given tools."""

    @property
    def metadata(self) -> Any:
        return super().metadata.model_copy(update={"is_function_calling_model": True})

    async def achat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponse:
        return await self.achat(HELLO)

    def get_tool_calls_from_response(self, *args: Any, **kwargs: Any) -> list[Any]:
        return []
