"""Which parameters of a model call are kept, where a framework speaks OpenAI's words."""

from __future__ import annotations

__all__ = ["REQUEST_PARAMETERS"]

REQUEST_PARAMETERS = (
    "frequency_penalty",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "seed",
    "service_tier",
    "stop",
    "stream",
    "temperature",
    "tool_choice",
    "top_k",
    "top_p",
)
"""Names of sampling and output parameters. What is not among them may hold anything, credentials included, and is left out."""
