"""The places at which LiteLLM asks for loggers, and the cache, which has none that would know who asked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from litellm.caching.caching_handler import LLMCachingHandler
from litellm.integrations.custom_logger import CustomLogger

from . import report

__all__ = ["add", "remove", "unwrap_cache", "wrap_cache"]

LISTS = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)

_wrapped: dict[str, Callable[..., Any]] = {}


def add(module: Any, logger: CustomLogger) -> None:
    """Add the logger to LiteLLM's lists, as its first call would do with what is in `litellm.callbacks`."""
    for name in LISTS:
        found = getattr(module, name, None)
        if isinstance(found, list) and logger not in found:
            found.append(logger)


def remove(module: Any, logger: CustomLogger) -> None:
    """Take the logger out of every list."""
    for name in LISTS:
        found = getattr(module, name, None)
        while isinstance(found, list) and logger in found:
            found.remove(logger)


def wrap_cache(answered: Callable[[Any, Any], None]) -> None:
    """Have `answered(logging_obj, response)` called where the cache answers a call, before its caller has the response.

    LiteLLM tells its loggers of a hit on a thread, or in a task, that knows nothing of what encloses the call.
    """
    if _wrapped:
        return
    for name in ("sync_get_cache", "_sync_get_cache"):  # before 1.106 they were private
        if (sync := vars(LLMCachingHandler).get(name)) is not None:
            _replace(name, _telling(sync, answered))
    for name in ("async_get_cache", "_async_get_cache"):
        if (asynchronous := vars(LLMCachingHandler).get(name)) is not None:
            _replace(name, _telling_async(asynchronous, answered))


def _telling(function: Callable[..., Any], answered: Callable[[Any, Any], None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def get_cache(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = function(self, *args, **kwargs)
        _tell(answered, kwargs, found)
        return found

    return get_cache


def _telling_async(function: Callable[..., Any], answered: Callable[[Any, Any], None]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def get_cache(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = await function(self, *args, **kwargs)
        _tell(answered, kwargs, found)
        return found

    return get_cache


def _replace(name: str, function: Callable[..., Any]) -> None:
    _wrapped[name] = vars(LLMCachingHandler)[name]
    setattr(LLMCachingHandler, name, function)


def unwrap_cache() -> None:
    for name, function in _wrapped.items():
        setattr(LLMCachingHandler, name, function)
    _wrapped.clear()


def _tell(answered: Callable[[Any, Any], None], kwargs: dict[str, Any], found: Any) -> None:
    try:
        response = getattr(found, "cached_result", None)
        if getattr(found, "embedding_all_elements_cache_hit", False):
            response = found.final_embedding_cached_response
        elif getattr(found, "final_embedding_cached_response", None) is not None:
            return  # the rest is asked for: an ordinary call
        if response is not None:
            answered(kwargs.get("logging_obj"), response)
    except Exception as error:
        report.once("A cached answer", error)
