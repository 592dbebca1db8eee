"""`instrument` waits for LiteLLM, adds one logger, and can be undone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import litellm
import pytest
import treerings
from treerings.testing import Capture, capture
from treerings_litellm import TreeringsLogger, integration
from treerings_litellm.calls import CALLS

Settled = Callable[..., str]
LISTS = ("callbacks", "input_callback", "success_callback", "failure_callback", "_async_success_callback")


def test_instrument_does_not_import_litellm(run_program: Callable[..., Any]) -> None:
    run_program("""
        import sys, treerings
        import treerings_litellm
        assert treerings.instrument("litellm").enabled == ("litellm",)
        assert "litellm" not in sys.modules
        treerings.uninstrument("litellm")
        assert not [finder for finder in sys.meta_path if "treerings" in type(finder).__module__]
    """)


def test_twice_is_once_and_uninstrument_undoes_it() -> None:
    before = {name: list(getattr(litellm, name)) for name in LISTS}
    finders = list(sys.meta_path)
    from litellm.caching.caching_handler import LLMCachingHandler

    methods = dict(vars(LLMCachingHandler))

    integration.instrument()
    integration.instrument()
    assert sum(isinstance(callback, TreeringsLogger) for callback in litellm.callbacks) == 1

    integration.uninstrument()
    integration.uninstrument()
    assert {name: list(getattr(litellm, name)) for name in LISTS} == before
    assert sys.meta_path == finders
    assert dict(vars(LLMCachingHandler)) == methods


def test_lists_that_are_replaced_do_not_lose_us(captured: Capture, settled: Settled, ask: dict[str, Any]) -> None:
    """CrewAI sets `litellm.callbacks` at each call of a model; programs set it in their first lines."""
    litellm.callbacks = []
    litellm.completion(**ask)
    litellm.success_callback = []
    litellm.completion(**ask)

    assert settled() == "llm completion\n\nllm completion"


def test_a_logger_that_is_added_by_hand(settled: Settled, captured: Capture, ask: dict[str, Any]) -> None:
    integration.uninstrument()
    litellm.callbacks.append(TreeringsLogger())

    litellm.completion(**ask)

    assert settled() == "llm completion"


def test_two_loggers_record_a_call_once(settled: Settled, captured: Capture, ask: dict[str, Any]) -> None:
    litellm.callbacks.append(TreeringsLogger())

    litellm.completion(**ask)

    assert settled() == "llm completion"


def test_after_uninstrument_nothing_is_recorded(captured: Capture, ask: dict[str, Any]) -> None:
    integration.uninstrument()

    litellm.completion(**ask)

    assert captured.outline() == ""


def test_nothing_is_recorded_while_disabled(captured: Capture, ask: dict[str, Any]) -> None:
    captured.recorder.enabled = False

    litellm.completion(**ask)

    assert len(CALLS) == 0


def test_the_probe_records_a_call(shared_server: Any, captured: Capture) -> None:
    integration.probe(shared_server.base_url)

    assert captured.outline() == "llm completion"


def test_many_calls_leave_nothing(settled: Settled, captured: Capture, ask: dict[str, Any]) -> None:
    for _ in range(300):
        litellm.completion(**ask, mock_response="oak")

    settled()
    assert len(CALLS) == 0
    assert len(captured.steps) == 300


def test_a_failure_of_ours_does_not_reach_the_caller(
    captured: Capture, ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured.recorder, "start", lambda *_args, **_options: 1 / 0)

    assert litellm.completion(**ask).choices[0].message.content == "oak"


def test_labels_of_the_surroundings(captured: Capture, settled: Settled, ask: dict[str, Any]) -> None:
    with treerings.labels(team="growth"):
        litellm.completion(**ask)

    settled()
    assert captured.step("llm").labels["team"] == "growth"


def test_what_a_call_used_is_there_at_a_flush_right_after_it(
    captured: Capture, ask: dict[str, Any], shared_server: Any
) -> None:
    """A call returns before LiteLLM's threads tell of its end."""
    for _ in range(20):
        litellm.completion(**ask)
        captured.flush()

    assert {str(step.status) for step in captured.steps} == {"ok"}
    assert all(step.usage is not None for step in captured.steps)


def test_a_capture_of_its_own_gets_the_call(ask: dict[str, Any]) -> None:
    integration.instrument()
    with capture() as first:
        pass
    assert first.outline() == ""
