"""`treerings run`: a script or module as it is, recorded."""

from __future__ import annotations

import sys

import click

__all__ = ["run"]


@click.command(short_help="Run a program and record it.", context_settings={"allow_interspersed_args": False})
@click.option("-m", "as_module", is_flag=True, help="Run a module, like python -m.")
@click.option("-q", "--quiet", is_flag=True, help="Print no summary at the end.")
@click.option("--store", "store_url", metavar="URL", help="The store to write; default: the one of the settings.")
@click.argument("target", metavar="SCRIPT|MODULE")
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
def run(as_module: bool, quiet: bool, store_url: str | None, target: str, arguments: tuple[str, ...]) -> None:
    """Run a Python program without changing it, and record every run of an installed framework in it.

    Everything after SCRIPT (or after -m MODULE) goes to the program. Its exit code is kept.
    """
    from .. import instrumentation, runtime
    from ..settings import load_settings
    from .programs import find_program, run_program
    from .summary import Summary

    program = find_program(target, arguments, as_module=as_module)
    if store_url is not None:
        runtime.registry().open_store(store_url).close()
        runtime.configure(store=store_url)
    else:
        load_settings()
    instrumented = instrumentation.instrument()
    if not quiet:
        Summary(instrumented, store_url).print_at_exit()
    sys.exit(run_program(program))
