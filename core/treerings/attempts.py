"""At which attempt a call was answered: SDKs that try again tell nobody but themselves how often."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from . import runtime
from .context import OpenStep, own_step
from .events import LEAF_KINDS

__all__ = ["attempts_noted", "note_given_up"]

logger = logging.getLogger("treerings")

RETRIES = "x-stainless-retry-count"
"""The header in which the SDKs of OpenAI and Anthropic say how often they tried before."""


def attempts_noted(source: str) -> Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]:
    """Runs instead of these SDKs' `_process_response`, which is told of the retries; for `source`'s own calls."""

    def around(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            retries = kwargs.get("retries_taken")
            if retries and (step := own_step()) is not None and step.source == source:
                _note(step, retries)
        except Exception as error:  # a bug of ours is no reason to lose the answer
            logger.error("The attempts of a call are not recorded", exc_info=error)
        return function(*args, **kwargs)

    return around


def note_given_up(step: OpenStep, error: BaseException) -> None:
    """Say how many attempts there were before this error, whose request the SDK counted them in. Never raises."""
    try:
        retries = int(error.request.headers.get(RETRIES, 0))  # type: ignore[attr-defined]  # the SDK's errors have it
    except Exception:  # another error, or one without a request
        return
    if retries:
        _note(step, retries)


def _note(step: OpenStep, retries: int) -> None:
    if step.kind in LEAF_KINDS and not step.ended:
        runtime.current_recorder().update(step, attributes={"attempt": retries + 1})
