"""Recording calls of libraries that have no observer: methods are replaced, each with a way back.

An integration says what a call is and what came of it, in a subclass of `Call`; the rest is here:

    class Chat(Call):
        __slots__ = ()

        def finish(self, result):
            self.end(output=self.recorder.snapshot(result), usage=Usage.from_provider(result), model=result.model)
            return result

    def begin(args, kwargs):
        return Chat.start(Kind.LLM, "chat", source="sdk", model=kwargs.get("model"), input=kwargs.get("messages"))

    patches = Patches()
    patches.wrap(Completions, "create", recorded(begin))
    patches.wrap(AsyncCompletions, "create", recorded_async(begin))
    patches.undo()
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from typing import Any, Self

from . import runtime
from .claims import offer_call
from .context import OpenStep, current_step, enter, leave
from .errors import StopWorkflow
from .events import LEAF_KINDS, Kind, Status
from .own_steps import status_of
from .recorder import Recorder
from .streams import Collector, follow_async_generator, follow_generator
from .usage import Usage

__all__ = [
    "Around",
    "Begin",
    "Call",
    "Patches",
    "recorded",
    "recorded_async",
    "recorded_async_generator",
    "recorded_generator",
]

logger = logging.getLogger("treerings")

Around = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""What runs instead of a method: `around(function, args, kwargs)`, `self` being the first of `args`."""


class Call:
    """One call of a library while it runs. Its step ends once, whatever ends it first; nothing here raises."""

    __slots__ = ("recorder", "step")

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        self.recorder = recorder
        self.step = step

    @classmethod
    def start(
        cls,
        kind: Kind,
        name: str,
        *,
        source: str,
        input: Any = None,
        model: str | None = None,
        provider: str | None = None,
        labels: Mapping[str, str] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Self | None:
        """A call whose step starts now, below the current step; None while nothing is recorded.

        `input` is copied here; `attributes` are plain data already. Raises a guard's `StopWorkflow`: the call is not made then.
        """
        recorder = runtime.current_recorder()
        if not recorder.enabled:
            return None
        step = recorder.start(
            kind,
            name,
            source=source,
            parent=current_step(),
            input=None if input is None else recorder.snapshot(input),
            model=model,
            provider=provider,
            labels=labels,
            attributes=attributes,
        )
        return cls(recorder, step)

    def finish(self, result: Any) -> Any:
        """The call returned; what this gives is what the caller gets. Override it: the result itself, or a followed stream."""
        self.end()
        return result

    def fail(self, error: BaseException) -> None:
        """The call raised: it ends with the error, or `cancelled` if somebody ended it."""
        self.end(status=status_of(error), error=error)

    def end(
        self,
        *,
        status: Status = Status.OK,
        output: Any = None,
        usage: Usage | None = None,
        model: str | None = None,
        provider: str | None = None,
        response_id: str | None = None,
        error: BaseException | None = None,
        attributes: Mapping[str, Any] | None = None,
        time_ns: int | None = None,
    ) -> None:
        """End the step and offer a model call to those who learn of it later. A usage without any entry is unknown."""
        step = self.step
        if step.ended:
            return
        if response_id:
            attributes = {"response_id": response_id, **(attributes or {})}
        self.recorder.end(
            step,
            status=status,
            output=output,
            usage=usage if usage is not None and usage.as_dict() else None,
            model=model,
            provider=provider,
            error=error,
            attributes=attributes,
            time_ns=time_ns,
        )
        if step.kind in LEAF_KINDS:
            offer_call(step, response_id)


Begin = Callable[[tuple[Any, ...], dict[str, Any]], Call | None]
"""Says what a call is, from its arguments, and starts it; None for one that is not recorded."""


def recorded(begin: Begin) -> Around:
    """For a function: record the call that `begin` started, as the current step while the function runs."""

    def around(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = _begun(begin, args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        token = enter(call.step)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _fail(call, error)
            raise
        finally:
            leave(token)
        return _finish(call, result)

    return around


def recorded_async(begin: Begin) -> Around:
    """For a coroutine function, or for a function that returns an awaitable: the call starts when it is awaited."""

    def around(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _awaited(begin, function(*args, **kwargs), args, kwargs)  # wrong arguments raise here, as without us

    return around


async def _awaited(begin: Begin, waiting: Awaitable[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        call = _begun(begin, args, kwargs)
    except BaseException:  # a guard stopped it: never awaited, on purpose
        if inspect.iscoroutine(waiting):
            waiting.close()
        raise
    if call is None:
        return await waiting
    token = enter(call.step)
    try:
        result = await waiting
    except BaseException as error:
        _fail(call, error)
        raise
    finally:
        leave(token)
    return _finish(call, result)


def recorded_generator(begin: Callable[[tuple[Any, ...], dict[str, Any]], Any]) -> Around:
    """For a generator function: the call starts at the first read, and is the collector that the stream is shown to."""

    def around(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _read(begin, function(*args, **kwargs), args, kwargs)

    return around


def recorded_async_generator(begin: Callable[[tuple[Any, ...], dict[str, Any]], Any]) -> Around:
    """`recorded_generator` for an asynchronous generator function."""

    def around(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _read_async(begin, function(*args, **kwargs), args, kwargs)

    return around


def _read(
    begin: Any, generator: Generator[Any, Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[Any, Any, Any]:
    call: Collector | None = _begun(begin, args, kwargs)
    return (yield from generator if call is None else follow_generator(generator, call))


async def _read_async(
    begin: Any, generator: AsyncGenerator[Any, None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AsyncGenerator[Any, None]:
    call: Collector | None = _begun(begin, args, kwargs)
    followed = generator if call is None else follow_async_generator(generator, call)
    try:
        async for item in followed:
            yield item
    finally:
        await followed.aclose()


def _begun(begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return begin(args, kwargs) if runtime.current_recorder().enabled else None
    except StopWorkflow:
        raise
    except Exception as error:  # a bug of ours is no reason to stop the program
        logger.error("A call is not recorded", exc_info=error)
        return None


def _fail(call: Call, failure: BaseException) -> None:
    try:
        call.fail(failure)
    except Exception as error:  # as in _begun
        logger.error("The end of a call is not recorded as it was", exc_info=error)
        call.end(status=status_of(failure), error=failure)


def _finish(call: Call, result: Any) -> Any:
    try:
        return call.finish(result)
    except Exception as error:  # as in _begun
        logger.error("The end of a call is not recorded as it was", exc_info=error)
        call.end()
        return result


class _Patch:
    """A replaced attribute: what it was, what it is now, whether it still does anything."""

    __slots__ = ("active", "inherited", "original", "wrapper")

    def __init__(self, original: Any, inherited: bool) -> None:
        self.original = original
        self.inherited = inherited
        self.active = True
        self.wrapper: Any = None


class Patches:
    """Methods that an integration replaced. `undo` gives every owner its own back; the same method is wrapped once."""

    __slots__ = ("_patches",)

    def __init__(self) -> None:
        self._patches: dict[tuple[int, str], tuple[Any, _Patch]] = {}

    def wrap(self, owner: Any, name: str, around: Around) -> bool:
        """Have `around(function, args, kwargs)` run instead of `owner.name`; False if this version has no such function.

        `owner` is a class, a module or an object. Functions, class and static methods keep their signature and have
        `__wrapped__`; coroutine functions stay coroutine functions. Only the owner changes, not the base class that a method
        comes from. Who holds the old function already, keeps it; who holds ours gets the old one's behaviour after `undo`.
        """
        try:
            found = inspect.getattr_static(owner, name)
        except AttributeError:
            return False
        key = (id(owner), name)
        known = self._patches.get(key)
        if known is not None:
            if _holds(found, known[1].wrapper):
                known[1].active = True
                return True
            del self._patches[key]  # somebody took it away
        function = getattr(owner, name) if not isinstance(owner, type) else getattr(found, "__func__", found)
        if not callable(function):
            return False
        patch = _Patch(found, inherited=name not in getattr(owner, "__dict__", ()))
        wrapper = _wrapper(function, around, patch)
        patch.wrapper = wrapper
        try:
            replacing = type(found)(wrapper) if isinstance(owner, type) and hasattr(found, "__func__") else wrapper
            setattr(owner, name, replacing)
        except (AttributeError, TypeError):  # a class of C, an object with slots
            return False
        self._patches[key] = (owner, patch)
        return True

    def undo(self) -> None:
        """Give back what was replaced. Where somebody replaced ours in turn it stays below theirs, and does nothing."""
        for key, (owner, patch) in list(self._patches.items()):
            patch.active = False
            name = key[1]
            if _function(inspect.getattr_static(owner, name, None)) is patch.wrapper:
                if patch.inherited:
                    delattr(owner, name)
                else:
                    setattr(owner, name, patch.original)
            elif _holds(inspect.getattr_static(owner, name, None), patch.wrapper):
                continue
            del self._patches[key]


def _wrapper(function: Callable[..., Any], around: Around, patch: _Patch) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            if not patch.active:
                return await function(*args, **kwargs)
            return await around(function, args, kwargs)

        return awaiting

    @functools.wraps(function)
    def calling(*args: Any, **kwargs: Any) -> Any:
        if not patch.active:
            return function(*args, **kwargs)
        return around(function, args, kwargs)

    return calling


def _function(found: Any) -> Any:
    return getattr(found, "__func__", found)


def _holds(found: Any, wrapper: Any) -> bool:
    """Whether our wrapper is what was found, or below what others put on top of it."""
    found = _function(found)
    for _ in range(100):
        if found is wrapper:
            return True
        found = getattr(found, "__wrapped__", None)
        if found is None:
            return False
    return False
