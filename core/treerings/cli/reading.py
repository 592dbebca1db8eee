"""`treerings workflows`, `show` and `totals`: what is in a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import click

from ..store import Filter
from .options import by_option, filter_options, output_options, store_option

__all__ = ["show", "totals", "workflows"]


@click.command()
@filter_options
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=20, show_default=True, help="At most so many."
)
@store_option
@output_options
def workflows(filter: Filter, limit: int, store_url: str | None, as_json: bool, no_color: bool) -> None:
    """List workflows, the newest first.

    Status, name, source, user, session, tenant and labels are those of the workflow; --kind, --agent and --model find
    workflows with such a step.
    """
    from .data import workflow_data
    from .output import console, print_json
    from .stores import nothing_recorded, opened

    with opened(store_url) as store:
        found = store.workflows(replace(filter, limit=limit))
        if as_json:
            print_json([workflow_data(workflow) for workflow in found])
            return
        if not found:
            click.echo(nothing_recorded(store) if filter == Filter() else "No workflow matches.")
            return
    from ..rendering import WorkflowTable

    console(no_color=no_color).print(WorkflowTable(found, datetime.now(UTC)))
    if len(found) == limit:
        click.echo(f"The newest {limit}; --limit shows more.", err=True)


@click.command()
@click.argument("workflow_id", metavar="[ID|last]", default="last")
@click.option("--payloads", is_flag=True, help="Show inputs and outputs, too.")
@click.option("--all", "every_step", is_flag=True, help="Show plumbing steps, too.")
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="Show so many levels below the root.")
@store_option
@output_options
def show(
    workflow_id: str,
    payloads: bool,
    every_step: bool,
    depth: int | None,
    store_url: str | None,
    as_json: bool,
    no_color: bool,
) -> None:
    """Show a workflow as a tree.

    ID is the workflow's id or its beginning, or `last`. Every line has status, kind and name of a step, its agent where it
    changes, its model and time, and the tokens and cost of all that is below it.
    """
    from .data import step_data, workflow_data
    from .output import console, print_json
    from .stores import find_workflow, opened

    with opened(store_url) as store:
        workflow = find_workflow(store, workflow_id)
    if as_json:
        print_json({"workflow": workflow_data(workflow), "steps": [step_data(step) for step in workflow.steps]})
        return
    from ..rendering import Tree

    tree = Tree(workflow, every_step=every_step, depth=depth, payloads=payloads, now=datetime.now(UTC))
    console(no_color=no_color).print(tree)


@click.command()
@by_option
@filter_options
@store_option
@output_options
def totals(by: list[str], filter: Filter, store_url: str | None, as_json: bool, no_color: bool) -> None:
    """Add up tokens and cost, the most expensive first.

    Every filter is one of steps. Model calls are counted once, however many layers saw them.
    """
    from .data import totals_data
    from .output import console, print_json
    from .stores import nothing_recorded, opened

    with opened(store_url) as store:
        groups = store.totals(by, filter)
        if as_json:
            print_json([totals_data(group) for group in groups])
            return
        whole = store.totals([], filter)[0]
        if not whole.steps:
            click.echo(nothing_recorded(store) if filter == Filter() else "No step matches.")
            return
    from ..rendering import TotalsTable

    console(no_color=no_color).print(TotalsTable(by, groups, whole))
