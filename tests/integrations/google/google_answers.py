"""Answers as Google sends them: whole ones, streams of chunks, embeddings, images, failures."""

from __future__ import annotations

import json
from typing import Any

from treerings.testing.recordings import Call

MODEL = "gemini-2.5-flash"
HOST = "https://generativelanguage.googleapis.com/v1beta/models"
USAGE = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 20,
    "cachedContentTokenCount": 40,
    "toolUsePromptTokenCount": 5,
    "totalTokenCount": 132,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 60}, {"modality": "IMAGE", "tokenCount": 40}],
}
ASK: dict[str, Any] = {"model": MODEL, "contents": "How old is the oak?"}


def function_call(name: str = "ring_count", **arguments: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": arguments}}


def body(*parts: dict[str, Any], usage: dict[str, Any] | None = None, reason: str | None = "STOP") -> dict[str, Any]:
    said = list(parts) or [{"text": "112 rings."}]
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": said}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "usageMetadata": USAGE if usage is None else usage,
        "modelVersion": MODEL,
        "responseId": "r_1",
    }


def whole(*parts: dict[str, Any], **more: Any) -> Call:
    return Call(f"{HOST}/{MODEL}:generateContent", 200, {}, body(*parts, **more))


def streamed(*parts: dict[str, Any]) -> Call:
    """A chunk a part; the counts grow, and the last chunk says that it is the last."""
    said = list(parts) or [{"text": "112 "}, {"text": "rings."}]
    chunks = [
        body(
            part,
            usage=USAGE if part is said[-1] else {"promptTokenCount": 100, "candidatesTokenCount": 1},
            reason="STOP" if part is said[-1] else None,
        )
        for part in said
    ]
    text = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks)
    return Call(f"{HOST}/{MODEL}:streamGenerateContent?alt=sse", 200, {}, text)


def answer(verb: str, said: Any, model: str = MODEL) -> Call:
    return Call(f"{HOST}/{model}:{verb}", 200, {}, said)


def failed(status: int, said: str) -> Call:
    return Call(
        f"{HOST}/{MODEL}:generateContent",
        status,
        {},
        {"error": {"code": status, "message": said, "status": "UNAVAILABLE"}},
    )
