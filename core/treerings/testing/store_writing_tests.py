"""The part of `StoreTests` about what a store keeps."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from treerings.events import Kind, Status
from treerings.store import Store
from treerings.usage import Usage

from .store_samples import agree, listed, make_step, make_workflow, read, step_id, tree, workflow_id

__all__ = ["WritingTests"]


class WritingTests:
    """Steps that come back as they were, whatever they hold and in whatever order they came."""

    keeps_nul: bool

    def test_a_step_comes_back_as_it_was_written(self, store: Store) -> None:
        step = replace(
            make_step(
                name="chat",
                agent="writer",
                model="gpt-4o",
                provider="openai",
                cost="0.0123",
                counted=False,
                estimated=True,
                error="too long",
                session_id="s",
                user_id="u",
                tenant_id="t",
                labels={"team": "growth"},
                attributes={"temperature": 0.5, "tags": ["a", None]},
                input={"messages": [{"role": "user", "content": "hi"}]},
                output=["hello", 1, True],
            ),
            first_token_ms=12.5,
            price={"source": "user", "rule": "gpt-4o"},
        )
        store.write([step])
        assert read(store) == step

    def test_a_step_of_which_little_is_known_comes_back_as_it_was_written(self, store: Store) -> None:
        step = make_step(status=Status.RUNNING)
        store.write([step])
        assert read(store) == step

    @pytest.mark.parametrize("kind", Kind)
    def test_every_kind_is_kept(self, store: Store, kind: Kind) -> None:
        store.write([make_step(kind=kind)])
        assert read(store).kind is kind

    @pytest.mark.parametrize("status", Status)
    def test_every_status_is_kept(self, store: Store, status: Status) -> None:
        store.write([make_step(0, status=status)])
        assert (tree(store).status, listed(store).status) == (status, status)

    def test_times_are_exact_to_the_microsecond(self, store: Store) -> None:
        step = replace(make_step(), started_ns=1_767_225_600_999_999_000, ended_ns=1_767_225_601_000_001_000)
        store.write([step])
        assert (read(store).started_ns, read(store).ended_ns) == (step.started_ns, step.ended_ns)

    def test_the_whole_usage_vector_is_kept(self, store: Store) -> None:
        usage = Usage(
            input_tokens=9, cache_read_tokens=3, requests={"web_search": 2}, service_tier="batch", cache_hit=True
        )
        store.write([make_step(usage=usage)])
        assert read(store).usage == usage

    def test_usage_of_which_nothing_is_known_is_not_no_usage(self, store: Store) -> None:
        store.write([make_step(1, usage=Usage()), make_step(2, usage=None)])
        assert (read(store, 1).usage, read(store, 2).usage) == (Usage(), None)

    @pytest.mark.parametrize("cost", ["0", "0.1", "0.000000075", "12345.6789", "0.123456789012"])
    def test_costs_stay_decimal(self, store: Store, cost: str) -> None:
        store.write([make_step(cost=cost)])
        assert read(store).cost_usd == Decimal(cost)

    @pytest.mark.parametrize(
        "text", ["", "naïve 日本語", "🌲🌳", "a\x00b", "line\nline\r\n", "'; DROP TABLE step; --", "%s ? :x {}"]
    )
    def test_any_text_is_kept(self, store: Store, text: str) -> None:
        step = make_step(name=text, model=text, error=text, labels={"k": text}, attributes={"k": text}, input=text)
        store.write([step])
        if not self.keeps_nul:
            text = text.replace("\0", "\ufffd")
            step = replace(step, name=text, model=text, error=text, labels={"k": text})
        assert read(store) == step

    def test_lone_surrogates_do_no_harm(self, store: Store) -> None:
        text = "half \ud83c a tree"
        store.write([make_step(name=text, labels={"k": text}, input={"k": text}), make_step(2, name="whole")])
        assert read(store).name in (text, text.replace("\ud83c", "?"))
        assert read(store, 2).name == "whole"

    def test_numbers_of_any_size_do_no_harm(self, store: Store) -> None:
        store.write([make_step(1, tokens=(10**30, 1), input=10**30), make_step(2, name="whole")])
        assert read(store, 2).name == "whole"

    def test_a_payload_of_five_megabytes_is_kept(self, store: Store) -> None:
        store.write([make_step(input="tree " * 1_000_000)])
        assert read(store).input == "tree " * 1_000_000

    def test_a_large_batch_is_kept_whole(self, store: Store) -> None:
        store.write([make_step(number, cost="0.001", after=number) for number in range(3_001)])
        assert (listed(store).totals.steps, listed(store).totals.cost_usd) == (3_001, Decimal("3.001"))

    def test_an_empty_batch_is_nothing(self, store: Store) -> None:
        store.write([])
        assert store.workflows() == []

    # -- states ------------------------------------------------------------------------------------------------------

    def test_the_same_batch_twice_is_once(self, store: Store) -> None:
        store.write(make_workflow())
        once = (tree(store), listed(store), store.totals())
        store.write(make_workflow())
        assert (tree(store), listed(store), store.totals()) == once

    def test_a_running_step_ends(self, store: Store) -> None:
        store.write([make_step(0, status=Status.RUNNING), make_step(status=Status.RUNNING)])
        store.write([make_step(tokens=(3, 4), cost="0.5"), make_step(0, seconds=9)])
        assert (listed(store).status, listed(store).duration_ms) == (Status.OK, 9000)
        assert (listed(store).totals.cost_usd, listed(store).totals.output_tokens) == (Decimal("0.5"), 4)
        agree(store)

    def test_a_changed_cost_replaces_the_earlier_one(self, store: Store) -> None:
        store.write([make_step(1, cost="0.1"), make_step(2, cost="0.2")])
        store.write([make_step(1, cost="0.3")])
        store.write([make_step(2, cost=None)])
        assert listed(store).totals.cost_usd == Decimal("0.3")
        agree(store)

    def test_what_turns_out_to_be_counted_elsewhere_is_taken_out(self, store: Store) -> None:
        store.write([make_step(1, tokens=(5, 5), cost="0.1"), make_step(2, tokens=(5, 5), cost="0.1")])
        store.write([make_step(1, tokens=(5, 5), cost="0.1", counted=False)])
        assert (listed(store).totals.llm_calls, listed(store).totals.cost_usd) == (1, Decimal("0.1"))
        agree(store)

    def test_of_two_states_in_one_batch_the_last_wins(self, store: Store) -> None:
        store.write([make_step(status=Status.RUNNING, input="asked"), make_step(tokens=(1, 2), output="answered")])
        assert read(store) == make_step(tokens=(1, 2), input="asked", output="answered")
        agree(store)

    def test_a_state_without_payload_keeps_the_stored_one(self, store: Store) -> None:
        store.write([make_step(status=Status.RUNNING, input="asked")])
        store.write([make_step(output="answered")])
        store.write([make_step(cost="1")])
        assert (read(store).input, read(store).output) == ("asked", "answered")

    def test_a_state_with_payload_replaces_the_stored_one(self, store: Store) -> None:
        store.write([make_step(input="asked")])
        store.write([make_step(input=["asked", "again"])])
        assert read(store).input == ["asked", "again"]

    @pytest.mark.parametrize("payload", [0, False, "", [], {}])
    def test_an_empty_payload_is_one(self, store: Store, payload: object) -> None:
        store.write([make_step(input="asked")])
        store.write([make_step(input=payload)])
        assert read(store).input == payload

    # -- trees -------------------------------------------------------------------------------------------------------

    def test_steps_come_in_the_order_of_their_start(self, store: Store) -> None:
        store.write([make_step(3, after=3), make_step(1, after=1)])
        store.write([make_step(2, after=2), make_step(0)])
        assert [step.sequence for step in tree(store).steps] == [0, 1, 2, 3]

    def test_steps_of_one_moment_come_in_their_sequence(self, store: Store) -> None:
        store.write([make_step(2), make_step(1), make_step(0)])
        assert [step.sequence for step in tree(store).steps] == [0, 1, 2]

    def test_a_workflow_exists_before_its_root_and_is_running(self, store: Store) -> None:
        store.write([make_step(2, name="later", after=2), make_step(1, name="earlier", after=1)])
        assert (listed(store).name, listed(store).status) == ("earlier", Status.RUNNING)
        agree(store)

    def test_the_root_tells_the_facts_when_it_comes(self, store: Store) -> None:
        store.write([make_step(1, name="child", session_id="wrong")])
        store.write([make_step(0, name="root", after=5, session_id="right", error="broke", status=Status.ERROR)])
        assert (listed(store).name, listed(store).session_id, listed(store).error) == ("root", "right", "broke")
        agree(store)

    def test_a_step_that_gets_a_parent_is_the_root_no_more(self, store: Store) -> None:
        store.write([make_step(0, name="inner"), make_step(1, name="child", after=1)])
        store.write([replace(make_step(0, name="inner", after=9), parent_id=step_id(7))])
        assert (listed(store).name, listed(store).status) == ("child", Status.RUNNING)
        agree(store)

    def test_a_step_may_turn_out_to_belong_to_another_workflow(self, store: Store) -> None:
        store.write([make_step(1, workflow=2, cost="0.5")])
        store.write([replace(make_step(1, workflow=2, cost="0.5"), workflow_id=workflow_id(1))])
        assert [(found.id, found.totals.steps) for found in store.workflows()] == [(workflow_id(1), 1)]
        assert store.workflow(workflow_id(2)) is None

    def test_an_unknown_workflow_is_none(self, store: Store) -> None:
        store.write(make_workflow())
        assert store.workflow(workflow_id(1)[:-1]) is None
