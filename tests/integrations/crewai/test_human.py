"""Flows that wait for a person."""

from __future__ import annotations

from typing import Any

import pytest
from crewai.flow.async_feedback import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback
from treerings.testing import Capture


class Later:
    """Asks, and does not wait for the answer."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Any) -> str:
        raise HumanFeedbackPending(context=context)


def test_a_flow_that_waits_for_a_person_is_interrupted_up_to_its_root(captured: Capture) -> None:
    class Survey(Flow):
        @start()
        @human_feedback(message="Is it an oak?", provider=Later())
        def look(self) -> str:
            return "an oak"

        @listen(look)
        def report(self, said: Any) -> str:
            return "reported"

    Survey().kickoff()

    assert captured.outline() == "workflow Survey interrupted\n  node look interrupted"


def test_what_a_person_is_asked_and_answers_is_a_step(captured: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "yes")

    class Survey(Flow):
        @start()
        @human_feedback(message="Is it an oak?")
        def look(self) -> str:
            return "an oak"

    Survey().kickoff()

    asked = captured.step("human")
    assert (asked.name, asked.output, asked.status) == ("look feedback", "yes", "ok")
    assert asked.input["message"] == "Is it an oak?"
    assert asked.parent_id == captured.step("node").id
