"""The page of the hooks has each hook, as it is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from treerings import hookspecs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hooks.md"
HOOKS = {name: value for name, value in vars(hookspecs).items() if hasattr(value, "treerings_spec")}


def sections() -> dict[str, str]:
    """The text under each heading of a hook."""
    parts = re.split(r"^### `(.+)`$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_hook_has_a_heading_that_is_its_signature_and_no_heading_is_without_a_hook() -> None:
    signatures = {f"{name}({', '.join(inspect.signature(hook).parameters)})" for name, hook in HOOKS.items()}
    assert set(sections()) == signatures


@pytest.mark.parametrize("heading", sections())
def test_the_page_says_of_a_hook_what_its_docstring_says(heading: str) -> None:
    said = inspect.getdoc(HOOKS[heading.partition("(")[0]])
    assert said is not None
    assert " ".join(said.split()) in " ".join(sections()[heading].split())


@pytest.mark.parametrize("heading", sections())
def test_every_hook_comes_with_an_example(heading: str) -> None:
    text = sections()[heading]
    assert "```python\n" in text
    assert f"def {heading.partition('(')[0]}(self" in text
