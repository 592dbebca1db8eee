"""Runs the code blocks of the documentation, and writes what they print into the pages.

    python scripts/update_docs_output.py [PAGE ...]      # without pages: README.md and everything in docs/

How a page is run, in a process of its own, in an empty folder with an empty store, without network:

- ```python blocks run in order, in one namespace. A block whose first line is a comment with a file name (`# app.py`) is
  written to that file as well; one called `test_*.py` is run by pytest.
- ```toml blocks whose first line is such a comment (`# treerings.toml`) are written to that file.
- `<!-- prelude` ... `-->` holds Python that runs at that place and that readers do not see.
- `<!-- table: settings -->` ... `<!-- end -->` holds the table of all settings; `integrations` that of what can be captured,
  `packages` that of the folder `integrations/`.
- `<!-- output -->` before a ```text block: it holds what the Python block above prints. Before a ```console block: its `$`
  lines are run, and what they print stands below each.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

ROOT = Path(__file__).resolve().parent.parent
TIME_LIMIT = 120
"""Seconds that one page may run."""
OUTPUT = "<!-- output -->"

_TABLE = re.compile(r"(<!-- table: (?P<name>\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\s*$")
_FILE = re.compile(r"# (?P<name>[\w./-]+\.(?:py|toml))$")


@dataclass(slots=True)
class Block:
    """A fenced block or a prelude of a page."""

    language: str
    """`python`, `console`, `text`, ...; `prelude` for hidden Python."""
    code: str
    line: int
    """Of the first line of the code, from 1."""
    length: int
    """Lines of code."""
    generated: bool = False
    """Whether the tool writes (a part of) it."""

    @property
    def file(self) -> str | None:
        """The file that the block is, by its first line."""
        match = _FILE.match(self.code.split("\n", 1)[0])
        return match["name"] if match else None


def pages() -> list[Path]:
    """The pages of the documentation."""
    return [ROOT / "README.md", ROOT / "integrations" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    """The blocks of a page, in order; raises `ValueError` for a fence or a prelude that does not end."""
    return list(_blocks(text.split("\n")))


def _blocks(lines: list[str]) -> Iterator[Block]:
    number, generated = 0, False
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.strip() == OUTPUT:
            generated = True
            continue
        fence = _FENCE.match(line)
        end = None
        if fence:
            language, end = fence["language"], f"{fence['indent']}```"
        elif line.strip() == "<!-- prelude":
            language, end = "prelude", "-->"
        if end is not None:
            first = number
            while number < len(lines) and lines[number].rstrip() != end:
                number += 1
            if number == len(lines):
                raise ValueError(f"line {first}: this block does not end")
            cut = len(fence["indent"]) if fence else 0
            code = [part[cut:] for part in lines[first:number]]
            yield Block(language, "\n".join(code), first + 1, len(code), generated)
            number += 1
        if line.strip():
            generated = False


def run(page: Path) -> dict[int, str]:
    """Run a page; the text of its generated blocks by their line. An `AssertionError` shows what failed."""
    with tempfile.TemporaryDirectory(prefix="treerings-docs-") as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TREERINGS_")}
        environment |= {
            "TREERINGS_DATA_DIR": str(Path(folder) / "data"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")]),
            "COLUMNS": "110",
            "NO_COLOR": "1",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": folder,
        }
        done = subprocess.run(
            [sys.executable, __file__, "--inside", str(page)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIME_LIMIT,
        )
        result = Path(folder) / "result.json"
        assert done.returncode == 0, f"{page.name} does not run:\n{done.stderr}"
        return {int(line): text for line, text in json.loads(result.read_text("utf-8")).items()}


def updated(text: str, printed: dict[int, str]) -> str:
    """The page's text with the generated blocks as `run` gave them."""
    lines = text.split("\n")
    for block in reversed(blocks(text)):
        if block.line in printed:
            first = block.line - 1
            lines[first : first + block.length] = printed[block.line].split("\n")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """The page's text with the tables as the code has them."""
    return _TABLE.sub(lambda match: f"{match[1]}\n{TABLES[match['name']]()}\n", text)


def settings_table() -> str:
    """Every setting, with its default and its docstring."""
    from treerings.settings import Settings

    tree = ast.parse(inspect.getsource(Settings)).body[0]
    assert isinstance(tree, ast.ClassDef)
    notes = {
        first.target.id: second.value.value
        for first, second in itertools.pairwise(tree.body)
        if isinstance(first, ast.AnnAssign)
        and isinstance(first.target, ast.Name)
        and isinstance(second, ast.Expr)
        and isinstance(second.value, ast.Constant)
    }
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = f"`{json.dumps(field.get_default(call_default_factory=True))}`"
        if name == "store":  # on this machine
            default = "`treerings.db` in the data folder"
        choices = ", ".join(f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str))
        lines.append(f"| `{name}` | {default} | {notes[name]}{f' One of {choices}.' if choices else ''} |")
    return "\n".join(lines) + "\n"


def integrations_table() -> str:
    """Every integration of this repository: what it captures, from which version on, how, and its page."""
    lines = ["| name | captures | from version | through | page |", "|---|---|---|---|---|"]
    for integration in integrations_here():
        requirement = _requirement(integration.extra)
        version = requirement.partition(">=")[2] or "any"
        page = f"[{integration.name}]({integration.name}.md)" if _page(integration.name).exists() else "–"
        captured = f"{integration.title or integration.name} (`{requirement.partition('>')[0]}`)"
        lines.append(f"| `{integration.name}` | {captured} | {version} | {integration.observes} | {page} |")
    return "\n".join(lines) + "\n"


def packages_table() -> str:
    """The packages of integrations and what they capture."""
    lines = ["| package | framework |", "|---|---|"]
    for integration in integrations_here():
        shown = f" ([what is recorded](../docs/{integration.name}.md))" if _page(integration.name).exists() else ""
        title = integration.title or integration.name
        lines.append(f"| `{integration.module.partition('.')[0]}` | {title}{shown} |")
    return "\n".join(lines) + "\n"


def integrations_here() -> list[Any]:
    """Those whose code is here, by name."""
    import importlib.util

    from treerings.registry import Registry

    registry = Registry()
    registry.load()
    ours = [
        item for item in registry.integrations.values() if (ROOT / "integrations" / item.module.split(".")[0]).is_dir()
    ]
    return sorted((item for item in ours if importlib.util.find_spec(item.module)), key=lambda item: item.name)


def _requirement(extra: str) -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        requirements: list[str] = tomllib.load(file)["project"]["optional-dependencies"][extra]
    return requirements[0]


def _page(name: str) -> Path:
    return ROOT / "docs" / f"{name}.md"


TABLES = {"settings": settings_table, "integrations": integrations_table, "packages": packages_table}


# -- in the process that runs a page ----------------------------------------------------------------------------------


def _run_inside(page: Path) -> None:
    _stay_offline()
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed: dict[int, str] = {}
    before = ""
    for block in blocks(page.read_text("utf-8")):
        if block.language in ("python", "toml") and block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.code + "\n", "utf-8")
        if block.language == "python" and block.file and Path(block.file).name.startswith("test_"):
            before = _shell(f"python -m pytest -q -p no:cacheprovider {block.file}")
        elif block.language in ("python", "prelude"):
            before = _python(block, page, namespace)
        elif block.language == "console" and block.generated:
            _flush()
            printed[block.line] = "\n".join(_console(block))
        elif block.generated:
            printed[block.line] = before.rstrip("\n")
    Path("result.json").write_text(json.dumps(printed), "utf-8")


def _python(block: Block, page: Path, namespace: dict[str, Any]) -> str:
    output = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
    with contextlib.redirect_stdout(output):
        exec(code, namespace)
    return output.getvalue()


def _console(block: Block) -> Iterator[str]:
    for line in block.code.split("\n"):
        if line.startswith("$ "):
            yield line
            if text := _shell(line[2:]).rstrip("\n"):
                yield from (part.rstrip() for part in text.split("\n"))


def _shell(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, encoding="utf-8", timeout=TIME_LIMIT)
    if done.returncode:
        raise RuntimeError(f"$ {command}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def _flush() -> None:
    import treerings

    treerings.flush()


def _stay_offline() -> None:
    import socket

    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"The documentation runs without network, but something connects to {address[0]}")
        connect(self, address)

    socket.socket.connect = only_loopback  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    """Run these pages, or all, and write what their generated blocks print."""
    for page in [Path(name).resolve() for name in arguments] or pages():
        text = page.read_text("utf-8")
        new = with_tables(updated(text, run(page)))
        print(f"{'updated' if new != text else 'as it is'}: {page.relative_to(ROOT)}")
        if new != text:
            page.write_text(new, "utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        _run_inside(Path(sys.argv[2]))
    else:
        main(sys.argv[1:])
