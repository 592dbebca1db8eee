"""Events and steps as JSON: there and back, and what is said of data that is neither."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from treerings import InvalidEvent, Kind, Status, Step, StepEnded, StepStarted, StepUpdated, Usage
from treerings.plain import dump_json, dump_step
from treerings.schema import dump_event, load_event, load_step

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maybe_text = st.none() | text
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
labels = st.dictionaries(text, text, max_size=2)
attributes = st.dictionaries(text, plain, max_size=2)
count = st.none() | st.integers(0, 2**40)
usages = st.builds(
    Usage,
    input_tokens=count,
    output_tokens=count,
    requests=st.dictionaries(text, st.integers(0, 9), max_size=2),
    service_tier=maybe_text,
    reported_cost_usd=st.none() | st.just("0.10"),
    cache_hit=st.booleans(),
)
ns = st.integers(0, 2**62)
times: dict[str, Any] = {"step_id": text, "workflow_id": text, "time_ns": ns, "clock_ns": ns, "sequence": ns}
kinds = st.sampled_from(Kind)
events = st.one_of(
    st.builds(
        StepStarted,
        **times,
        parent_id=maybe_text,
        kind=kinds,
        name=text,
        source=text,
        input=plain,
        model=maybe_text,
        provider=maybe_text,
        labels=st.none() | labels,
        attributes=st.none() | attributes,
    ),
    st.builds(
        StepUpdated,
        **times,
        kind=st.none() | kinds,
        name=maybe_text,
        input=plain,
        usage=st.none() | usages,
        first_token_ns=st.none() | ns,
        labels=st.none() | labels,
        attributes=st.none() | attributes,
        model=maybe_text,
        provider=maybe_text,
    ),
    st.builds(
        StepEnded,
        **times,
        status=st.sampled_from(Status),
        output=plain,
        usage=st.none() | usages,
        model=maybe_text,
        provider=maybe_text,
        error_type=maybe_text,
        error=maybe_text,
        input=plain,
        kind=st.none() | kinds,
        name=maybe_text,
        attributes=st.none() | attributes,
    ),
)
steps = st.builds(
    Step, id=text, workflow_id=text, parent_id=maybe_text, sequence=ns, kind=kinds, name=text, source=text,
    status=st.sampled_from(Status), started_ns=ns, agent=maybe_text, model=maybe_text, provider=maybe_text,
    error_type=maybe_text, error=maybe_text, ended_ns=st.none() | ns, duration_ms=st.none() | st.floats(0, 1e9),
    first_token_ms=st.none() | st.floats(0, 1e9), usage=st.none() | usages,
    cost_usd=st.none() | st.decimals(0, 1000, places=9), price=st.none() | st.just({"rule": "a/b"}),
    counted=st.booleans(), estimated=st.booleans(), session_id=maybe_text, user_id=maybe_text, tenant_id=maybe_text,
    labels=labels, attributes=attributes, input=plain, output=plain,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(events)
def test_an_event_comes_back_from_json_as_it_was(event: StepStarted | StepUpdated | StepEnded) -> None:
    assert load_event(orjson.loads(dump_json(dump_event(event)))) == event


@settings(max_examples=100, deadline=None)
@given(steps)
def test_a_step_comes_back_from_json_as_it_was(step: Step) -> None:
    assert load_step(orjson.loads(dump_json(dump_step(step)))) == step


def test_what_json_cannot_hold_becomes_text() -> None:
    value = {"huge": 10**30, "nan": float("nan"), "lone": "a\ud800b", "money": Decimal("1.50"), 5: {"deep": object()}}
    assert orjson.loads(dump_json(value)) == {
        "huge": "1" + "0" * 30,
        "nan": None,
        "lone": "a?b",
        "money": "1.50",
        "5": {"deep": "<object>"},
    }


STARTED: dict[str, Any] = {
    "type": "step_started",
    "step_id": "a",
    "workflow_id": "a",
    "kind": "tool",
    "name": "search",
    "source": "test",
    "time_ns": 1,
    "clock_ns": 1,
    "sequence": 1,
}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "An event is a mapping whose 'type' is one of step_started, step_updated, step_ended; got None"),
        ({"type": ["x"]}, "An event is a mapping whose 'type' is one of"),
        ({**STARTED, "modle": "gpt"}, "Invalid StepStarted: no field is called modle; did you mean 'model'?"),
        ({**STARTED, "kind": "tol"}, "Invalid StepStarted: kind: Input should be 'workflow', 'agent'"),
        ({**STARTED, "sequence": "soon"}, "Invalid StepStarted: sequence: Input should be a valid integer"),
        ({"type": "step_ended", "step_id": "a"}, "Invalid StepEnded: workflow_id: Field required"),
    ],
)
def test_what_is_no_event_is_said_in_a_line(data: object, message: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        load_event(data)
    assert str(raised.value).startswith(message)


def test_an_unknown_field_of_usage_is_named() -> None:
    data = dump_step(Step("a", "a", None, 1, Kind.LLM, "m", "test", Status.OK, 1))
    with pytest.raises(InvalidEvent) as raised:
        load_step({**data, "usage": {"input_token": 1}})
    assert str(raised.value) == "Invalid Usage: no field is called usage.input_token; did you mean 'input_tokens'?"
