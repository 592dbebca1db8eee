"""The methods of agno that are wrapped, and their way back: agno tells a plain run to no observer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agno.agent import Agent
from agno.models.base import Model
from agno.team import Team
from agno.tools.function import FunctionCall

from .calls import Call, watched
from .models import ModelCall
from .runs import AgentCall, TaskCall, WorkflowCall
from .tools import ToolCall

__all__ = ["unwrap", "wrap"]

RUNS = ("run", "arun", "continue_run", "acontinue_run")
MODEL = ("invoke", "ainvoke", "invoke_stream", "ainvoke_stream")

_wrapped: dict[tuple[type, str], Callable[..., Any]] = {}
_init_subclass: Any = None


def wrap() -> None:
    """Wrap every method, models that are yet to be defined included; a second call does nothing."""
    global _init_subclass
    if _init_subclass is not None:
        return
    _wrap(Agent, RUNS, AgentCall)
    _wrap(Team, RUNS, AgentCall)
    _wrap(FunctionCall, ("execute", "aexecute"), ToolCall)
    try:
        from agno.workflow import Step, Workflow
    except ImportError:  # agno's workflows need packages of their own
        pass
    else:
        _wrap(Workflow, RUNS, WorkflowCall)
        _wrap(Step, ("execute", "aexecute", "execute_stream", "aexecute_stream"), TaskCall)
    _init_subclass = Model.__dict__.get("__init_subclass__", ...)

    def wrap_new(cls: Any, /, **kwargs: Any) -> None:
        super(Model, cls).__init_subclass__(**kwargs)
        _wrap(cls, MODEL, ModelCall)

    setattr(Model, "__init_subclass__", classmethod(wrap_new))  # noqa: B010  # mypy knows no assigned hooks
    pending: list[type] = [Model]
    while pending:
        cls = pending.pop()
        _wrap(cls, MODEL, ModelCall)
        pending.extend(cls.__subclasses__())


def unwrap() -> None:
    """Give every class its own methods back."""
    global _init_subclass
    if _init_subclass is None:
        return
    if _init_subclass is ...:
        del Model.__init_subclass__
    else:
        setattr(Model, "__init_subclass__", _init_subclass)  # noqa: B010
    _init_subclass = None
    while _wrapped:
        (cls, name), function = _wrapped.popitem()
        setattr(cls, name, function)


def _wrap(cls: type, names: tuple[str, ...], kind: type[Call]) -> None:
    for name in names:
        function = cls.__dict__.get(name)
        if (cls, name) in _wrapped or not inspect.isfunction(function):
            continue
        if getattr(function, "__isabstractmethod__", False):
            continue
        _wrapped[cls, name] = function
        setattr(cls, name, watched(function, kind))
