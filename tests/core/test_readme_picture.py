"""The README's picture is the demo's tree."""

from __future__ import annotations

import html
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "export_readme_picture.py"


@pytest.fixture
def script() -> ModuleType:
    pytest.importorskip("langgraph")
    pytest.importorskip("langchain_openai")
    spec = importlib.util.spec_from_file_location("export_readme_picture", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(svg: str) -> list[str]:
    """What the picture says; times may differ by a tick."""
    texts = html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)))
    return re.sub(r"[\d.]+m?s\b", "TIME", texts).split()


def test_the_picture_shows_what_the_demo_prints(script: ModuleType) -> None:
    fresh = script.picture(script.demo_workflow())
    assert words(script.PICTURE.read_text("utf-8")) == words(fresh), "Type: python scripts/export_readme_picture.py"


def test_the_picture_loads_nothing_from_elsewhere(script: ModuleType) -> None:
    text = script.PICTURE.read_text("utf-8")
    assert "url(" not in text.replace("url(#", "")
