"""Every error that Treerings raises on purpose."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "InvalidEvent",
    "MissingPackage",
    "StopWorkflow",
    "StoreError",
    "TreeringsError",
    "UnknownName",
]


class TreeringsError(Exception):
    """Base of all errors of this package."""


class ConfigError(TreeringsError, ValueError):
    """A setting, a price or a configuration file that cannot be used; the text names the key and what to type."""


class InvalidEvent(TreeringsError, ValueError):
    """Data from outside that is no event or no step; the text names the field."""


class MissingPackage(TreeringsError, ImportError):
    """A framework or driver that is not installed; the text ends with the line to type."""


class StopWorkflow(TreeringsError, RuntimeError):
    """Raised by a `step_starting` guard to stop the run; the only error of ours that reaches the user's program."""


class StoreError(TreeringsError, RuntimeError):
    """A store that cannot be opened, read or written; the text names the store and the reason."""


class UnknownName(TreeringsError, LookupError):
    """A store, integration, workflow or dimension that does not exist; the text lists those that do."""
