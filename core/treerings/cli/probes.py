"""What `treerings doctor` runs: a small scripted agent in every installed framework, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import runtime
from ..registry import found
from .checks import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..registry import Integration

__all__ = ["framework_checks"]

LONGEST = 120.0
"""Seconds that one framework may take, its import included."""
AT_ONCE = 2
"""Probes that run at a time."""

LOCAL = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", "PYTHONWARNINGS": "ignore"}
"""Keeps the probe's requests on this machine."""

PROGRAM = "from treerings.cli.probing import main; main()"


def framework_checks(names: Sequence[str] = (), *, progress: Callable[[str], None] | None = None) -> list[Check]:
    """One check for every framework that an integration knows, or for these; raises `UnknownName`.

    One that was asked for by name and cannot be tried has failed. `progress` is told in a line what is under way.
    """
    registry = runtime.registry()
    registry.load()
    chosen = [registry.integration(name) for name in names] or [
        integration for _, integration in sorted(registry.integrations.items())
    ]
    under_way: list[str] = []
    done: list[str] = []

    def check(integration: Integration) -> Check:
        under_way.append(integration.name)
        tell()
        outcome = _check(integration, asked=bool(names))
        under_way.remove(integration.name)
        done.append(integration.name)
        tell()
        return outcome

    def tell() -> None:
        if progress is not None:
            progress(f"{len(done)} of {len(chosen)} frameworks tried; now {', '.join(under_way) or 'none'}")

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="treerings-doctor") as threads:
        return list(threads.map(check, chosen))


def _check(integration: Integration, *, asked: bool) -> Check:
    name = integration.name
    if not integration.installed:
        return Check(
            name, "failed" if asked else "note", f"{integration.package} is not installed", integration.install_hint
        )
    missing = [package for package in integration.probe_needs if not found(package)]
    if missing:
        hint = f"pip install {' '.join(package.replace('_', '-').replace('.', '-') for package in missing)}"
        detail = f"installed; not tried, because {', '.join(missing)} is missing"
        return Check(name, "failed" if asked else "note", detail, hint)
    version = integration.version or "unknown version"
    try:
        finding = _finding(integration)
    except subprocess.TimeoutExpired:
        return Check(name, "failed", f"{version}: the probe did not end in {LONGEST:.0f} seconds")
    except (OSError, ValueError) as error:
        return Check(name, "failed", f"{version}: {error}")
    if finding["error"] is not None:
        return Check(name, "failed", f"{version}: {finding['error']}")
    kinds: list[str] = finding["kinds"]
    captured = "captured " + (", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing")
    lacking = [kind for kind in integration.expected if kind not in kinds]
    if lacking:
        return Check(name, "failed", f"{version}: {captured}; {', '.join(lacking)} is missing")
    served, recorded = finding["served_tokens"], finding["recorded_tokens"]
    if served is None:
        return Check(name, "ok", f"{version}: {captured}")
    if recorded != served:
        return Check(name, "failed", f"{version}: {captured}; {recorded} tokens of {served} that the model reported")
    return Check(name, "ok", f"{version}: {captured}, {served} tokens")


def _finding(integration: Integration) -> dict[str, Any]:
    """What the other process found; raises `ValueError` with its last words when it died."""
    given = json.dumps({"integration": asdict(integration), "path": sys.path})
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **LOCAL, **integration.quiet},
        text=True,
        errors="replace",
    ) as process:
        try:
            answer, said = process.communicate(given, LONGEST)
        except BaseException:  # too long, or Ctrl-C
            process.kill()
            raise
    if process.returncode != 0 or not answer:
        words = " ".join(said.split())[-300:]
        raise ValueError(f"the probe's process ended with exit code {process.returncode}. {words}".rstrip())
    finding: dict[str, Any] = json.loads(answer)
    return finding
