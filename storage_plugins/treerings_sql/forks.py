"""Stores across a fork: SQLite allows no connection of the parent in the child, not even to be closed there.

https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["Forked", "abandon", "watch"]


class Forked(Protocol):
    """Something that has to be ready for a fork."""

    def before_fork(self) -> None: ...

    def after_fork_in_parent(self) -> None: ...

    def after_fork_in_child(self) -> None: ...


_watched: weakref.WeakSet[Forked] = weakref.WeakSet()
_abandoned: list[object] = []


def watch(forked: Forked) -> None:
    """Tell this object of every fork, as long as it lives."""
    _watched.add(forked)


def abandon(thing: object) -> None:
    """Keep something of the parent from being collected, and so closed, in the child."""
    _abandoned.append(thing)


def _before() -> None:
    for forked in list(_watched):
        forked.before_fork()


def _in_parent() -> None:
    for forked in list(_watched):
        forked.after_fork_in_parent()


def _in_child() -> None:
    for forked in list(_watched):
        forked.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
