"""Batches on their way into a store that fails, comes back, or refuses some of them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from treerings import Kind, Status, Step, StoreError
from treerings.delivery import Delivery
from treerings.spool import Spool


def a_step(id: str, status: str = "ok") -> Step:
    return Step(id, "w", None, 1, Kind.TOOL, id, "test", Status(status), 1_767_225_600_000_000_000)


class FlakyStore:
    """Remembers what it was given, in order; fails while `problem` is set or for the ids that it refuses."""

    url = "flaky://"

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.refused: set[str] = set()
        self.written: list[tuple[str, str]] = []
        self.opened = self.closed = self.beats = self.calls = 0

    def open(self) -> FlakyStore:
        if self.problem is not None:
            raise self.problem
        self.opened += 1
        return self

    def write(self, steps: Sequence[Step]) -> None:
        self.calls += 1
        if self.problem is not None:
            raise self.problem
        if any(step.id in self.refused for step in steps):
            raise OverflowError("too large")
        self.written += [(step.id, str(step.status)) for step in steps]

    def heartbeat(self) -> None:
        self.beats += 1

    def close(self) -> None:
        self.closed += 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> FlakyStore:
    return FlakyStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deliver(store: FlakyStore, clock: Clock, tmp_path: Path) -> Callable[..., Delivery]:
    def make(**options: int) -> Delivery:
        return Delivery(store.open, Spool(tmp_path / "spool", "a"), clock=clock, **options)  # type: ignore[arg-type]

    return make


def numbers(delivery: Delivery) -> tuple[int, int, int]:
    return delivery.stored, delivery.waiting, delivery.dropped


def test_a_store_that_is_well_gets_batches_in_order(deliver: Callable[..., Delivery], store: FlakyStore) -> None:
    delivery = deliver()
    delivery.send([a_step("a")], 1)
    delivery.send([a_step("b"), a_step("c")], 2)
    assert [id for id, _ in store.written] == ["a", "b", "c"]
    assert numbers(delivery) == (3, 0, 0)


def test_a_store_that_is_down_at_open_gets_everything_once_it_is_up(
    deliver: Callable[..., Delivery], store: FlakyStore, clock: Clock
) -> None:
    store.problem = StoreError("the server is down")
    delivery = deliver()
    delivery.send([a_step("a")], 1)
    assert (numbers(delivery), delivery.problem) == ((0, 1, 0), "the server is down")
    store.problem = None
    clock.now += 60
    delivery.send([a_step("b")], 1)
    assert [id for id, _ in store.written] == ["a", "b"]
    assert (numbers(delivery), delivery.problem) == ((2, 0, 0), None)


def test_retries_back_off_up_to_thirty_seconds(
    deliver: Callable[..., Delivery], store: FlakyStore, clock: Clock
) -> None:
    delivery = deliver()
    delivery.send([a_step("first")], 1)
    store.problem = StoreError("down")
    delivery.send([a_step("a")], 1)
    tries: list[float] = []
    for _ in range(4_000):
        clock.now += 0.1
        before = store.calls
        delivery.attempt()
        if store.calls > before:
            tries.append(clock.now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps[0] < 3 < gaps[3]
    assert 20 < max(gaps) < 40


def test_a_problem_is_logged_once(
    deliver: Callable[..., Delivery], store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.problem = StoreError("disk full")
    delivery = deliver()
    delivery.send([a_step("a")], 1)
    for _ in range(5):
        delivery.attempt(force=True)
    assert [record.getMessage() for record in caplog.records] == [
        "The store cannot be written; steps wait and are tried again: disk full"
    ]


def test_what_is_too_much_for_memory_goes_to_disk_and_comes_back_in_order(
    deliver: Callable[..., Delivery], store: FlakyStore
) -> None:
    store.problem = StoreError("down")
    delivery = deliver(max_pending=3)
    for number in range(10):
        delivery.send([a_step(f"s{number}")], 1)
    assert (delivery._pending_steps, numbers(delivery)) == (3, (0, 10, 0))
    store.problem = None
    assert delivery.attempt(force=True)
    assert [id for id, _ in store.written] == [f"s{number}" for number in range(10)]
    assert numbers(delivery) == (10, 0, 0)


def test_later_states_that_waited_on_disk_are_stored_too(deliver: Callable[..., Delivery], store: FlakyStore) -> None:
    delivery = deliver(max_pending=1)
    delivery.send([a_step("a", "running")], 1)
    store.problem = StoreError("down")
    delivery.send([a_step("a")], 0)
    delivery.send([a_step("b")], 1)
    assert not delivery.idle
    store.problem = None
    assert delivery.attempt(force=True)
    assert store.written == [("a", "running"), ("a", "ok"), ("b", "ok")]
    assert delivery.idle


def test_a_later_state_that_waits_keeps_the_delivery_busy(deliver: Callable[..., Delivery], store: FlakyStore) -> None:
    delivery = deliver()
    delivery.send([a_step("a", "running")], 1)
    store.problem = StoreError("down")
    delivery.send([a_step("a")], 0)
    assert (delivery.idle, numbers(delivery)) == (False, (1, 0, 0))


def test_a_store_that_fails_midway_is_given_the_rest_later(deliver: Callable[..., Delivery], store: FlakyStore) -> None:
    delivery = deliver()
    delivery.send([a_step("a")], 1)
    store.problem = ConnectionResetError("gone")
    delivery.send([a_step("b")], 1)
    delivery.send([a_step("c")], 1)
    assert (numbers(delivery), delivery.problem) == ((1, 2, 0), "ConnectionResetError: gone")
    store.problem = None
    delivery.attempt(force=True)
    assert [id for id, _ in store.written] == ["a", "b", "c"]
    assert store.opened == 1


def test_a_step_that_the_store_refuses_does_not_keep_back_the_others(
    deliver: Callable[..., Delivery], store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.refused = {"bad"}
    delivery = deliver()
    delivery.send([a_step("a"), a_step("bad"), a_step("c")], 3)
    delivery.send([a_step("d")], 1)
    for _ in range(3):
        delivery.attempt(force=True)
    assert [id for id, _ in store.written] == ["a", "c", "d"]
    assert numbers(delivery) == (3, 0, 1)
    assert "(tool 'bad') is left out: the store refuses it: too large" in caplog.text


def test_a_store_that_is_down_is_not_asked_step_by_step_for_everything(
    deliver: Callable[..., Delivery], store: FlakyStore
) -> None:
    delivery = deliver()
    delivery.send([a_step("first")], 1)
    store.problem = StoreError("down")
    delivery.send([a_step(f"s{number}") for number in range(100)], 100)
    before = store.calls
    for _ in range(10):
        delivery.attempt(force=True)
    assert store.calls - before < 50
    assert numbers(delivery) == (1, 100, 0)


def test_what_waits_at_the_end_is_kept_on_disk_and_said(
    deliver: Callable[..., Delivery], store: FlakyStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.problem = StoreError("down")
    delivery = deliver()
    delivery.send([a_step("a"), a_step("b")], 2)
    delivery.close()
    (file,) = (tmp_path / "spool").iterdir()
    assert len(file.read_bytes().splitlines()) == 2
    assert f"2 steps could not be stored (down). They are kept in {file} and stored at the next run." in caplog.text


def test_without_disk_and_store_steps_are_dropped_counted_and_said(
    store: FlakyStore, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    store.problem = StoreError("down")
    delivery = Delivery(store.open, Spool(tmp_path / "file" / "spool", "a"), clock=clock, max_pending=1)
    for number in range(3):
        delivery.send([a_step(f"s{number}")], 1)
    assert numbers(delivery) == (0, 1, 2)
    delivery.close()
    assert numbers(delivery) == (0, 0, 3)
    assert "1 new steps and news of 0 more are lost: neither the store (down) nor" in caplog.text


def test_a_failing_adoption_is_tried_again(
    store: FlakyStore, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "a")
    left = [OSError("busy"), None]

    def adopt(write: object) -> None:
        if (error := left.pop(0)) is not None:
            raise error

    monkeypatch.setattr(spool, "adopt", adopt)
    delivery = Delivery(store.open, spool, clock=clock)
    delivery.send([a_step("a")], 1)
    assert delivery.waiting == 1
    delivery.attempt(force=True)
    assert (left, numbers(delivery)) == ([], (1, 0, 0))


def test_a_store_with_heartbeats_gets_one_every_ten_seconds_of_silence(
    deliver: Callable[..., Delivery], store: FlakyStore, clock: Clock
) -> None:
    delivery = deliver()
    delivery.send([a_step("a")], 1)
    for _ in range(30):
        clock.now += 1
        delivery.attempt()
    assert store.beats == 3


def test_a_store_that_does_not_close_is_a_warning(
    deliver: Callable[..., Delivery], store: FlakyStore, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = deliver()
    delivery.send([a_step("a")], 1)
    store.close = lambda: (_ for _ in ()).throw(OSError("stuck"))  # type: ignore[method-assign]
    delivery.close()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "The store did not close: stuck")
    ]
