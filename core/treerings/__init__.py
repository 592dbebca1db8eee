"""Treerings records what agents do: trees of steps with exact tokens and cost, kept in your own process."""

from .context import carry, current_step, labels
from .errors import (
    ConfigError,
    InvalidEvent,
    MissingPackage,
    StopWorkflow,
    StoreError,
    TreeringsError,
    UnknownName,
)
from .events import Kind, Status, StepEnded, StepStarted, StepUpdated
from .hookspecs import hookimpl
from .instrumentation import Instrumented, instrument, uninstrument
from .own_steps import step
from .recorder import FlushReport, Recorder
from .records import Step, Totals, Workflow
from .registry import Integration
from .runtime import configure, current_recorder, disable, enable, flush, open_store, register, unregister
from .store import Filter, Store
from .usage import Usage

__all__ = [
    "ConfigError",
    "Filter",
    "FlushReport",
    "Instrumented",
    "Integration",
    "InvalidEvent",
    "Kind",
    "MissingPackage",
    "Recorder",
    "Status",
    "Step",
    "StepEnded",
    "StepStarted",
    "StepUpdated",
    "StopWorkflow",
    "Store",
    "StoreError",
    "Totals",
    "TreeringsError",
    "UnknownName",
    "Usage",
    "Workflow",
    "carry",
    "configure",
    "current_recorder",
    "current_step",
    "disable",
    "enable",
    "flush",
    "hookimpl",
    "instrument",
    "labels",
    "open_store",
    "register",
    "step",
    "uninstrument",
    "unregister",
]

__version__ = "0.1.0"
