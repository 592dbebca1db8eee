"""The suite that shows whether a store is right: subclass `StoreTests` and say how your store is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from treerings.store import Store

from .store_lifetime_tests import LifetimeTests
from .store_reading_tests import ReadingTests
from .store_samples import START, make_step, make_workflow, step_id, workflow_id
from .store_writing_tests import WritingTests

__all__ = ["START", "StoreTests", "make_step", "make_workflow", "step_id", "workflow_id"]


class StoreTests(WritingTests, ReadingTests, LifetimeTests):
    """A store is right when it passes.

    ```python
    class TestRedisStore(StoreTests):
        @pytest.fixture
        def store_url(self, tmp_path):
            return f"redis:///{tmp_path}/socket"
    ```

    The place must be empty. A store that is not registered under a URL overrides `open_store` instead.
    """

    persistent = True
    """Whether a store that is opened a second time finds what the first one wrote."""
    keeps_nul = True
    """Whether the character NUL stays what it is in names, errors and labels; else it becomes `\\ufffd`."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Where the store is; every test has a place of its own."""
        raise NotImplementedError("Override the fixture store_url or the fixture open_store.")

    @pytest.fixture
    def open_store(self, store_url: str) -> Callable[[], Store]:
        """Opens the store at the same place each time it is called."""
        from treerings.registry import Registry

        registry = Registry()
        return lambda: registry.open_store(store_url)

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Iterator[Store]:
        """The store under test, closed at the end."""
        store = open_store()
        yield store
        store.close()
