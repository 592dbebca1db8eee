"""Streams whose every chunk tells the sum so far: LangChain adds the sums up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from treerings.testing import Capture
from treerings_langchain import CallbackHandler


class Streaming(BaseChatModel):
    """Says one word a chunk, with these counts."""

    counts: list[tuple[int, int]]

    @property
    def _llm_type(self) -> str:
        return "streaming"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        for given, made in self.counts:
            usage: Any = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
            chunk = ChatGenerationChunk(message=AIMessageChunk("tree ", usage_metadata=usage))
            if run_manager:
                run_manager.on_llm_new_token("tree ", chunk=chunk)
            yield chunk


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([(50, 1), (50, 2), (50, 3)], (50, 3)),  # sums so far
        ([(50, 1), (0, 1), (0, 1)], (50, 3)),  # parts
        ([(25, 0), (0, 40)], (25, 40)),
        ([(50, 3)], (50, 3)),
        ([(10, 1), (20, 1)], (30, 2)),
    ],
)
def test_sums_that_are_told_with_every_chunk_count_once(
    captured: Capture, counts: list[tuple[int, int]], expected: tuple[int, int]
) -> None:
    list(Streaming(counts=counts).stream("How old?", config={"callbacks": [CallbackHandler()]}))
    usage = captured.steps[0].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == expected
