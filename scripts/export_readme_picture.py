"""Draws the README's picture: the demo's tree as the terminal shows it.

    python scripts/export_readme_picture.py          # writes docs/images/tree.svg

The demo runs for real, on a clock that its script moves, so that the picture is the same every time.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import treerings
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from treerings import demo
from treerings.rendering import Tree
from treerings.testing import DeterministicClock, ModelServer, capture

if TYPE_CHECKING:
    from treerings.records import Workflow

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "tree.svg"
WIDTH = 118

THEME = TerminalTheme(
    (24, 26, 31),
    (214, 218, 226),
    [
        (24, 26, 31),
        (240, 113, 120),
        (135, 206, 130),
        (232, 196, 110),
        (110, 170, 240),
        (205, 150, 235),
        (105, 200, 215),
        (214, 218, 226),
    ],
    [
        (125, 133, 148),
        (255, 130, 136),
        (150, 222, 145),
        (245, 210, 125),
        (130, 185, 255),
        (220, 165, 250),
        (120, 215, 230),
        (250, 250, 252),
    ],
)


def demo_workflow() -> Workflow:
    """What the demo records, with ids and times that do not change."""
    clock = DeterministicClock(tick_ms=0.2)
    with capture(clock=clock) as captured, ModelServer(default=demo.replies(clock.advance)) as server:
        treerings.instrument("langchain")
        try:
            demo.run_team(server.base_url)
        finally:
            treerings.uninstrument("langchain")
        return captured.workflow


def picture(workflow: Workflow) -> str:
    """The tree as an SVG image."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Tree(workflow))
    svg = console.export_svg(title="treerings show last", theme=THEME, unique_id="treerings")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # they would be fetched from elsewhere


def main() -> None:
    os.environ["LANGSMITH_TRACING"] = "false"
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture(demo_workflow()), encoding="utf-8")
    print(f"Wrote {PICTURE}")


if __name__ == "__main__":
    main()
