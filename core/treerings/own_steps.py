"""Steps of the user's own code: a context manager and a decorator."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import runtime
from .context import OpenStep, current_step, enter, leave
from .errors import StopWorkflow
from .events import Kind, Status
from .usage import Usage

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = ["StepContext", "status_of", "step"]

logger = logging.getLogger("treerings")

F = TypeVar("F", bound=Callable[..., Any])

SOURCE = "user"


class StepContext:
    """One step of own code, for `with` and `async with`; as a decorator it makes a new one for every call.

    Inside, `set` says more about the step. The step ends `ok`, `error` with the exception that passes through, or as that
    exception's control flow means: `cancelled` for `CancelledError`, `GeneratorExit`, `KeyboardInterrupt`, `SystemExit` and
    `StopWorkflow`, `interrupted` for LangGraph's interrupt. The exception goes on. Nothing but a guard's `StopWorkflow` is
    raised from here.
    """

    __slots__ = (
        "_attributes",
        "_input",
        "_kind",
        "_model",
        "_name",
        "_output",
        "_provider",
        "_recorder",
        "_step",
        "_token",
        "_usage",
    )

    def __init__(
        self,
        kind: Kind,
        name: str | None,
        *,
        input: Any = None,
        model: str | None = None,
        provider: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self._kind = kind
        self._name = name
        self._input = input
        self._model = model
        self._provider = provider
        self._attributes = dict(attributes) if attributes else None
        self._output: Any = None
        self._usage: Usage | None = None
        self._recorder: Recorder | None = None
        self._step: OpenStep | None = None
        self._token: Token[OpenStep | None] | None = None

    # -- as a context ---------------------------------------------------------------------------------------------

    def __enter__(self) -> StepContext:
        try:
            recorder = runtime.current_recorder()
            if recorder.enabled:
                self._start(recorder)
        except StopWorkflow:
            raise
        except Exception as error:  # a bug of ours is no reason to stop the program
            logger.error("The step %r is not recorded", self._name, exc_info=error)
        return self

    def _start(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._step = recorder.start(
            self._kind,
            self._name or str(self._kind),
            source=SOURCE,
            parent=current_step(),
            input=None if self._input is None else recorder.snapshot(self._input),
            model=self._model,
            provider=self._provider,
            attributes=None if self._attributes is None else recorder.snapshot(self._attributes),
        )
        self._token = enter(self._step)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            leave(self._token)
            self._token = None
        self._finish(error)

    async def __aenter__(self) -> StepContext:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def set(
        self,
        *,
        input: Any = None,
        output: Any = None,
        model: str | None = None,
        provider: str | None = None,
        usage: Usage | None = None,
        name: str | None = None,
        **attributes: Any,
    ) -> None:
        """Say more about the step while it runs; attributes are kept beside what was said before."""
        if output is not None:
            self._output = output
        if usage is not None:
            self._usage = usage
        step, recorder = self._step, self._recorder
        if step is None or recorder is None or step.ended:
            return
        if input is None and not (model or provider or name or attributes):
            return
        try:
            recorder.update(
                step,
                name=name,
                model=model,
                provider=provider,
                input=None if input is None else recorder.snapshot(input),
                attributes=recorder.snapshot(attributes) if attributes else None,
            )
        except Exception as error:  # as in __enter__
            logger.error("What was set on the step %r is not recorded", step.name, exc_info=error)

    @property
    def id(self) -> str | None:
        """The step's id; None while nothing is recorded."""
        return None if self._step is None else self._step.id

    @property
    def workflow_id(self) -> str | None:
        """The id of the workflow that the step is part of; None while nothing is recorded."""
        return None if self._step is None else self._step.workflow_id

    def _finish(self, error: BaseException | None) -> None:
        step, recorder = self._step, self._recorder
        if step is None or recorder is None:
            return
        try:
            recorder.end(
                step,
                status=status_of(error),
                output=None if self._output is None else recorder.snapshot(self._output),
                usage=self._usage,
                error=error,
            )
        except Exception as problem:  # as in __enter__
            logger.error("The end of the step %r is not recorded", step.name, exc_info=problem)

    # -- as a decorator -------------------------------------------------------------------------------------------

    def __call__(self, function: F) -> F:
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self(function.__func__))
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"step() decorates functions and methods, not {function!r}")
        call = function if inspect.isroutine(function) else getattr(function, "func", type(function).__call__)
        wrap: Callable[[Callable[..., Any], Callable[..., StepContext]], Callable[..., Any]]
        if inspect.isasyncgenfunction(call):
            wrap = _wrap_async_generator
        elif inspect.isgeneratorfunction(call):
            wrap = _wrap_generator
        elif inspect.iscoroutinefunction(call):
            wrap = _wrap_coroutine
        else:
            wrap = _wrap_function
        signature = _signature(function)
        name = self._name or getattr(call, "__qualname__", type(function).__qualname__).rpartition("<locals>.")[2]

        def fresh(args: tuple[Any, ...], kwargs: dict[str, Any]) -> StepContext:
            return StepContext(
                self._kind,
                name,
                input=_arguments(signature, args, kwargs) if self._input is None else self._input,
                model=self._model,
                provider=self._provider,
                attributes=self._attributes,
            )

        wrapper = wrap(function, fresh)
        return functools.wraps(function)(wrapper)  # type: ignore[return-value]  # the wrapper has the function's signature


@overload
def step(kind: F) -> F: ...
@overload
def step(
    kind: Kind | str = ...,
    name: str | None = ...,
    *,
    input: Any = ...,
    model: str | None = ...,
    provider: str | None = ...,
    attributes: Mapping[str, Any] | None = ...,
) -> StepContext: ...
def step(
    kind: Any = Kind.CHAIN,
    name: str | None = None,
    *,
    input: Any = None,
    model: str | None = None,
    provider: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Any:
    """A step of your own code, in the tree of whatever encloses it.

    `with step("task", "plan") as s: ...` or `@step("tool")` on a function, coroutine function, generator or
    asynchronous generator; a decorated call records its arguments and its result, a generator the number of items.
    A generator's step lasts until it is exhausted; one that is closed early ends `cancelled`. `kind` is one of
    `treerings.Kind`; `model`, `provider` and `s.set(usage=...)` make an own model call (`kind="llm"`) count and cost.
    Raises `ValueError` for an unknown kind.
    """
    if (callable(kind) or isinstance(kind, classmethod)) and not isinstance(kind, str):
        return StepContext(Kind.CHAIN, None)(kind)
    try:
        kind = Kind(kind)
    except ValueError:
        raise ValueError(f"No kind of step {kind!r}. Choose from: {', '.join(Kind)}.") from None
    return StepContext(kind, name, input=input, model=model, provider=provider, attributes=attributes)


def status_of(error: BaseException | None) -> Status:
    """The status of a step that this exception left, None being no exception; control flow is not an error."""
    if error is None:
        return Status.OK
    if not isinstance(error, Exception) or isinstance(error, StopWorkflow):
        return Status.CANCELLED  # CancelledError, of asyncio, anyio or trio, is no Exception either
    graph = sys.modules.get("langgraph.errors")  # whoever raises one of its exceptions has imported it
    if graph is not None and isinstance(error, graph.GraphBubbleUp):
        return Status.INTERRUPTED if isinstance(error, graph.GraphInterrupt) else Status.OK
    return Status.ERROR


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return None


def _arguments(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    if signature is None:
        return {"args": args, **kwargs}
    try:
        given = dict(signature.bind(*args, **kwargs).arguments)
    except TypeError:  # the call itself will say what is wrong
        return {"args": args, **kwargs}
    given.pop("self", None)
    given.pop("cls", None)
    return given


def _wrap_function(function: Callable[..., Any], fresh: Callable[..., StepContext]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with fresh(args, kwargs) as context:
            result = function(*args, **kwargs)
            context._output = result
            return result

    return wrapper


def _wrap_coroutine(function: Callable[..., Any], fresh: Callable[..., StepContext]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with fresh(args, kwargs) as context:
            result = await function(*args, **kwargs)
            context._output = result
            return result

    return wrapper


def _wrap_generator(function: Callable[..., Any], fresh: Callable[..., StepContext]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        with _Pausing(fresh(args, kwargs)) as pausing:
            resume: Callable[[], Any] = generator.__next__
            while True:
                try:
                    item = pausing.run(resume)
                except StopIteration as stop:
                    return stop.value
                try:
                    sent = yield item
                except GeneratorExit:
                    pausing.run(generator.close)
                    pausing.items -= 1
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)
                else:
                    resume = generator.__next__ if sent is None else functools.partial(generator.send, sent)

    return wrapper


def _wrap_async_generator(function: Callable[..., Any], fresh: Callable[..., StepContext]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        with _Pausing(fresh(args, kwargs)) as pausing:
            resume: Callable[[], Any] = generator.__anext__
            while True:
                try:
                    item = await pausing.run_async(resume)
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    await pausing.run_async(generator.aclose)
                    pausing.items -= 1
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.athrow, error)
                else:
                    resume = generator.__anext__ if sent is None else functools.partial(generator.asend, sent)

    return wrapper


class _Pausing:
    """A step that is the current one only while its generator runs, not while its consumer does."""

    __slots__ = ("_context", "_step", "items")

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self.items = 0
        self._step: OpenStep | None = None

    def __enter__(self) -> _Pausing:
        self._context.__enter__()
        self._step = self._context._step
        if self._context._token is not None:
            leave(self._context._token)
            self._context._token = None
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self._context._output = {"items": self.items}
        self._context._finish(error)

    def run(self, resume: Callable[[], Any]) -> Any:
        token = None if self._step is None else enter(self._step)
        try:
            item = resume()
            self.items += 1
            return item
        finally:
            if token is not None:
                leave(token)

    async def run_async(self, resume: Callable[[], Any]) -> Any:
        token = None if self._step is None else enter(self._step)
        try:
            item = await resume()
            self.items += 1
            return item
        finally:
            if token is not None:
                leave(token)
