"""Foreign text made safe for a terminal: no control characters, a known width, cut to fit."""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells

__all__ = ["clean", "clean_lines", "cut_end", "cut_middle", "width_of"]

LONGEST = 2_000
"""Characters of a name or an error that are looked at: no line is longer."""

_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|[\]PX^_][^\x07\x1b\x9c]{0,512}(?:\x07|\x1b\\|\x9c)|[ -/]?[0-~])"
)
"""Terminal escapes: CSI (colours, cursor), strings such as titles and links (OSC, DCS), and the short ones."""

_INVISIBLE = (
    *range(0x200B, 0x2010),  # zero-width characters and direction marks: what joins emoji, too
    *range(0x202A, 0x202F),  # embeddings and overrides of the writing direction
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),  # variation selectors: terminals disagree on the width that they give
    *range(0xE0000, 0xE0080),
    0x00AD,
    0x061C,
    0xFEFF,
)
_REPLACED = dict.fromkeys(_INVISIBLE) | {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "␡",
    **dict.fromkeys(range(128, 160), "�"),
    **dict.fromkeys(range(55296, 57344), "�"),
    0x2028: " ",
    0x2029: " ",
}
_ONE_LINE = {**_REPLACED, 0x09: " ", 0x0A: " ", 0x0B: " ", 0x0C: " ", 0x0D: " ", 0x85: " "}
_WHITE = re.compile(r" {2,}")


def clean(text: str, *, longest: int = LONGEST) -> str:
    """One line of printable text; escapes are gone, other control characters show as pictures."""
    if text.isascii() and text.isprintable() and len(text) <= longest:
        return text
    text = text[: longest + 1] if len(text) > longest + 1 else text
    cleaned = _WHITE.sub(" ", _SEQUENCE.sub("", text).translate(_ONE_LINE)).strip()
    return cleaned[:longest] + "…" if len(cleaned) > longest else cleaned


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each printable; tabs are four spaces."""
    safe = _SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    return [line.translate(_REPLACED) for line in safe.split("\n")]


def width_of(text: str) -> int:
    """The columns that a printable text takes in a terminal."""
    return len(text) if text.isascii() else cell_len(text)


def cut_middle(text: str, width: int) -> str:
    """The text in at most `width` columns, with an ellipsis where its middle was."""
    if width_of(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    tail = (width - 1) // 2
    return f"{_head(text, width - 1 - tail)}…{_head(text[::-1], tail)[::-1]}"


def cut_end(text: str, width: int) -> str:
    """The text in at most `width` columns, with an ellipsis where its end was."""
    if width_of(text) <= width:
        return text
    return "…"[:width] if width <= 1 else f"{_head(text, width - 1)}…"


def _head(text: str, width: int) -> str:
    if width <= 0:
        return ""
    if text.isascii():
        return text[:width]
    return next(iter(chop_cells(text[: width + 1], width)), "")
