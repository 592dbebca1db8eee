"""What `import treerings` and loading the plugins take, each in fresh processes, and what they must not import.

uv run python benchmarks/importtime.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

FORBIDDEN = (
    "langchain_core",
    "langgraph",
    "sqlalchemy",
    "sqlmodel",
    "tiktoken",
    "pydantic_settings",
    "rich",
    "alembic",
)
CASES = {
    "python": "",
    "import treerings": "import treerings",
    "... and plugins loaded": "import treerings; treerings.runtime.Registry().load()",
    "import pydantic, to compare": "import pydantic.main",
}


def milliseconds(code: str, runs: int = 15) -> float:
    program = f"import time; start = time.perf_counter()\n{code}\nprint((time.perf_counter() - start) * 1000)"
    times = [
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
        for _ in range(runs)
    ]
    return statistics.median(times)


def main() -> None:
    for name, code in CASES.items():
        if code:
            print(f"{name:28} {milliseconds(code):6.1f} ms")
    code = CASES["... and plugins loaded"] + f"; import sys; print([m for m in {FORBIDDEN} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    print(f"imported although it must not be: {found}")


if __name__ == "__main__":
    main()
