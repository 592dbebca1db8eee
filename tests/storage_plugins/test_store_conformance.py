"""Every store of this repository passes the published suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from treerings.memory import MemoryStore
from treerings.store import Store
from treerings.testing.store_tests import StoreTests


class TestMemoryStore(StoreTests):
    persistent = False

    @pytest.fixture
    def open_store(self) -> Callable[[], Store]:
        return MemoryStore


class TestSqliteFile(StoreTests):
    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/runs.db"


class TestSqliteInMemory(StoreTests):
    persistent = False

    @pytest.fixture
    def store_url(self) -> str:
        return "sqlite://"


class TestJsonlStore(StoreTests):
    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        return f"jsonl:///{tmp_path}/runs.jsonl"


class TestPostgresql(StoreTests):
    keeps_nul = False

    @pytest.fixture
    def store_url(self, postgresql_url: str) -> str:
        return postgresql_url
