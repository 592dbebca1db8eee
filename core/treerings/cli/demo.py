"""`treerings demo`: a team of agents on scripted models, recorded and shown."""

from __future__ import annotations

import click

__all__ = ["demo"]


@click.command(short_help="Run a team of agents and show what it cost.")
@click.option("--store", "store_url", metavar="URL", help="The store to write; default: the one of the settings.")
@click.option("--no-color", is_flag=True, help="Print without colours; so does NO_COLOR=1.")
def demo(store_url: str | None, no_color: bool) -> None:
    """Run a team of agents, record it, and show what it did and cost.

    The team is real LangGraph code. Its models are scripted: a server in this process answers, nothing leaves the machine,
    and the costs are what the same tokens would cost.
    """
    from .. import instrumentation, runtime
    from ..demo import QUESTION, check_installed, replies, run_team
    from ..settings import load_settings
    from .output import console

    check_installed()
    if store_url is not None:
        runtime.open_store(store_url).close()
        runtime.configure(store=store_url)
    url = load_settings(**({} if store_url is None else {"store": store_url})).store
    instrumentation.instrument("langchain")

    from ..testing.model_server import ModelServer

    out = console(no_color=no_color)
    out.print("A support team of LangGraph agents answers a customer. Its models are scripted: no key, no network.")
    out.print(f"  {QUESTION}", style="italic")
    with ModelServer(default=replies()) as server:
        answer = run_team(server.base_url)
    out.print(f"  {answer}\n", style="italic green")
    report = runtime.flush()
    if report.pending or report.dropped:
        raise click.ClickException(f"Not everything could be stored: {report}")
    _show(url, out)
    option = f" --store {store_url}" if store_url else ""
    out.print("\nThe costs are what the real models would cost. Next:", style="bold")
    for line, meaning in (
        (f"treerings show last --payloads{option}", "the same, with all that was said"),
        (f"treerings totals --by model{option}", "sums of all runs, by anything"),
        ("treerings run app.py", "record your own program"),
    ):
        out.print(f"  {line:<36} {meaning}")


def _show(url: str, out: object) -> None:
    from rich.console import Console

    from .. import runtime
    from ..rendering import TotalsTable, Tree
    from ..store import Filter
    from .stores import find_workflow

    assert isinstance(out, Console)
    store = runtime.open_store(url)
    try:
        workflow = find_workflow(store, "last")
        only = Filter(workflow_id=workflow.id)
        whole = store.totals([], only)[0]
        out.print(Tree(workflow))
        for dimension in ("agent", "model"):
            out.print()
            out.print(TotalsTable([dimension], store.totals([dimension], only), whole))
    finally:
        store.close()
