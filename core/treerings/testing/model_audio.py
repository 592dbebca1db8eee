"""OpenAI's formats of sound, written by the model server: transcriptions, translations and speech."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from treerings.testing.model_http import HttpResponse
from treerings.testing.model_parts import encode, event, measure, pieces, remainder
from treerings.testing.model_usage import UsageTotal

if TYPE_CHECKING:
    from collections.abc import Callable

    from treerings.testing.model_request import ModelRequest
    from treerings.testing.model_script import Answer

__all__ = ["AUDIO"]

BYTES_A_SECOND = 16_000
_SILENT = UsageTotal(calls=1, calls_without_usage=1)


def _transcription(request: ModelRequest, answer: Answer) -> tuple[HttpResponse, UsageTotal]:
    """Whisper's are billed by seconds, a second for every 16,000 bytes here; the others' by tokens."""
    if request.data.get("response_format") in ("text", "srt", "vtt"):
        return HttpResponse(200, "text/plain; charset=utf-8", [answer.text.encode()]), _SILENT
    usage, told = _usage(request, answer) if answer.report_usage else (None, _SILENT)
    body = {"text": answer.text} if usage is None else {"text": answer.text, "usage": usage}
    if not request.stream:
        return HttpResponse(200, "application/json", [encode(body)]), told
    deltas = [event({"type": "transcript.text.delta", "delta": piece}) for piece in pieces(answer.text)]
    parts = [*deltas, event({"type": "transcript.text.done", **body}), b"data: [DONE]\n\n"]
    return HttpResponse(200, "text/event-stream; charset=utf-8", parts, streamed=True), told


def _usage(request: ModelRequest, answer: Answer) -> tuple[dict[str, Any], UsageTotal]:
    if request.model.startswith("whisper"):
        file = request.data.get("file")
        size = file["bytes"] if isinstance(file, dict) else 0
        return {"type": "duration", "seconds": max(1, round(size / BYTES_A_SECOND))}, _SILENT
    total, given = measure(request, answer)
    sound = given.get("input_audio_tokens", 0)
    details = {"audio_tokens": sound, "text_tokens": remainder("input_tokens", total.input_tokens, sound)}
    counts = {"input_tokens": total.input_tokens, "output_tokens": total.output_tokens}
    usage = {"type": "tokens", **counts, "total_tokens": total.total_tokens, "input_token_details": details}
    return usage, total


def _speech(request: ModelRequest, answer: Answer) -> tuple[HttpResponse, UsageTotal]:
    """Its sound is the text of the answer, and says nothing of tokens."""
    kind = "audio/mpeg" if request.data.get("response_format", "mp3") == "mp3" else "application/octet-stream"
    return HttpResponse(200, kind, [answer.text.encode()]), _SILENT


AUDIO: dict[str, Callable[[ModelRequest, Answer], tuple[HttpResponse, UsageTotal]]] = {
    "audio/transcriptions": _transcription,
    "audio/translations": _transcription,
    "audio/speech": _speech,
}
"""By endpoint: the answer and what it tells of usage."""
