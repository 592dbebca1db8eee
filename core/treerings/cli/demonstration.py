"""`treerings demo`: a team of agents on scripted models, recorded and shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from .options import output_options

if TYPE_CHECKING:
    from rich.console import Console

    from ..records import Workflow
    from ..store import Store

__all__ = ["demo"]


@click.command(short_help="Run a team of agents and show what it cost.")
@click.option("--store", "store_url", metavar="URL", help="The store to write; default: the one of the settings.")
@output_options
def demo(store_url: str | None, as_json: bool, no_color: bool) -> None:
    """Run a team of agents, record it, and show what it did and cost.

    The team is real LangGraph code. Its models are scripted: a server in this process answers, nothing leaves the machine,
    and the costs are what the same tokens would cost.
    """
    from .. import runtime
    from ..demo import QUESTION, check_installed
    from ..settings import load_settings
    from ..store import Filter
    from .data import step_data, workflow_data
    from .output import console, print_json
    from .stores import find_workflow

    check_installed()
    runtime.open_store(store_url or load_settings().store).close()
    if store_url is not None:
        runtime.configure(store=store_url)
    out = console(no_color=no_color)
    if not as_json:
        out.print("A support team of LangGraph agents answers a customer. Its models are scripted: no key, no network.")
        out.print(f"  {QUESTION}", style="italic")
    session, answer = _run()
    store = runtime.open_store(store_url or load_settings().store)
    try:
        workflow = find_workflow(store, store.workflows(Filter(session_id=session))[0].id)
        if as_json:
            print_json({"workflow": workflow_data(workflow), "steps": [step_data(step) for step in workflow.steps]})
            return
        out.print(f"  {answer}\n", style="italic green")
        _show(workflow, store, out)
    finally:
        store.close()
    _say_next(out, f" --store {store_url}" if store_url else "")


def _run() -> tuple[str, str]:
    """Run the team in a session of its own; the session and the answer."""
    from .. import context, instrumentation, runtime
    from ..demo import replies, run_team
    from ..testing.model_server import ModelServer

    os.environ["LANGCHAIN_OPENAI_TCP_KEEPALIVE"] = "0"  # langchain-openai would warn of a proxy that is not used
    instrumentation.instrument("langchain")
    session = f"demo-{os.urandom(3).hex()}"
    with ModelServer(default=replies()) as server, context.labels(session_id=session):
        answer = run_team(server.base_url)
    report = runtime.flush()
    if report.pending or report.dropped:
        raise click.ClickException(f"Not everything could be stored: {report}")
    return session, answer


def _show(workflow: Workflow, store: Store, out: Console) -> None:
    from ..rendering import TotalsTable, Tree
    from ..store import Filter

    only = Filter(workflow_id=workflow.id)
    whole = store.totals([], only)[0]
    out.print(Tree(workflow))
    for dimension in ("agent", "model"):
        out.print()
        out.print(TotalsTable([dimension], store.totals([dimension], only), whole))


def _say_next(out: Console, option: str) -> None:
    out.print("\nThe costs are what the real models would cost. Next:", style="bold")
    for line, meaning in (
        (f"treerings show last --payloads{option}", "the same, with all that was said"),
        (f"treerings totals --by model{option}", "sums of all runs, by anything"),
        ("treerings run app.py", "record your own program"),
    ):
        out.print(f"  {line:<36} {meaning}")
