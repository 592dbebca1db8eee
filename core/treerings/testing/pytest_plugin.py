"""The pytest plugin: fixtures `treerings_capture`, `treerings_clock` and `model_server`; imports nothing until one is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .capturing import Capture
    from .deterministic import DeterministicClock
    from .model_server import ModelServer

__all__ = ["model_server", "treerings_capture", "treerings_clock"]

pytest.register_assert_rewrite(
    "treerings.testing.store_lifetime_tests",
    "treerings.testing.store_reading_tests",
    "treerings.testing.store_writing_tests",
)


@pytest.fixture
def treerings_clock() -> DeterministicClock:
    """Deterministic time and ids; use it together with `treerings_capture`."""
    from .deterministic import DeterministicClock

    return DeterministicClock()


@pytest.fixture
def treerings_capture(request: pytest.FixtureRequest) -> Iterator[Capture]:
    """Everything that the test records, in memory; with `treerings_clock` in the same test, on its clock."""
    from .capturing import capture

    clock = request.getfixturevalue("treerings_clock") if "treerings_clock" in request.fixturenames else None
    with capture(clock=clock) as captured:
        yield captured


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A scripted model server on loopback, closed at the end of the test."""
    from .model_server import ModelServer

    with ModelServer() as server:
        yield server
