"""Python programs run as `python` itself would: `__main__`, `sys.argv`, `sys.path[0]`, exit codes, tracebacks."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
import zipfile
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Program", "find_program", "run_program"]

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended: 128 and the number of SIGINT."""


@dataclass(slots=True)
class Program:
    """What to run, found but not yet read."""

    path: str
    """What `sys.argv[0]` is."""
    arguments: Sequence[str]
    folder: str
    """What `sys.path[0]` is."""
    spec: ModuleSpec | None = None
    """None for a script."""


def find_program(target: str, arguments: Sequence[str], *, as_module: bool) -> Program:
    """The program; a `click.UsageError` says what is missing. Finding a module imports the packages around it."""
    if as_module:
        return _find_module(target, arguments)
    if os.path.isdir(target) or zipfile.is_zipfile(target):
        spec = PathFinder.find_spec("__main__", [target])
        if spec is None:
            raise click.UsageError(f"{target} has no __main__.py to run.")
        return Program(target, arguments, os.path.abspath(target), spec)
    if not os.path.exists(target):
        hint = f" Did you mean: treerings run -m {target}?" if _is_module(target) else ""
        raise click.UsageError(f"No script {target!r}.{hint}")
    return Program(target, arguments, os.path.dirname(os.path.realpath(target)))


def _find_module(name: str, arguments: Sequence[str]) -> Program:
    folder = os.getcwd()
    _put_first(folder)
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
            if spec is None:
                raise click.UsageError(f"{name} is a package without __main__.py: it cannot be run.")
    except (ImportError, ValueError, AttributeError) as error:
        raise click.UsageError(f"No module {name!r}: {error}") from None
    if spec is None:
        raise click.UsageError(f"No module {name!r} here or among the installed ones.")
    return Program(spec.origin or name, arguments, folder, spec)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _put_first(folder: str) -> None:
    """Give the program's folder the place that the command's own has; with `python -P` there is none."""
    if sys.flags.safe_path:
        return
    if sys.path:
        sys.path[0] = folder
    else:
        sys.path.append(folder)


def run_program(program: Program) -> int:
    """Run it in this process and give its exit code; errors are printed the way the interpreter would."""
    try:
        _put_first(program.folder)
        sys.argv[:] = [program.path, *program.arguments]
        module = _main_module(program)
        code = _code(program)
        sys.modules["__main__"] = module
        exec(code, module.__dict__)
    except SystemExit as error:
        return _exit_code(error.code)
    except KeyboardInterrupt as error:
        _report(error)
        return INTERRUPTED
    except BaseException as error:  # whatever a program may raise
        _report(error)
        return 1
    return 0


def _main_module(program: Program) -> ModuleType:
    main = ModuleType("__main__")
    spec, path = program.spec, os.path.abspath(program.path)
    names: dict[str, Any] = {
        "__file__": path if spec is None else spec.origin,
        "__cached__": None if spec is None else spec.cached,
        "__loader__": SourceFileLoader("__main__", path) if spec is None else spec.loader,
        "__package__": None if spec is None else spec.parent,
        "__spec__": None if spec is None or spec.name == "__main__" else spec,
        "__builtins__": sys.modules["builtins"],
        "__annotations__": {},
    }
    main.__dict__.update(names)
    return main


def _code(program: Program) -> CodeType:
    if program.spec is None:
        path = os.path.abspath(program.path)
        with io.open_code(path) as file:
            return compile(file.read(), path, "exec", dont_inherit=True)
    loader: Any = program.spec.loader
    code: CodeType | None = loader.get_code(program.spec.name)
    if code is None:
        raise ImportError(f"No code object available for {program.spec.name}")
    return code


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return 1


def _report(error: BaseException) -> None:
    """Print the traceback from the program's first line on, through `sys.excepthook`."""
    error.__traceback__ = _without_ours(error.__traceback__)
    sys.excepthook(type(error), error, error.__traceback__)


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace
