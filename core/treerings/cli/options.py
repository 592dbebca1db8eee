"""Options that several commands have, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UnknownName
from ..events import Kind, Status
from ..store import DIMENSIONS, Filter, check_dimensions, parse_time

__all__ = ["by_option", "filter_options", "json_option", "output_options", "store_option"]

F = TypeVar("F", bound=Callable[..., Any])


if TYPE_CHECKING:
    _Time = click.ParamType[datetime]
    _Label = click.ParamType[tuple[str, str]]
    _Dimensions = click.ParamType[list[str]]
else:
    _Time = _Label = _Dimensions = click.ParamType  # generic since click 8.4; other packages hold click below it


class Time(_Time):
    """An age or a date."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(value)
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)


class Label(_Label):
    """A label and its value."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, separator, wanted = value.partition("=")
        if not key or not separator:
            self.fail(f"{value!r} is no label. Type it as team=growth.", param, ctx)
        return key, wanted


class Dimensions(_Dimensions):
    """Names of dimensions with commas between."""

    name = "DIMENSIONS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        if isinstance(value, list):
            return value
        try:
            return check_dimensions([name.strip() for name in value.split(",") if name.strip()])
        except UnknownName as error:
            self.fail(str(error), param, ctx)


json_option = click.option("--json", "as_json", is_flag=True, help="Print plain data instead.")

store_option = click.option(
    "--store", "store_url", metavar="URL", help="The store to read; default: the one of the settings."
)

by_option = click.option(
    "--by",
    type=Dimensions(),
    default="agent,model",
    show_default=True,
    help=f"What to group by, with commas between: {', '.join(DIMENSIONS)}, label:KEY.",
)


def output_options(command: F) -> F:
    """`--json` and `--no-color`."""
    no_color = click.option("--no-color", is_flag=True, help="Print without colours; so does NO_COLOR=1.")
    return no_color(json_option(command))


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make a `Filter`; the command gets it as `filter`."""

    def with_filter(*args: Any, **options: Any) -> Any:
        filter = Filter(
            labels=dict(options.pop("labels")),
            **{name: options.pop(name) for name in _FILTERS},
        )
        return command(*args, filter=filter, **options)

    wrapped = update_wrapper(with_filter, command)
    wrapped = click.option("--label", "labels", type=Label(), multiple=True, help="Only with this label; repeatable.")(
        wrapped
    )
    for name, flags in reversed(_FILTERS.items()):
        wrapped = click.option(*flags[0], name, **flags[1])(wrapped)
    return wrapped


_FILTERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "since": (("--since",), {"type": Time(), "help": "Only from then on: an age (90m, 24h, 7d) or a date."}),
    "until": (("--until",), {"type": Time(), "help": "Only before then."}),
    "status": (
        ("--status",),
        {
            "type": click.Choice([str(status) for status in Status]),
            "metavar": "STATUS",
            "help": f"Only with this status: {', '.join(Status)}.",
        },
    ),
    "kind": (
        ("--kind",),
        {
            "type": click.Choice([str(kind) for kind in Kind]),
            "metavar": "KIND",
            "help": f"Only of this kind: {', '.join(Kind)}.",
        },
    ),
    "name": (("--name",), {"help": "Only with this name."}),
    "agent": (("--agent",), {"help": "Only of this agent."}),
    "model": (("--model",), {"help": "Only of this model."}),
    "source": (("--source",), {"help": "Only from this framework."}),
    "session_id": (("--session",), {"metavar": "ID", "help": "Only of this session."}),
    "user_id": (("--user",), {"metavar": "ID", "help": "Only of this user."}),
    "tenant_id": (("--tenant",), {"metavar": "ID", "help": "Only of this tenant."}),
}
