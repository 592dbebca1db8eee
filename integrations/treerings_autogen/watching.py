"""Coroutines and asynchronous generators that are watched: a step around a call, current while the call itself runs."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

from treerings import StopWorkflow
from treerings.context import OpenStep, enter, leave

from .places import note_stop, place

__all__ = ["Begin", "Watch", "argument", "awaiting", "streaming"]

logger = logging.getLogger("treerings")


class Watch(Protocol):
    """What watches one call."""

    @property
    def step(self) -> OpenStep | None:
        """The current step while the call runs; None leaves the one that there is."""

    def item(self, item: Any) -> None:
        """A generator yields this; the consumer does not have it yet."""

    def end(self, error: BaseException | None, result: Any = None) -> BaseException | None:
        """The call is over; an exception that is returned is raised in place of `error`."""


Begin = Callable[[Any, tuple[Any, ...], dict[str, Any]], Watch | None]
"""Called with the object and the arguments when the call runs; None does not watch this one."""


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str) -> Any:
    """The argument that a method was given, by position or by name."""
    return args[position] if len(args) > position else kwargs.get(name)


def awaiting(begin: Begin) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wraps coroutine functions."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(function):
            return function

        async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            watch = _begun(begin, self, args, kwargs)
            if watch is None:
                return await function(self, *args, **kwargs)
            token = None if watch.step is None else enter(watch.step)
            try:
                result = await function(self, *args, **kwargs)
            except BaseException as error:
                instead = _ended(watch, error)
                if instead is not None and instead is not error:
                    raise instead from error
                raise
            finally:
                if token is not None:
                    leave(token)
            _ended(watch, None, result)
            return result

        return wrapper

    return wrap


def streaming(begin: Begin) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wraps asynchronous generator functions, and functions that return such a generator.

    The context variable is set around each resumption only: between a `yield` and the next request for an item it
    would be set in the consumer's context, and an early `break` would leave it there.
    """

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):
            return function

        async def wrapper(self: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            watch = _begun(begin, self, args, kwargs)
            generator = aiter(function(self, *args, **kwargs))
            step = None if watch is None else watch.step
            resume: Callable[[], Any] = generator.__anext__
            try:
                while True:
                    try:
                        item = await _run(step, resume)
                    except StopAsyncIteration:
                        break
                    if watch is not None:
                        _told(watch, item)
                    try:
                        sent = yield item
                    except GeneratorExit:  # a team's stream waits here until its runtime is idle; its step stays open
                        if (close := getattr(generator, "aclose", None)) is not None:
                            await _run(step, close)
                        raise
                    except BaseException as thrown:
                        resume = functools.partial(generator.athrow, thrown)
                    else:
                        resume = generator.__anext__ if sent is None else functools.partial(generator.asend, sent)
            except BaseException as error:
                instead = None if watch is None else _ended(watch, error)
                if instead is not None and instead is not error:
                    raise instead from error
                raise
            if watch is not None:
                _ended(watch, None)

        return wrapper

    return wrap


async def _run(step: OpenStep | None, resume: Callable[[], Any]) -> Any:
    if step is None:
        return await resume()
    token = enter(step)
    try:
        return await resume()
    finally:
        leave(token)


def _begun(begin: Begin, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Watch | None:
    try:
        return begin(self, args, kwargs)
    except StopWorkflow as stop:
        note_stop(place(), stop)
        raise
    except Exception as error:  # a bug of ours is no reason to stop the program
        logger.error("A call of %s is not recorded", type(self).__qualname__, exc_info=error)
        return None


def _told(watch: Watch, item: Any) -> None:
    try:
        watch.item(item)
    except Exception as error:  # as in _begun
        logger.error("What was streamed is not recorded", exc_info=error)


def _ended(watch: Watch, error: BaseException | None, result: Any = None) -> BaseException | None:
    try:
        return watch.end(error, result)
    except Exception as problem:  # as in _begun
        logger.error("The end of a call is not recorded", exc_info=problem)
        return None
