"""Calls that a guard stops before they are made."""

from __future__ import annotations

import pytest
import treerings
from treerings import Kind, Status, StopWorkflow
from treerings.registry import Registry
from treerings.testing import capture


class NoModels:
    @treerings.hookimpl
    def step_starting(self, step: treerings.StepStarted) -> None:
        if step.kind is Kind.LLM:
            raise StopWorkflow("no models today")


def test_a_stopped_model_call_is_neither_counted_nor_unpriced() -> None:
    registry = Registry(entry_points=False)
    registry.register(NoModels(), "no models")
    with capture(registry=registry) as captured:
        with pytest.raises(StopWorkflow), treerings.step("llm", "chat", model="gpt-4o", input="How old?"):
            raise AssertionError("the call was made")
        totals = captured.workflow.totals
        assert (totals.llm_calls, totals.unpriced_calls, captured.workflow.status) == (0, 0, Status.CANCELLED)
