"""Models of your own: a subclass of CrewAI's `BaseLLM` tells CrewAI nothing of its calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from treerings import Kind, Status, runtime
from treerings.context import OpenStep, current_step, enter, leave
from treerings.own_steps import status_of

from .text import model_name, provider_of, short

__all__ = ["is_recorded", "record_llm"]

SOURCE = "crewai"
C = TypeVar("C", bound=type)
_marked = "__treerings_recorded__"


def record_llm(cls: C) -> C:
    """Record the calls of a model class of your own: a decorator, or `record_llm(OakLLM)` for somebody else's class.

    Its `call` and `acall` become model calls in the tree. Tokens are estimated and marked, unless something inside
    records the request itself, such as the integration of the SDK that it uses. A second time changes nothing.
    """
    for name in ("call", "acall"):
        method = cls.__dict__.get(name)
        if inspect.isfunction(method) and not hasattr(method, _marked):
            setattr(cls, name, _recording(method))
    return cls


def is_recorded(cls: type) -> bool:
    """Whether this class, or one that it is made of, was given to `record_llm`."""
    return any(hasattr(base.__dict__.get(name), _marked) for base in cls.__mro__ for name in ("call", "acall"))


def _recording(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    if inspect.iscoroutinefunction(inspect.unwrap(method)) or inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def awaiting(self: Any, *args: Any, **kwargs: Any) -> Any:
            step = _start(self, signature, args, kwargs)
            if step is None:
                return await method(self, *args, **kwargs)
            token = enter(step)
            try:
                answer = await method(self, *args, **kwargs)
            except BaseException as error:
                _end(step, error=error)
                raise
            finally:
                leave(token)
            _end(step, answer)
            return answer

        setattr(awaiting, _marked, True)
        return awaiting

    @functools.wraps(method)
    def calling(self: Any, *args: Any, **kwargs: Any) -> Any:
        step = _start(self, signature, args, kwargs)
        if step is None:
            return method(self, *args, **kwargs)
        token = enter(step)
        try:
            answer = method(self, *args, **kwargs)
        except BaseException as error:
            _end(step, error=error)
            raise
        finally:
            leave(token)
        _end(step, answer)
        return answer

    setattr(calling, _marked, True)
    return calling


def _start(llm: Any, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenStep | None:
    try:
        recorder = runtime.current_recorder()
        if not recorder.enabled:
            return None
        messages = kwargs.get("messages", args[0] if args else None)
        model = model_name(getattr(llm, "model", None))
        return recorder.start(
            Kind.LLM,
            short(model) or type(llm).__name__,
            source=SOURCE,
            parent=current_step(),
            input=recorder.snapshot(messages),
            model=model,
            provider=_provider(llm),
            attributes={"class": type(llm).__qualname__},
        )
    except Exception:  # a property of the user's class
        return None


def _provider(llm: Any) -> str | None:
    """The provider that the object names; CrewAI writes OpenAI where none is named."""
    provider = provider_of(llm, None)
    return None if provider == "openai" else provider


def _end(step: OpenStep, answer: Any = None, error: BaseException | None = None) -> None:
    recorder = runtime.current_recorder()
    status = status_of(error)
    recorder.end(step, status=status, output=recorder.snapshot(answer), error=None if status is Status.OK else error)
