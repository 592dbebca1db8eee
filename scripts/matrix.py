"""Runs frameworks inside of each other, every pair of them, and prints which combinations give one right tree.

    python scripts/matrix.py [--only langchain,own] [--sdks openai+litellm] [--show]

A row is the framework whose tool runs the other one, a column the framework inside; `sync/async` in each cell. `–` is a
combination that no program can have; `--show` prints the trees that are not right.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integrations" / "matrix"))
os.environ.setdefault("TREERINGS_DATA_DIR", tempfile.mkdtemp(prefix="treerings-matrix-"))

from matrix_cell import BLOCKS, IMPOSSIBLE, SDKS, Block, answer, instrumented, judge, load, run_cell  # noqa: E402
from treerings.testing import ModelServer, capture  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description="Run frameworks inside of each other.")
    parser.add_argument("--only", help="names of frameworks with commas between", default=",".join(BLOCKS))
    parser.add_argument("--sdks", help="one set of SDK integrations, such as openai+litellm, or none")
    parser.add_argument("--show", action="store_true", help="print the trees that are not right")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger().setLevel(logging.CRITICAL)
    loaded = {name: block for name in options.only.split(",") if (block := load(name)) is not None}
    chosen = SDKS if options.sdks is None else [tuple(n for n in options.sdks.split("+") if n != "none")]
    wrong = 0
    with ModelServer(default=answer) as server, asyncio.Runner() as runner:
        for sdks in chosen:
            print(f"\nwith the integrations of the frameworks{''.join(f' + {sdk}' for sdk in sdks)}\n")
            print("| outer \\ inner | " + " | ".join(block.NAME for block in loaded.values()) + " |")
            print("|---" * (len(loaded) + 1) + "|", flush=True)
            for outer in loaded:
                cells = []
                for inner in loaded:
                    shown = [_cell(server, loaded, outer, inner, sdks, on, show=options.show) for on in (None, runner)]
                    wrong += shown.count("✗")
                    cells.append("/".join(shown))
                print(f"| {loaded[outer].NAME} | " + " | ".join(cells) + " |", flush=True)
    print(f"\n{wrong} wrong" if wrong else "\nall right")
    return 1 if wrong else 0


def _cell(
    server: ModelServer,
    loaded: dict[str, Block],
    outer: str,
    inner: str,
    sdks: tuple[str, ...],
    runner: asyncio.Runner | None,
    *,
    show: bool,
) -> str:
    if runner is None and (outer, inner) in IMPOSSIBLE:
        return "–"
    blocks = [loaded[outer], loaded[inner]]
    before = server.usage_served
    failed = ""
    with instrumented(blocks, sdks), capture() as captured:
        try:
            run_cell(blocks[0], blocks[1], server.base_url, runner)
        except Exception as error:  # a framework's code
            failed = f"{type(error).__name__}: {error}"
        verdict = judge(captured, server, before)
    if verdict and not failed:
        return "✓"
    if show:
        how = "sync" if runner is None else "async"
        print(
            "\n".join([f"--- {outer} > {inner}, {how}, {sdks}", failed, *verdict.faults, verdict.shown]),
            file=sys.stderr,
        )
    return "✗"


if __name__ == "__main__":
    sys.exit(main())
