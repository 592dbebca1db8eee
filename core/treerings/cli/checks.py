"""What `treerings doctor` checks without running a framework."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Literal

from .. import __version__, runtime
from ..clock import SystemClock
from ..errors import TreeringsError
from ..events import Kind, Status
from ..locations import config_file
from ..records import Step
from ..settings import load_settings
from ..store import Filter
from .stores import safe_url

__all__ = ["Check", "installation_checks", "store_check"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "failed", "note"]
    """`note` is worth knowing, and no failure."""
    detail: str
    hint: str | None = None

    @property
    def failed(self) -> bool:
        return self.state == "failed"


def installation_checks() -> list[Check]:
    """Version, settings, prices, tokenizer and plugins."""
    version = Check("treerings", "ok", f"{__version__} on Python {platform.python_version()}")
    return [version, _settings(), _prices(), _tokenizer(), *_plugins()]


def store_check(url: str | None) -> Check:
    """Write a step, read it back, delete it again."""
    try:
        url = url or load_settings().store
        store = runtime.registry().open_store(url)
        try:
            step = _step()
            store.write([step])
            found = store.workflow(step.workflow_id)
            store.delete(Filter(workflow_id=step.workflow_id))
        finally:
            store.close()
    except TreeringsError as error:
        return Check("store", "failed", str(error), "treerings where prints the store; TREERINGS_STORE changes it")
    if found is None:
        return Check("store", "failed", f"{safe_url(url)} took a step and does not find it")
    return Check("store", "ok", f"{safe_url(url)} can be written and read")


def _step() -> Step:
    clock = SystemClock()
    id = clock.new_id()
    now = clock.time_ns() // 1000 * 1000
    kind, status = Kind.WORKFLOW, Status.OK
    return Step(id, id, None, 1, kind, "treerings doctor", "user", status, now, ended_ns=now, duration_ms=0.0)


def _settings() -> Check:
    try:
        load_settings()
    except TreeringsError as error:
        return Check("settings", "failed", str(error), "treerings where prints which files are read")
    path = config_file()
    return Check("settings", "ok", str(path) if path else "no configuration file; the defaults and the environment")


def _prices() -> Check:
    from ..prices_snapshot import bundled

    try:
        prices = bundled()
    except Exception as error:  # a damaged installation: whatever reading the file raises
        hint = "pip install --force-reinstall treerings"
        return Check("prices", "failed", f"the bundled prices cannot be read: {error}", hint)
    models = sum(len(prices.names(provider)) for provider in prices.providers)
    return Check("prices", "ok", f"{models:,} models as of {prices.as_of}, from {', '.join(prices.sources)}")


def _tokenizer() -> Check:
    from ..tokens_exact import encoding_for

    if encoding_for("gpt-4o") is not None:
        return Check("tokenizer", "ok", "exact counts for OpenAI's models where a provider reports none")
    detail = "no tokenizer files on disk: where a provider reports no tokens they are estimated"
    return Check(
        "tokenizer", "note", detail, "python -c \"import tiktoken; tiktoken.get_encoding('o200k_base')\" fetches them"
    )


def _plugins() -> list[Check]:
    infos = runtime.registry().plugins()
    broken = [
        Check(f"plugin {info.name}", "note" if (info.problem or "").startswith("disabled") else "failed", info.problem)
        for info in infos
        if info.problem is not None
    ]
    working = [info.name for info in infos if info.problem is None]
    return [Check("plugins", "ok", ", ".join(working) or "none"), *broken]
