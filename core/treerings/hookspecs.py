"""Every hook that a plugin may implement: mark the function with `treerings.hookimpl`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from .events import StepStarted
    from .prices import Price
    from .recorder import Recorder
    from .records import Step, Workflow
    from .registry import Integration, Processor, StoreFactory

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("treerings")
hookimpl = pluggy.HookimplMarker("treerings")


@hookspec
def register_integrations(register: Callable[[Integration], None]) -> None:
    """Called once, at first use: give `register` an `Integration` for each framework that the plugin captures."""


@hookspec
def register_stores(register: Callable[[str, StoreFactory], None]) -> None:
    """Called once, at first use: give `register` a URL scheme and a function of the URL that opens the store."""


@hookspec
def register_processors(register: Callable[[str, Processor], None]) -> None:
    """Called once, at first use: give `register` a name and a function that changes a step before anyone sees it.

    Runs on the worker for every step. When it raises, the step's input, output, error and attributes are removed: a
    redaction that fails hides, it does not leak.
    """


@hookspec
def register_commands(cli: click.Group) -> None:
    """Called once, when the command line starts: add commands to `cli`."""


@hookspec(historic=True)
def startup(recorder: Recorder) -> None:
    """Told when a recorder starts, on its worker; a plugin that registers later is told then."""


@hookspec
def steps_recorded(steps: Sequence[Step]) -> None:
    """Told on the worker after each batch: the steps that are new or changed, after they were stored or set aside."""


@hookspec
def workflow_finished(workflow: Workflow) -> None:
    """Told on the worker, once a workflow: its root has ended and so have all its steps, or they were closed by rule."""


@hookspec
def shutdown(recorder: Recorder) -> None:
    """Told when a recorder closes, after the last batch."""


@hookspec
def step_starting(step: StepStarted) -> None:
    """Guard, on the thread that starts the step: raise `StopWorkflow` to stop the run there. Anything else is logged."""


@hookspec(firstresult=True)
def count_tokens(model: str | None, text: str) -> int | None:
    """Asked when a provider did not report tokens: how many tokens this text has for this model, or None to pass."""


@hookspec(firstresult=True)
def price_usage(step: Step) -> Price | None:
    """Asked for each counted model call: what `step.usage` costs, or None to pass. Treerings' own table answers last."""


@hookspec(firstresult=True)
def serialize_value(value: Any) -> Any | None:
    """Asked at event time for an object that is not plain data: its plain form, or None to pass.

    The answer is bounded like everything else. It must be quick, must not keep the object and must not consume it.
    """
