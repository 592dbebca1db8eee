"""The process-wide recorder: made from the settings at first use, flushed at exit, renewed after a fork."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from .accounting import Accountant
from .delivery import Delivery
from .errors import StoreError
from .privacy import ContentPolicy
from .recorder import FlushReport, Recorder
from .registry import Registry, full_url
from .spool import Spool
from .store import Store

if TYPE_CHECKING:
    from .prices import PriceBook
    from .settings import Settings

__all__ = [
    "configure",
    "current_recorder",
    "disable",
    "enable",
    "flush",
    "forget",
    "open_store",
    "recorder_from",
    "register",
    "registry",
    "settings",
    "unregister",
    "use_recorder",
]

logger = logging.getLogger("treerings")

_lock = threading.RLock()
current: Recorder | None = None
"""The recorder of this process, once it was asked for."""
_registry: Registry | None = None
_settings: Settings | None = None
_given: dict[str, Any] = {}
"""What `configure` was given."""
_watching_forks = False
_forking = False


def registry() -> Registry:
    """The plugins of this process."""
    global _registry
    with _lock:
        if _registry is None:
            _registry = Registry(disabled=settings().disabled_plugins)
        return _registry


def settings() -> Settings:
    """The settings of this process. What is wrong in them is logged, and the defaults are used instead."""
    global _settings
    with _lock:
        if _settings is None:
            from .settings import usable_settings

            _settings, problems = usable_settings()
            for problem in problems:
                logger.error("%s It is left out.", problem)
        return _settings


def current_recorder() -> Recorder:
    """The recorder of this process, made from the settings when it is first asked for."""
    if current is not None:
        return current
    with _lock:
        if current is None:
            registry().load()
            use_recorder(recorder_from(settings()))
            _flush_when_multiprocessing_ends()
        assert current is not None
        return current


def recorder_from(settings: Settings, *, registry: Registry | None = None, **more: Any) -> Recorder:
    """A recorder with these settings; `more` goes to `Recorder`."""
    plugins = registry or globals()["registry"]()

    def open_prices() -> PriceBook:
        from .prices import PriceBook

        return PriceBook(settings.prices, deployments=settings.deployments)

    def delivery() -> Delivery:
        return Delivery(lambda: plugins.open_store(settings.store), _spool(settings.store))

    return Recorder(
        delivery,
        registry=plugins,
        settle=Accountant(plugins, open_prices),
        content=ContentPolicy(settings.content, settings.max_content),
        flush_interval=settings.flush_interval,
        max_queue=settings.max_queue,
        strict=settings.durability == "strict",
        sample=settings.sample,
        enabled=settings.enabled,
        **more,
    )


def use_recorder(new: Recorder | None) -> Recorder | None:
    """Make `new` the recorder of this process; the one before is given back, neither flushed nor closed."""
    global current
    with _lock:
        before, current = current, new
        if new is not None:
            new.plugins_changed()
        return before


def forget() -> None:
    """Let go of the plugins and the settings: the next use reads them again. The recorder stays; for tests."""
    global _registry, _settings
    with _lock:
        _registry = _settings = None
        _given.clear()


def configure(**given: Any) -> Settings:
    """Change settings by name (`store="sqlite:///runs.db"`, `content="none"`): they go before environment and file.

    What an earlier call changed stays, unless it is given again. The recorder is closed, its steps stored, and made anew.
    Raises `ConfigError` that names the setting.
    """
    global _settings
    from .settings import load_settings

    changed = load_settings(**{**_given, **given})
    with _lock:
        _given.update(given)
        if _registry is not None:
            _registry.disable(changed.disabled_plugins)
        before = use_recorder(None)
        _settings = changed
    if before is not None:
        before.close(changed.exit_timeout)
    return changed


def register(plugin: object, name: str | None = None) -> str:
    """Add a plugin by hand: a module or an object whose functions carry `treerings.hookimpl`. Its name is given back.

    Raises `ConfigError` when the name is taken or a hook does not fit.
    """
    plugins = registry()
    plugins.load()
    name = plugins.register(plugin, name)
    current_recorder().plugins_changed()
    return name


def unregister(name: str) -> None:
    """Take a plugin away again; raises `UnknownName`."""
    registry().unregister(name)
    current_recorder().plugins_changed()


def enable() -> None:
    """Record from now on."""
    current_recorder().enabled = True


def disable() -> None:
    """Record nothing from now on; runs in progress are closed as `incomplete`. Costs a lookup a callback while off."""
    current_recorder().enabled = False


def flush(timeout: float | None = None) -> FlushReport:
    """Wait until everything said so far is stored, at most `timeout` seconds, and say what became of it."""
    return current_recorder().flush(timeout)


def open_store(url: str | None = None) -> Store:
    """The store at a URL or path; without one, the store of the settings. Raises `UnknownName` or `StoreError`.

    What killed processes had set aside for this store is written to it first.
    """
    url = url or settings().store
    store = registry().open_store(url)
    try:
        _spool(url).adopt(store.write)
    except (StoreError, OSError) as error:  # it can be read all the same
        logger.warning("What waits for %s could not be stored: %s", url, error)
    return store


def _spool(url: str) -> Spool:
    """The place of this process among those that wait for this store."""
    from .locations import data_dir

    name = blake2b(full_url(url).encode(), digest_size=8).hexdigest()
    return Spool(data_dir() / "spool" / name, os.urandom(4).hex())


def _at_exit() -> None:
    if current is not None and current._pid == os.getpid():
        current.close(settings().exit_timeout)


def _before_fork() -> None:
    """Wait for another thread that sets things up here: what it imports, the child could never import."""
    global _forking
    _forking = _lock.acquire(timeout=5)
    if current is not None:
        current.before_fork()


def _after_fork_in_parent() -> None:
    if current is not None:
        current.after_fork_in_parent()
    if _forking:
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    if _registry is not None:
        _registry.after_fork_in_child()
    if current is not None:
        current.after_fork_in_child()
        _flush_when_multiprocessing_ends()


def _flush_when_multiprocessing_ends() -> None:
    """Children of `multiprocessing` leave without `atexit`: only its finalizers run, and a fork forgets the parent's.

    It forks first, then forgets them, then calls those that are registered for after the fork.
    """
    global _watching_forks
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return
    from multiprocessing import util

    if process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=100)
    if not _watching_forks:
        _watching_forks = True
        util.register_after_fork(_at_exit, lambda flush: util.Finalize(None, flush, exitpriority=100))


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
