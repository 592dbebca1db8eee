"""`instrument` adds one processor beside the SDK's, says when there is nothing to see, and can be undone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from agents import Runner, add_trace_processor, custom_span, set_tracing_disabled, trace
from agents.tracing import TracingProcessor, get_trace_provider
from treerings.testing import Answer, Capture, ModelServer, ToolCall
from treerings_openai_agents import TreeringsProcessor, integration
from treerings_openai_agents.spans import SPANS

Make = Callable[..., Any]


class Other(TracingProcessor):
    def __init__(self) -> None:
        self.spans = 0

    def on_trace_start(self, trace: Any) -> None: ...
    def on_trace_end(self, trace: Any) -> None: ...
    def on_span_start(self, span: Any) -> None: ...
    def on_span_end(self, span: Any) -> None:
        self.spans += 1

    def shutdown(self) -> None: ...
    def force_flush(self) -> None: ...


def _processors() -> list[Any]:
    return list(get_trace_provider()._multi_processor._processors)  # type: ignore[attr-defined]


def test_other_processors_stay(captured: Capture) -> None:
    other = Other()
    add_trace_processor(other)

    with trace("survey"), custom_span("measure"):
        pass
    integration.uninstrument()

    assert other.spans == 1
    assert other in _processors()
    assert not [one for one in _processors() if isinstance(one, TreeringsProcessor)]


def test_twice_is_once(captured: Capture) -> None:
    integration.instrument()

    assert len([one for one in _processors() if isinstance(one, TreeringsProcessor)]) == 1


def test_two_processors_record_a_trace_once(captured: Capture) -> None:
    add_trace_processor(TreeringsProcessor())

    with trace("survey"), custom_span("measure"):
        pass

    assert captured.outline() == "workflow survey\n  chain measure"


def test_after_uninstrument_nothing_is_recorded(captured: Capture) -> None:
    integration.uninstrument()

    with trace("survey"):
        pass

    assert captured.outline() == ""


def test_disabled_tracing_is_said(captured: Capture, caplog: pytest.LogCaptureFixture) -> None:
    integration.uninstrument()
    set_tracing_disabled(True)
    try:
        with caplog.at_level(logging.WARNING, "treerings"):
            integration.instrument()
    finally:
        set_tracing_disabled(False)

    assert "tracing is disabled" in caplog.text


def test_the_probe_works_with_tracing_disabled_and_sends_nothing_elsewhere(captured: Capture) -> None:
    other = Other()
    add_trace_processor(other)
    set_tracing_disabled(True)

    def answer(request: Any) -> Answer:
        return Answer("112") if request.tool_result else Answer(tool_calls=[ToolCall("ring_count", {"tree": "oak"})])

    try:
        with ModelServer(default=answer) as server:
            integration.probe(server.base_url)
    finally:
        set_tracing_disabled(False)

    assert {"agent", "llm", "tool"} <= {str(step.kind) for step in captured.steps}
    assert other.spans == 0


def test_many_traces_leave_nothing(captured: Capture) -> None:
    for _ in range(1_000):
        with trace("survey"), custom_span("measure"):
            pass

    assert len(SPANS) == 0


def test_repeated_and_unknown_ends_do_no_harm(captured: Capture) -> None:
    processor = TreeringsProcessor()
    with trace("survey") as survey, custom_span("measure") as span:
        pass
    processor.on_span_end(span)
    processor.on_trace_end(survey)
    processor.on_span_start(span)

    assert captured.outline() == "workflow survey\n  chain measure"


def test_a_failure_of_ours_does_not_reach_the_run(
    captured: Capture, server: ModelServer, agent: Make, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured.recorder, "start", lambda *_args, **_options: 1 / 0)
    server.say("112")

    assert run(Runner.run(agent(), "How old?")).final_output == "112"


def test_the_package_imports_no_framework(run_program: Callable[..., Any]) -> None:
    run_program("""
        import sys
        import treerings_openai_agents, treerings_openai_agents.plugin
        assert "agents" not in sys.modules
    """)
