"""What older versions of CrewAI do not have yet."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

pytest.importorskip("crewai")

from crewai.events import event_bus
from treerings import runtime
from treerings.testing import capture
from treerings_crewai import listener
from treerings_crewai.ends import ENDS


def test_an_end_of_a_model_call_that_tells_no_usage_is_an_end() -> None:
    event = SimpleNamespace(type="llm_call_completed", call_id="1", response="112 rings.")

    with capture():
        end = ENDS[event.type](runtime.current_recorder(), None, event)

    assert (end.key, end.output, end.usage, end.attributes) == (("llm", "1"), "112 rings.", None, {})


def test_a_bus_that_never_replays_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(event_bus, "is_replaying")
    spec = importlib.util.spec_from_file_location("treerings_crewai.listener_of_an_older_bus", listener.__file__)
    assert spec is not None
    assert spec.loader is not None
    older = importlib.util.module_from_spec(spec)

    spec.loader.exec_module(older)

    assert older.is_replaying() is False
