"""The part of `StoreTests` about deletion, reopening, several users at once, and tailing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

import pytest

from treerings.queries import Tailing
from treerings.store import Filter, Store

from .store_samples import agree, listed, make_step, make_workflow, read, tree, workflow_id

__all__ = ["LifetimeTests"]


class LifetimeTests:
    """What goes, what stays, and who sees it when."""

    persistent: bool

    # -- deletion ----------------------------------------------------------------------------------------------------

    def test_deletion_takes_whole_workflows_and_counts_their_steps(self, store: Store) -> None:
        store.write([*make_workflow(1, model="old"), *make_workflow(2)])
        assert store.delete(Filter(model="old")) == 4
        assert [found.id for found in store.workflows()] == [workflow_id(2)]
        assert (store.workflow(workflow_id(1)), store.totals()[0].steps) == (None, 4)

    def test_deletion_of_nothing_is_zero(self, store: Store) -> None:
        store.write(make_workflow())
        assert store.delete(Filter(model="unheard of")) == 0

    def test_deletion_keeps_to_its_limit_the_newest_first(self, store: Store) -> None:
        store.write([*make_workflow(1), *make_workflow(2, after=60)])
        store.delete(Filter(limit=1))
        assert [found.id for found in store.workflows()] == [workflow_id(1)]

    def test_what_was_deleted_can_be_written_again(self, store: Store) -> None:
        store.write(make_workflow(labels={"team": "growth"}))
        store.delete(Filter(labels={"team": "growth"}))
        store.write(make_workflow())
        assert read(store, 2).input == {"messages": ["What is a tree ring?"]}
        agree(store)

    # -- lifetime ----------------------------------------------------------------------------------------------------

    def test_what_was_written_is_there_after_reopening(self, store: Store, open_store: Callable[[], Store]) -> None:
        if not self.persistent:
            pytest.skip("keeps nothing beyond its own life")
        store.write(make_workflow())
        store.close()
        again = open_store()
        assert [step.id for step in tree(again).steps] == [step.id for step in make_workflow()]
        again.close()

    def test_two_open_stores_see_each_other(self, store: Store, open_store: Callable[[], Store]) -> None:
        if not self.persistent:
            pytest.skip("keeps nothing beyond its own life")
        other = open_store()
        store.write([make_step(0), make_step(1, cost="0.1")])
        other.write([make_step(2, cost="0.2")])
        assert listed(store).totals.cost_usd == Decimal("0.3")
        other.close()
        agree(store)

    def test_a_second_close_does_nothing(self, store: Store) -> None:
        store.close()
        store.close()

    def test_a_reader_beside_the_writer_sees_whole_batches(self, store: Store) -> None:
        def write() -> None:
            for number in range(1, 41):
                store.write(make_workflow(number))

        writer = threading.Thread(target=write)
        writer.start()
        seen = set()
        while writer.is_alive():
            seen |= {totals.steps for totals in store.totals(["workflow_id"])}
        writer.join()
        assert seen <= {4}
        assert store.totals()[0].steps == 160

    # -- tailing, where it is offered ----------------------------------------------------------------------------------

    def test_changes_are_what_was_written_since(self, store: Store) -> None:
        tailing = self._tailing(store)
        store.write([make_step(1), make_step(2)])
        cursor, steps = tailing.changes(0)
        store.write([make_step(3), make_step(1, cost="0.5", input="asked")])
        later, fresh = tailing.changes(cursor)
        assert [step.sequence for step in steps] == [1, 2]
        assert fresh == [make_step(3), make_step(1, cost="0.5", input="asked")]
        assert tailing.changes(later) == (later, [])

    def test_changes_come_in_portions(self, store: Store) -> None:
        tailing = self._tailing(store)
        store.write([make_step(number) for number in range(1, 6)])
        cursor, first = tailing.changes(0, limit=3)
        _, second = tailing.changes(cursor, limit=3)
        assert [step.sequence for step in (*first, *second)] == [1, 2, 3, 4, 5]

    def test_no_cursor_means_from_now_on(self, store: Store) -> None:
        tailing = self._tailing(store)
        store.write([make_step(1)])
        cursor, steps = tailing.changes()
        store.write([make_step(2)])
        assert steps == []
        assert [step.sequence for step in tailing.changes(cursor)[1]] == [2]

    def test_changes_after_a_deletion_are_not_missed(self, store: Store) -> None:
        tailing = self._tailing(store)
        store.write(make_workflow(1))
        cursor, _ = tailing.changes()
        store.delete(Filter())
        store.write(make_workflow(2))
        assert [step.workflow_id for step in tailing.changes(cursor)[1]] == [workflow_id(2)] * 4

    def _tailing(self, store: Store) -> Tailing:
        if not isinstance(store, Tailing):
            pytest.skip("offers no tailing")
        return store
