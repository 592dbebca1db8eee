"""Who writes, and whether he still lives: steps of a dead writer are not running."""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SILENCE_SECONDS", "Identity", "is_alive", "now"]

SILENCE_SECONDS = 60
"""After so long without a heartbeat, a writer whose process cannot be looked at counts as dead."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A store object that writes, by its process."""

    id: str
    host: str
    pid: int
    started: str | None
    """What tells the process from a later one with the same pid; None where the system does not say."""

    @classmethod
    def of_this_process(cls) -> Identity:
        return cls(uuid.uuid4().hex, _host(), os.getpid(), _process_start(os.getpid()))


def now() -> int:
    """UTC in nanoseconds."""
    return time.time_ns()


def is_alive(writer: Identity, heartbeat_ns: int) -> bool:
    """Whether the writer's process can still write. In doubt, its last heartbeat decides."""
    if writer.host == _host() and os.name == "posix":
        if not _exists(writer.pid):
            return False
        if writer.started is not None and (started := _process_start(writer.pid)) is not None:
            return started == writer.started
    return now() - heartbeat_ns < SILENCE_SECONDS * 1_000_000_000


def _host() -> str:
    """The machine and, in a container, the space in which pids mean something."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process_start(pid: int) -> str | None:
    """When the process started, in ticks since the boot with this id (proc(5), field 22 of `stat`)."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if after_name[0] == "Z":
        return "ended"
    return f"{boot} {after_name[19]}"
