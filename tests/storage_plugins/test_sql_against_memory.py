"""Whatever is written in whatever order, SQL answers what plain Python answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from math import isclose
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from treerings.events import Kind, Status
from treerings.memory import MemoryStore
from treerings.records import Step, Totals, Workflow
from treerings.store import DIMENSIONS, Filter, Store
from treerings.testing.store_tests import START, make_step, step_id, workflow_id
from treerings.usage import Usage
from treerings_jsonl.plugin import JsonlStore
from treerings_sql.store import SqlStore

_NAMES = st.sampled_from(["a", "b", "ü 🌲", "x'y"])
_MAYBE = st.none() | _NAMES
_LABELS = st.dictionaries(st.sampled_from(["team", "sta ge"]), _NAMES, max_size=2)
_COUNTS = st.none() | st.integers(0, 10**9)
_USAGES = st.none() | st.builds(
    Usage,
    input_tokens=_COUNTS,
    output_tokens=_COUNTS,
    cache_read_tokens=_COUNTS,
    cache_write_tokens=_COUNTS,
    reasoning_tokens=_COUNTS,
)
_COSTS = st.none() | st.decimals(0, 1000, places=9, allow_nan=False)
_PAYLOADS: st.SearchStrategy[Any] = st.sampled_from([None, None, "text", {"k": [1, None]}, []])


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    number = draw(st.integers(0, 4))
    step = make_step(
        number,
        workflow=draw(st.integers(1, 3)),
        kind=draw(st.sampled_from([Kind.LLM, Kind.TOOL, Kind.AGENT, Kind.EMBEDDING])),
        name=draw(_NAMES),
        source=draw(_NAMES),
        status=draw(st.sampled_from(Status)),
        after=draw(st.sampled_from([0.0, 0.000001, 1.5, 3600.25, 90_000.0])),
        seconds=draw(st.none() | st.sampled_from([0.0, 0.125, 3.5])),
        usage=draw(_USAGES),
        counted=draw(st.booleans()),
        estimated=draw(st.booleans()),
        agent=draw(_MAYBE),
        model=draw(_MAYBE),
        provider=draw(_MAYBE),
        error=draw(_MAYBE),
        session_id=draw(_MAYBE),
        user_id=draw(_MAYBE),
        tenant_id=draw(_MAYBE),
        labels=draw(_LABELS),
        input=draw(_PAYLOADS),
        output=draw(_PAYLOADS),
    )
    step = replace(step, cost_usd=draw(_COSTS))
    if draw(st.integers(0, 9)) == 0:  # a root that is none any more, a step that changes its tree
        step = replace(step, parent_id=step_id(4), workflow_id=workflow_id(draw(st.integers(1, 3))))
    return step


_BATCHES = st.lists(st.lists(_steps(), max_size=6), max_size=6)
_FILTERS = st.builds(
    Filter,
    since=st.none() | st.just(START),
    until=st.none() | st.just(START.replace(hour=23)),
    workflow_id=st.none() | st.sampled_from(["", "a", workflow_id(1), "zz"]),
    kind=st.none() | st.sampled_from(["llm", "tool"]),
    name=_MAYBE,
    agent=_MAYBE,
    model=_MAYBE,
    status=st.none() | st.sampled_from(["ok", "running"]),
    session_id=_MAYBE,
    labels=_LABELS,
    limit=st.none() | st.integers(0, 3),
    offset=st.integers(0, 2),
)
_BY = st.lists(st.sampled_from([*DIMENSIONS, "label:team", "label:sta ge"]), max_size=3, unique=True)


def _close(one: Totals, other: Totals) -> bool:
    """Equal, money and durations to 12 significant digits."""
    return all(
        isclose(getattr(one, field.name), getattr(other, field.name), rel_tol=1e-12)
        if isinstance(getattr(one, field.name), float | Decimal)
        else getattr(one, field.name) == getattr(other, field.name)
        for field in fields(Totals)
    )


def _same(one: list[Workflow], other: list[Workflow]) -> bool:
    return [replace(found, totals=Totals()) for found in one] == [
        replace(found, totals=Totals()) for found in other
    ] and all(_close(a.totals, b.totals) for a, b in zip(one, other, strict=True))


def _by_key(totals: list[Totals]) -> dict[tuple[tuple[str, str | None], ...], Totals]:
    return {tuple(entry.key.items()): entry for entry in totals}


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "jsonl"])
def open_empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Store]:
    if request.param == "sqlite":
        return lambda: SqlStore("sqlite://")
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")

        def emptied() -> Store:
            store = SqlStore(server)
            store.delete(Filter())
            return store

        return emptied
    return lambda: JsonlStore(f"jsonl:///{tmp_path_factory.mktemp('store')}/steps.jsonl")


@settings(max_examples=80, deadline=None)
@given(batches=_BATCHES, filter=_FILTERS, by=_BY)
def test_every_answer_is_that_of_the_memory_store(
    open_empty: Callable[[], Store], batches: list[list[Step]], filter: Filter, by: list[str]
) -> None:
    memory, store = MemoryStore(), open_empty()
    for batch in batches:
        memory.write(batch)
        store.write(batch)
    for number in (1, 2, 3):
        ours, theirs = store.workflow(workflow_id(number)), memory.workflow(workflow_id(number))
        assert (ours is None) == (theirs is None)
        assert ours is None or theirs is None or _same([ours], [theirs])
    assert _same(store.workflows(), memory.workflows())
    assert _same(store.workflows(filter), memory.workflows(filter))
    ours_by, theirs_by = _by_key(store.totals(by, filter)), _by_key(memory.totals(by, filter))
    assert ours_by.keys() == theirs_by.keys()
    assert all(_close(entry, theirs_by[key]) for key, entry in ours_by.items())
    assert store.changes(0)[1] == memory.changes(0)[1]  # type: ignore[attr-defined]  # both offer tailing
    assert store.delete(filter) == memory.delete(filter)
    assert _same(store.workflows(), memory.workflows())
    store.close()
