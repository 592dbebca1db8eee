"""The part of `StoreTests` about what a store answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal

import pytest

from treerings.errors import UnknownName
from treerings.events import Kind, Status
from treerings.records import Totals
from treerings.store import DIMENSIONS, Filter, Store
from treerings.usage import Usage

from .store_samples import START, make_step, make_workflow, step_id, workflow_id

__all__ = ["ReadingTests"]


def numbers(store: Store, filter: Filter | None = None) -> list[int]:
    """The numbers of the sample workflows that are found, in the order of the answer."""
    return [int(found.id[1:], 16) for found in store.workflows(filter)]


def by(store: Store, *names: str, filter: Filter | None = None) -> dict[tuple[str | None, ...], Totals]:
    """Totals by the values of their dimensions."""
    return {tuple(entry.key[name] for name in names): entry for entry in store.totals(names, filter)}


def _three(store: Store) -> None:
    """One workflow a minute, with everything that can be asked for different in the second."""
    store.write(make_workflow(1))
    other = make_workflow(
        2, after=60, model="claude", agent="critic", status=Status.ERROR, session_id="s-2", labels={"team": "growth"}
    )
    changed = {"source": "crewai", "user_id": "u-2", "tenant_id": "t-2"}
    other = [replace(step, **changed) for step in other]  # type: ignore[arg-type]  # all of them text
    other[0].name = "crew"
    other[2].provider = "anthropic"
    other.append(make_step(4, workflow=2, parent=1, kind=Kind.RETRIEVER, after=63))
    store.write(other)
    store.write(make_workflow(3, after=120))


_OF_THE_SECOND = [
    Filter(since=START + timedelta(seconds=60), until=START + timedelta(seconds=120)),
    Filter(workflow_id=workflow_id(2)),
    Filter(kind="retriever"),
    Filter(name="crew"),
    Filter(source="crewai"),
    Filter(agent="critic"),
    Filter(model="claude"),
    Filter(provider="anthropic"),
    Filter(status="error"),
    Filter(session_id="s-2"),
    Filter(user_id="u-2"),
    Filter(tenant_id="t-2"),
    Filter(labels={"team": "growth"}),
    Filter(model="claude", kind="retriever", status="error", labels={"team": "growth"}, since=START),
]


class ReadingTests:
    """Listings, filters and totals."""

    def test_workflows_come_without_steps_the_newest_first(self, store: Store) -> None:
        _three(store)
        assert numbers(store) == [3, 2, 1]
        assert all(found.steps == [] for found in store.workflows())

    def test_workflows_come_with_their_totals(self, store: Store) -> None:
        store.write(make_workflow(cost="0.25"))
        (found,) = store.workflows()
        assert found.totals == Totals(
            workflows=1,
            steps=4,
            llm_calls=1,
            tool_calls=1,
            input_tokens=30,
            output_tokens=10,
            cost_usd=Decimal("0.25"),
            duration_ms=9000,
        )

    @pytest.mark.parametrize("filter", _OF_THE_SECOND, ids=repr)
    def test_each_field_of_a_filter_finds_workflows(self, store: Store, filter: Filter) -> None:
        _three(store)
        assert numbers(store, filter) == [2]

    @pytest.mark.parametrize(
        "filter",
        [
            Filter(name="llm"),
            Filter(model="claude", agent="writer"),
            Filter(labels={"team": "sales"}),
            Filter(labels={"team": "growth", "stage": "prod"}),
            Filter(workflow_id=step_id(2, 2)),
            Filter(since=START + timedelta(seconds=121)),
        ],
        ids=repr,
    )
    def test_a_filter_that_nothing_matches_finds_nothing(self, store: Store, filter: Filter) -> None:
        _three(store)
        assert numbers(store, filter) == []

    def test_the_beginning_of_an_id_finds_workflows(self, store: Store) -> None:
        store.write([make_step(0, workflow=0x10), make_step(0, workflow=0x11), make_step(0, workflow=0x20)])
        assert numbers(store, Filter(workflow_id=workflow_id(0x10)[:-1])) == [0x11, 0x10]

    def test_since_is_inclusive_and_until_exclusive(self, store: Store) -> None:
        moment = START + timedelta(seconds=60)
        _three(store)
        assert numbers(store, Filter(since=moment)) == [3, 2]
        assert numbers(store, Filter(until=moment)) == [1]

    def test_times_of_other_zones_are_understood(self, store: Store) -> None:
        _three(store)
        moment = (START + timedelta(seconds=60)).astimezone(timezone(timedelta(hours=-8)))
        assert numbers(store, Filter(since=moment)) == [3, 2]

    def test_limit_and_offset_cut_after_the_filter(self, store: Store) -> None:
        _three(store)
        assert numbers(store, Filter(limit=1, offset=1)) == [2]
        assert numbers(store, Filter(offset=2)) == [1]
        assert numbers(store, Filter(source="user", limit=2)) == [3, 1]
        assert numbers(store, Filter(limit=0)) == []

    # -- totals ------------------------------------------------------------------------------------------------------

    def test_totals_over_nothing_are_one_entry_of_zeros(self, store: Store) -> None:
        assert store.totals() == [Totals()]
        assert store.totals(["model"]) == []

    def test_totals_over_everything(self, store: Store) -> None:
        _three(store)
        (found,) = store.totals()
        assert found == Totals(
            workflows=3,
            steps=13,
            llm_calls=3,
            tool_calls=3,
            failed_steps=1,
            input_tokens=90,
            output_tokens=30,
            cost_usd=Decimal("0.75"),
            duration_ms=28_000,
        )

    @pytest.mark.parametrize(
        ("dimension", "steps"),
        [
            ("agent", {"writer": 6, "critic": 3, None: 4}),
            ("day", {"2026-01-01": 13}),
            ("hour", {"2026-01-01T22": 13}),
            ("kind", {"workflow": 3, "agent": 3, "llm": 3, "tool": 3, "retriever": 1}),
            ("model", {"gpt-4o-mini": 2, "claude": 1, None: 10}),
            ("name", {"workflow": 2, "crew": 1, "agent": 3, "llm": 3, "search": 3, "retriever": 1}),
            ("provider", {"openai": 2, "anthropic": 1, None: 10}),
            ("session_id", {"s-2": 4, None: 9}),
            ("source", {"user": 9, "crewai": 4}),
            ("status", {"ok": 12, "error": 1}),
            ("tenant_id", {"t-2": 4, None: 9}),
            ("user_id", {"u-2": 4, None: 9}),
            ("workflow_id", {workflow_id(1): 4, workflow_id(2): 5, workflow_id(3): 4}),
            ("label:team", {"growth": 4, None: 9}),
            ("label:unheard of", {None: 13}),
        ],
    )
    def test_totals_by_each_dimension(self, store: Store, dimension: str, steps: dict[str | None, int]) -> None:
        _three(store)
        assert {key[0]: entry.steps for key, entry in by(store, dimension).items()} == steps

    def test_every_dimension_can_be_asked_for(self, store: Store) -> None:
        store.write(make_workflow())
        assert all(store.totals([name]) for name in DIMENSIONS)

    def test_totals_by_several_dimensions(self, store: Store) -> None:
        _three(store)
        found = by(store, "agent", "label:team", "kind")
        assert found["critic", "growth", "llm"].cost_usd == Decimal("0.25")
        assert found["writer", None, "llm"].steps == 2

    def test_a_dimension_said_twice_is_one(self, store: Store) -> None:
        store.write(make_workflow())
        assert [entry.key for entry in store.totals(["source", "source"])] == [{"source": "user"}]

    @pytest.mark.parametrize("key", ["a.b", 'quo"te', "$.x", "ключ", "0", ""])
    def test_labels_may_have_any_key(self, store: Store, key: str) -> None:
        store.write([make_step(labels={key: "v"})])
        assert numbers(store, Filter(labels={key: "v"})) == [1]
        if key:
            assert list(by(store, f"label:{key}")) == [("v",)]

    def test_the_most_expensive_come_first(self, store: Store) -> None:
        store.write([make_step(1, model="b", cost="1"), make_step(2, model="a", cost="2"), make_step(3, model="c")])
        assert [entry.key["model"] for entry in store.totals(["model"])] == ["a", "b", "c"]

    @pytest.mark.parametrize("dimension", ["colour", "", "label:", "id", "started_at; --"])
    def test_an_unknown_dimension_is_an_error_that_lists_what_exists(self, store: Store, dimension: str) -> None:
        with pytest.raises(UnknownName, match="workflow_id, label:KEY"):
            store.totals([dimension])

    def test_totals_filter_steps_by_their_own_fields(self, store: Store) -> None:
        _three(store)
        (found,) = store.totals(filter=Filter(model="gpt-4o-mini", since=START + timedelta(seconds=60), limit=1))
        assert (found.workflows, found.steps, found.input_tokens) == (1, 1, 30)

    def test_totals_by_label_look_at_the_step_itself(self, store: Store) -> None:
        store.write([make_step(0, labels={"team": "growth"}), make_step(1, cost="1", labels={"team": "sales"})])
        assert store.totals(filter=Filter(labels={"team": "growth"}))[0].steps == 1

    def test_uncounted_usage_stays_out_of_totals(self, store: Store) -> None:
        store.write([make_step(1, tokens=(5, 5), cost="1"), make_step(2, tokens=(5, 5), cost="1", counted=False)])
        (found,) = store.totals()
        assert (found.steps, found.llm_calls, found.input_tokens, found.cost_usd) == (2, 1, 5, Decimal(1))

    def test_calls_of_unknown_cost_are_counted_and_not_free(self, store: Store) -> None:
        store.write(
            [
                make_step(1, tokens=(5, 5)),
                make_step(2, cost="0"),
                make_step(3, status=Status.RUNNING),
                make_step(4, status=Status.ERROR),
                make_step(5, status=Status.ERROR, tokens=(1, 1)),
                make_step(6, kind=Kind.EMBEDDING),
                make_step(7, kind=Kind.TOOL),
                make_step(8, counted=False),
            ]
        )
        assert store.totals()[0].unpriced_calls == 3
        assert store.workflows()[0].totals.unpriced_calls == 3

    def test_estimated_calls_are_counted(self, store: Store) -> None:
        store.write([make_step(1, tokens=(5, 5), estimated=True), make_step(2, tokens=(5, 5))])
        assert store.totals()[0].estimated_calls == 1

    def test_the_parts_of_tokens_add_up(self, store: Store) -> None:
        usage = Usage(input_tokens=9, cache_read_tokens=3, cache_write_tokens=2, reasoning_tokens=1)
        store.write([make_step(1, usage=usage), make_step(2, usage=usage)])
        (found,) = store.totals()
        assert (found.cache_read_tokens, found.cache_write_tokens, found.reasoning_tokens) == (6, 4, 2)

    def test_costs_add_up_as_decimals(self, store: Store) -> None:
        store.write([make_step(number, cost="0.1") for number in range(1, 11)])
        assert store.totals()[0].cost_usd == Decimal("1.0")

    def test_days_and_hours_are_utc(self, store: Store) -> None:
        store.write([make_step(1), make_step(2, after=2 * 3600)])
        assert set(by(store, "day", "hour")) == {("2026-01-01", "2026-01-01T22"), ("2026-01-02", "2026-01-02T00")}
