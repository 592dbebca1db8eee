"""Ollama's counts, in the answer itself or the last line of a stream.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..usage import Usage
from .reading import count

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_counts"]


def read_counts(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """`prompt_eval_count` is missing when the prompt was still in memory: the input is unknown then."""
    return Usage(input_tokens=count(raw.get("prompt_eval_count")), output_tokens=count(raw.get("eval_count")))
