"""One watched call: its step is the current one while the framework's code runs, never while a consumer does."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from agno.exceptions import AgentRunException, RunCancelledException
from treerings import Recorder, Status, StopWorkflow, runtime
from treerings.context import OpenStep, current_step, enter, leave

__all__ = ["SOURCE", "Call", "report", "status_of", "watched"]

logger = logging.getLogger("treerings")

SOURCE = "agno"


class Call:
    """A call of one of agno's methods; what kind of step it is, its children say."""

    def __init__(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.target = target
        self.args = args
        self.kwargs = kwargs
        self.step: OpenStep | None = None
        self.begun = False

    # -- what a kind of call adds ---------------------------------------------------------------------------------

    def streams(self) -> bool:
        """Whether the call returns a generator, which is to begin when it is read."""
        return False

    def open(self, recorder: Recorder, parent: OpenStep | None) -> OpenStep | None:
        """Start the step; None records nothing."""
        raise NotImplementedError

    def item(self, recorder: Recorder, step: OpenStep, item: Any) -> None:
        """The generator gave this."""

    def close(self, recorder: Recorder, step: OpenStep, result: Any) -> None:
        """End the step; the result of a generator is None."""
        recorder.end(step, output=recorder.snapshot(result))

    def stopped(self, error: StopWorkflow) -> None:
        """A guard refused this call."""

    def after(self) -> None:
        """The call is over and its step has ended; may raise a guard's `StopWorkflow`."""

    # -- the way of every call ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the step, once. Raises nothing but a guard's `StopWorkflow`."""
        if self.begun:
            return
        self.begun = True
        try:
            recorder = runtime.current_recorder()
            if recorder.enabled:
                self.step = self.open(recorder, current_step())
        except StopWorkflow as error:
            self.stopped(error)
            raise
        except Exception as error:
            report("A start", error)

    def saw(self, item: Any) -> None:
        """Look at what a generator gave."""
        if self.step is None or self.step.ended:
            return
        try:
            self.item(runtime.current_recorder(), self.step, item)
        except Exception as error:
            report("A part of a stream", error)

    def done(self, result: Any = None) -> None:
        """The call returned, or its generator is exhausted."""
        if self.step is not None and not self.step.ended:
            try:
                self.close(runtime.current_recorder(), self.step, result)
            except Exception as error:
                report("An end", error)
        self.after()

    def failed(self, error: BaseException) -> None:
        """The call raised."""
        if self.step is None or self.step.ended:
            return
        try:
            status, attributes = status_of(error)
            shown = error if status is Status.ERROR else None
            runtime.current_recorder().end(self.step, status=status, error=shown, attributes=attributes)
        except Exception as problem:
            report("A failure", problem)

    def inside(self, function: Callable[[], Any]) -> Any:
        """Run a piece of the framework's code with the step as the current one."""
        token = None if self.step is None else enter(self.step)
        try:
            return function()
        except BaseException as error:
            if not isinstance(error, StopIteration):
                self.failed(error)
            raise
        finally:
            if token is not None:
                leave(token)

    async def inside_async(self, function: Callable[[], Any]) -> Any:
        """As `inside`; the consumer's context is as it was whenever a generator pauses."""
        token = None if self.step is None else enter(self.step)
        try:
            return await function()
        except BaseException as error:
            if not isinstance(error, StopAsyncIteration):
                self.failed(error)
            raise
        finally:
            if token is not None:
                leave(token)


def watched(function: Callable[..., Any], kind: type[Call]) -> Callable[..., Any]:
    """The method with its calls recorded. What it returns is of the same type: a value, a coroutine, a generator."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generating(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            result = function(self, *args, **kwargs)
            return _over_time(kind(self, args, kwargs), result)

        return generating
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaiting(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            call = kind(self, args, kwargs)
            call.begin()
            result = await call.inside_async(lambda: function(self, *args, **kwargs))
            return _finished(call, result)

        return awaiting

    name = function.__name__
    lazy = name.endswith("_stream") or name in ("arun", "acontinue_run")  # these begin when they are read or awaited

    @functools.wraps(function)
    def calling(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = kind(self, args, kwargs)
        if not lazy and not call.streams():
            call.begin()
        try:
            result = call.inside(lambda: function(self, *args, **kwargs))
        except Exception as error:
            if not call.begun:  # refused before its stream began
                call.begin()
                call.failed(error)
            raise
        return _finished(call, result)

    return calling


def _finished(call: Call, result: Any) -> Any:
    """End the call if its result is here; otherwise when the coroutine or the generator is done."""
    later = getattr(result, "result", None) if type(result).__name__ == "FunctionExecutionResult" else result
    if isinstance(later, GeneratorType | AsyncGeneratorType) or inspect.iscoroutine(later):
        watching = _over_time(call, later)
        if later is result:
            return watching
        # a tool that is a generator: agno reads it from the outcome or from the call
        if call.target.result is later:
            call.target.result = watching
        result.result = watching
        return result
    call.begin()
    call.done(result)
    return result


def _over_time(call: Call, result: Any) -> Any:
    if inspect.iscoroutine(result):
        return _named(_coroutine(call, result), result)
    return _generator(call, result) if isinstance(result, GeneratorType) else _async_generator(call, result)


def _named(watching: Any, coroutine: Any) -> Any:
    """Our coroutine under the name of agno's; one that is dropped unawaited takes agno's with it, which warns of itself else."""
    watching.__name__, watching.__qualname__ = coroutine.__name__, coroutine.__qualname__
    weakref.finalize(watching, coroutine.close).atexit = False
    return watching


async def _coroutine(call: Call, coroutine: Any) -> Any:
    try:
        call.begin()
    except StopWorkflow:
        coroutine.close()
        raise
    result = await call.inside_async(lambda: coroutine)
    call.done(result)
    return result


def _generator(call: Call, generator: Any) -> Generator[Any, Any, Any]:
    resume: Callable[[], Any] = generator.__next__
    call.begin()
    while True:
        try:
            item = call.inside(resume)
        except StopIteration as stop:
            call.done()
            return stop.value
        call.saw(item)
        try:
            sent = yield item
        except GeneratorExit as error:
            call.inside(generator.close)
            call.failed(error)
            raise
        except BaseException as error:
            resume = functools.partial(generator.throw, error)
        else:
            resume = generator.__next__ if sent is None else functools.partial(generator.send, sent)


async def _async_generator(call: Call, generator: Any) -> AsyncGenerator[Any, Any]:
    resume: Callable[[], Any] = generator.__anext__
    call.begin()
    while True:
        try:
            item = await call.inside_async(resume)
        except StopAsyncIteration:
            call.done()
            return
        call.saw(item)
        try:
            sent = yield item
        except GeneratorExit as error:
            close = getattr(generator, "aclose", None)
            if close is not None:
                await call.inside_async(close)
            call.failed(error)
            raise
        except BaseException as error:
            resume = functools.partial(generator.athrow, error)
        else:
            resume = generator.__anext__ if sent is None else functools.partial(generator.asend, sent)


def status_of(error: BaseException) -> tuple[Status, dict[str, Any] | None]:
    """What an exception means. agno's control flow in tools, to stop or to try again, is no error."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt | SystemExit):
        return Status.CANCELLED, None
    if isinstance(error, RunCancelledException | StopWorkflow):
        return Status.CANCELLED, None
    if isinstance(error, AgentRunException):
        return Status.OK, {"control": type(error).__name__}
    return Status.ERROR, None


_reported: set[str] = set()


def report(where: str, error: Exception) -> None:
    """Log a failure of ours once for each place: the run goes on without this event."""
    if where not in _reported:
        _reported.add(where)
        logger.error("%s of an agno call was not recorded (said once)", where, exc_info=error)
