"""What of ours failed, said once for each place: the program goes on without this event."""

from __future__ import annotations

import logging

__all__ = ["once"]

logger = logging.getLogger("treerings")

_said: set[str] = set()


def once(where: str, error: Exception) -> None:
    if where not in _said:
        _said.add(where)
        logger.error("%s failed and recorded nothing (said once)", where, exc_info=error)
