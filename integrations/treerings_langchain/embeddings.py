"""Embeddings: LangChain has no callback for them, so the methods of their classes are wrapped."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from langchain_core.embeddings import Embeddings
from treerings import Kind, Status, runtime
from treerings.context import OpenStep, current_step, enter, leave

from .outcome import status_of

__all__ = ["unwrap", "wrap"]

METHODS = ("embed_query", "embed_documents", "aembed_query", "aembed_documents")
SOURCE = "langchain"

_wrapped: dict[tuple[type, str], Callable[..., Any]] = {}
_inside: ContextVar[int] = ContextVar("treerings_langchain_embeddings", default=0)
"""The identity of the object whose method is running."""
_init_subclass: Any = None


def wrap() -> None:
    """Record every embedding call of subclasses of `Embeddings`, those to come included; a second call does nothing."""
    global _init_subclass
    if _init_subclass is not None:
        return
    _init_subclass = Embeddings.__dict__.get("__init_subclass__", ...)

    def wrap_new(cls: Any, /, **kwargs: Any) -> None:
        super(Embeddings, cls).__init_subclass__(**kwargs)  # the next in the class's own order, as without us
        _wrap_class(cls)

    setattr(Embeddings, "__init_subclass__", classmethod(wrap_new))  # noqa: B010  # mypy knows no assigned hooks
    pending: list[type] = [Embeddings]
    while pending:
        cls = pending.pop()
        _wrap_class(cls)
        pending.extend(cls.__subclasses__())


def unwrap() -> None:
    """Give every class its own methods back."""
    global _init_subclass
    if _init_subclass is None:
        return
    if _init_subclass is ...:
        del Embeddings.__init_subclass__
    else:
        setattr(Embeddings, "__init_subclass__", _init_subclass)  # noqa: B010
    _init_subclass = None
    while _wrapped:
        (cls, name), function = _wrapped.popitem()
        setattr(cls, name, function)


def _wrap_class(cls: type) -> None:
    for name in METHODS:
        function = cls.__dict__.get(name)
        if inspect.isfunction(function) and (cls, name) not in _wrapped:
            if getattr(function, "__isabstractmethod__", False):
                continue
            _wrapped[cls, name] = function
            setattr(cls, name, _recording(function))


def _recording(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaiting(self: Any, *args: Any, **kwargs: Any) -> Any:
            step = _start(self, args, kwargs)
            if step is None:
                return await function(self, *args, **kwargs)
            token, inside = enter(step), _inside.set(id(self))
            try:
                vectors = await function(self, *args, **kwargs)
            except BaseException as error:
                _fail(step, error)
                raise
            finally:
                _inside.reset(inside)
                leave(token)
            _end(step, vectors)
            return vectors

        return awaiting

    @functools.wraps(function)
    def calling(self: Any, *args: Any, **kwargs: Any) -> Any:
        step = _start(self, args, kwargs)
        if step is None:
            return function(self, *args, **kwargs)
        token, inside = enter(step), _inside.set(id(self))
        try:
            vectors = function(self, *args, **kwargs)
        except BaseException as error:
            _fail(step, error)
            raise
        finally:
            _inside.reset(inside)
            leave(token)
        _end(step, vectors)
        return vectors

    return calling


def _start(embeddings: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenStep | None:
    """A step for this call; None while off, inside another method of the same object (`super()`, the synchronous method
    that an asynchronous one falls back to), and for objects that pass the work on to the embeddings that they hold.
    """
    recorder = runtime.current_recorder()
    if not recorder.enabled or _inside.get() == id(embeddings) or _passes_on(embeddings):
        return None
    parent = current_step()
    texts = args[0] if args else next(iter(kwargs.values()), None)
    model = next(
        (found for name in ("model", "model_name", "model_id") if isinstance(found := _get(embeddings, name), str)),
        None,
    )
    return recorder.start(
        Kind.EMBEDDING,
        type(embeddings).__name__,
        source=SOURCE,
        parent=parent,
        input=recorder.snapshot(texts),
        model=model,
        provider=_provider(type(embeddings)),
    )


def _passes_on(embeddings: Any) -> bool:
    """Whether this is a cache or another wrapper of embeddings: what it does not pass on costs nothing."""
    try:
        return any(isinstance(held, Embeddings) for held in vars(embeddings).values())
    except Exception:  # no `__dict__`, or values with a class of their own making
        return False


def _get(embeddings: Any, name: str) -> Any:
    try:
        return getattr(embeddings, name, None)
    except Exception:  # a property of the user's class
        return None


def _provider(cls: type) -> str | None:
    package = cls.__module__.partition(".")[0]
    if not package.startswith("langchain_") or package in (
        "langchain_core",
        "langchain_classic",
        "langchain_community",
    ):
        return None
    name = package.removeprefix("langchain_")
    return "azure" if name == "openai" and "Azure" in cls.__name__ else name


def _end(step: OpenStep, vectors: Any) -> None:
    rows = vectors if isinstance(vectors, list) and vectors and isinstance(vectors[0], list) else [vectors]
    dimensions = len(rows[0]) if rows and isinstance(rows[0], list) else None
    runtime.current_recorder().end(step, output={"vectors": len(rows), "dimensions": dimensions})


def _fail(step: OpenStep, error: BaseException) -> None:
    status, attributes = status_of(error)
    runtime.current_recorder().end(
        step, status=status, error=error if status is not Status.OK else None, attributes=attributes
    )
