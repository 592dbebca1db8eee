"""Stores to read from, and workflows found in them by what a person types."""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from .. import runtime
from ..errors import StoreError, UnknownName
from ..memory import MemoryStore
from ..registry import without_password
from ..settings import load_settings
from ..store import Filter, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..records import Workflow

__all__ = ["find_workflow", "local_path", "nothing_recorded", "opened", "safe_url"]


def safe_url(url: str) -> str:
    """The URL without its password."""
    return without_password(url)


@contextlib.contextmanager
def opened(url: str | None) -> Iterator[Store]:
    """The store at this URL, or the one of the settings; reading makes no new files.

    Raises `StoreError` when the URL names a file that is not there. A default store that is not there yet is empty.
    """
    settings_url = load_settings().store
    wanted = url or settings_url
    path = local_path(wanted)
    store: Store
    if path is not None and not path.exists():
        if url is not None:
            raise StoreError(f"No store at {path}: nothing is there.")
        store = MemoryStore(settings_url)
    else:
        store = runtime.registry().open_store(wanted)
    try:
        yield store
    finally:
        store.close()


def local_path(url: str) -> Path | None:
    """The file or folder that this URL names, if it is one of the stores that are files."""
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        return Path(scheme)
    name = rest.removeprefix("/").partition("?")[0]
    if scheme.partition("+")[0] not in ("sqlite", "jsonl") or not name or name.startswith((":memory:", "file:")):
        return None
    return Path(name)


def nothing_recorded(store: Store) -> str:
    """What to say when a store is empty."""
    return f"Nothing is recorded in {safe_url(store.url)} yet. Type: treerings demo, or treerings run app.py"


def find_workflow(store: Store, wanted: str) -> Workflow:
    """The workflow with this id, with an id that begins so, or the `last` one; raises `UnknownName` that says what is there."""
    if wanted == "last":
        newest = store.workflows(Filter(limit=1))
        if not newest:
            raise UnknownName(nothing_recorded(store))
        wanted = newest[0].id
    id = wanted.strip().lower().replace("-", "")
    found = store.workflow(id)
    if found is not None:
        return found
    alike = store.workflows(Filter(workflow_id=id, limit=4)) if id else []
    if len(alike) == 1 and (found := store.workflow(alike[0].id)) is not None:
        return found
    if alike:
        raise UnknownName(
            f"Several workflows begin with {wanted!r}: {', '.join(flow.id for flow in alike)}. Type more of it."
        )
    newest = store.workflows(Filter(limit=200))
    if not newest:
        raise UnknownName(f"No workflow {wanted!r}. {nothing_recorded(store)}")
    ids = [flow.id for flow in newest]
    near = difflib.get_close_matches(id, ids, 3, 0.7)
    known = f"Nearest: {', '.join(near)}." if near else f"The last: {', '.join(ids[:3])}."
    raise UnknownName(f"No workflow {wanted!r}. {known} All of them: treerings workflows")
