"""What a request to Google says, as the SDK sends it: the prompt and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from treerings.snapshot import Budget, snapshot

from .answers import content, entry

__all__ = ["attributes_of", "conversation", "instances", "texts"]

_PARAMETERS = frozenset(
    [
        *("audioTimestamp", "candidateCount", "frequencyPenalty", "logprobs", "maxOutputTokens", "mediaResolution"),
        *("presencePenalty", "responseLogprobs", "responseMimeType", "responseModalities", "seed", "serviceTier"),
        *("stopSequences", "temperature", "thinkingConfig", "topK", "topP"),
        *("aspectRatio", "editMode", "mode", "outputDimensionality", "sampleCount", "taskType", "upscaleConfig"),
    ]
)
"""What is kept of a request's body beside the prompt; the rest may hold anything."""


def conversation(body: Mapping[str, Any]) -> list[Any]:
    """The contents as messages, the system instruction first, within one budget that the latest ones get first."""
    contents = body.get("contents")
    said = contents if isinstance(contents, list) else [contents]
    system = body.get("systemInstruction")
    if isinstance(system, dict):
        said = [{**system, "role": "system"}, *said]
    budget = Budget()
    taken: list[Any] = []
    for place in range(len(said) - 1, -1, -1):
        if budget.items <= 0 or budget.chars <= 0:
            taken.append(f"… {place + 1} earlier messages")
            break
        taken.append(content(said[place], budget))
    taken.reverse()
    return taken


def texts(body: Mapping[str, Any]) -> Any:
    """What is embedded: a text, or a list of them."""
    asked = body.get("requests")
    if not isinstance(asked, list):
        asked = body.get("instances") or [body]
    found = []
    for one in asked:
        said = one.get("content") if isinstance(one, dict) else one
        found.append(content(said).get("content") if isinstance(said, dict) else said)
    return found[0] if len(found) == 1 else found


def instances(body: Mapping[str, Any]) -> Any:
    """What an image is made from: the description, and what else there is."""
    given = body.get("instances")
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], dict):
        rest = {name: value for name, value in given[0].items() if name != "prompt"}
        return given[0] if rest else given[0].get("prompt")
    return given


def attributes_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request's parameters, tools by their names, and whether the model is shown an image."""
    request: dict[str, Any] = {}
    places = [body, body.get("generationConfig"), body.get("parameters")]
    if isinstance(asked := body.get("requests"), list):
        places += asked[:1]
    for place in places:
        if isinstance(place, Mapping):
            for name in _PARAMETERS.intersection(place):
                if place[name] is not None:
                    request[name] = snapshot(place[name])
    tools = body.get("tools")
    if isinstance(tools, list) and tools:
        request["tools"] = [name for tool in tools[:100] if isinstance(tool, Mapping) for name in _names(tool)]
    attributes: dict[str, Any] = {"request": request} if request else {}
    if _shows_image(body.get("contents")):
        attributes["call_type"] = "vision"
    return attributes


def _names(tool: Mapping[str, Any]) -> list[str]:
    declared = tool.get("functionDeclarations")
    if isinstance(declared, list):
        return [str(one.get("name")) for one in declared[:100] if isinstance(one, Mapping)]
    return [str(name) for name in tool]


def _shows_image(contents: Any) -> bool:
    for said in contents if isinstance(contents, list) else ():
        for part in (said.get("parts") or ()) if isinstance(said, dict) else ():
            blob = entry(part, "inlineData") or entry(part, "fileData")
            if str(entry(blob, "mimeType")).startswith("image/"):
                return True
    return False
