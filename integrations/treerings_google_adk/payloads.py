"""What ADK says of models and contents, as plain data."""

from __future__ import annotations

from typing import Any

from treerings import Recorder, Usage

from .runs import ModelCall

__all__ = ["content", "message", "model_facts", "take_response"]

MAX_CHARS = 262_144
REQUEST = (
    "temperature",
    "top_p",
    "top_k",
    "max_output_tokens",
    "stop_sequences",
    "seed",
    "presence_penalty",
    "frequency_penalty",
)


def content(value: Any) -> Any:
    """A content as its text, or as its parts where it has more than text."""
    parts = [_part(part) for part in getattr(value, "parts", None) or ()]
    if all(isinstance(part, str) for part in parts):
        return "".join(parts) if parts else None
    return parts


def _part(part: Any) -> Any:
    if part.text is not None:
        return {"thought": part.text} if part.thought else part.text
    if part.function_call is not None:
        return {"id": part.function_call.id, "name": part.function_call.name, "arguments": part.function_call.args}
    if part.function_response is not None:
        answer = part.function_response
        return {"tool_call_id": answer.id, "name": answer.name, "content": answer.response}
    if part.inline_data is not None:
        return f"<{part.inline_data.mime_type} {len(part.inline_data.data or b'')} bytes>"
    return {name: value for name, value in part.__dict__.items() if value is not None}


def message(request: Any) -> list[Any]:
    """The prompt of a model call."""
    listed: list[Any] = []
    instruction = getattr(request.config, "system_instruction", None)
    if instruction:
        text = content(instruction) if hasattr(instruction, "parts") else instruction
        listed.append({"role": "system", "content": text})
    listed.extend({"role": item.role, "content": content(item)} for item in request.contents or ())
    return listed


def model_facts(agent: Any, request: Any) -> tuple[str, str | None, str | None, dict[str, Any]]:
    """The name of the model's class, the model, its provider, and the parameters of the request."""
    llm = getattr(agent, "canonical_model", None)
    kinds = [cls.__name__ for cls in type(llm).__mro__]
    model = request.model or getattr(llm, "model", None)
    provider = None
    if "LiteLlm" in kinds and isinstance(model, str) and "/" in model:
        provider, _, model = model.partition("/")
    elif "Gemini" in kinds:
        provider = "google"
    elif "AnthropicLlm" in kinds:
        provider = "anthropic"
    taken = {name: value for name in REQUEST if (value := getattr(request.config, name, None)) is not None}
    return type(llm).__name__, model, provider, taken


def take_response(recorder: Recorder, call: ModelCall, response: Any) -> None:
    """Add a response to its call: a part of a stream, or a whole one."""
    parts = getattr(response.content, "parts", None) or ()
    texts = [part.text for part in parts if part.text and not part.thought]
    if response.partial:
        if not call.streamed and parts:
            call.streamed = True
            recorder.update(call.step, first_token_ns=recorder.clock.monotonic_ns())
        if call.chars < MAX_CHARS:
            call.partial_texts.extend(texts)
            call.chars += sum(len(text) for text in texts)
    else:
        call.answered = True
        call.texts.extend(texts)
        for part in parts:
            asked = part.function_call
            if asked is not None:
                arguments = recorder.snapshot(asked.args or {})
                call.tool_calls.append({"id": asked.id, "name": asked.name, "arguments": arguments})
        if response.error_code and not parts:
            call.failed = f"{response.error_code}: {response.error_message or ''}".rstrip(": ")
    call.last_ns = recorder.clock.time_ns()
    call.model = response.model_version or call.model
    if response.finish_reason is not None:
        call.attributes["finish_reason"] = str(getattr(response.finish_reason, "value", response.finish_reason))
    usage = _usage(response.usage_metadata)
    if usage is not None:  # several responses of one call repeat it
        call.usage = usage


def _usage(metadata: Any) -> Usage | None:
    if metadata is None:
        return None
    usage = Usage.from_provider(metadata, "google")
    if not usage.total_tokens:
        return None
    prompt, said = metadata.prompt_token_count or 0, metadata.candidates_token_count or 0
    if usage.reasoning_tokens and metadata.total_token_count == prompt + said:
        usage.output_tokens = said  # LiteLLM's count of the answer has the thoughts in it, Gemini's has not
    if not usage.cache_read_tokens:
        usage.cache_read_tokens = None
    return usage
