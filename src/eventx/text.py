"""Where words, segments and sentences of a text begin and end: pure functions from text to offsets.

Offsets are half-open, in characters of the text as given. Nothing is stripped, normalised or copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Combining marks, soft hyphens, joiners and variation selectors ride on the letter before them.
_RIDERS = (
    "\u00ad\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u1ab0-"
    "\u1aff\u1dc0-\u1dff\u200b-\u200d\u2060\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
)
_WORD = re.compile(rf"[^\W_][^\W_{_RIDERS}]*(?:[{_RIDERS}]+[^\W_]*)*|[^\w\s{_RIDERS}]|_")
_SEGMENT_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])|\n+")
_CLOSERS = "\"'”’)]"
# A full stop after one of these, or after a single capital, ends no sentence.
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Gen|Lt|Col|Maj|Capt|Cmdr|Sgt|Brig|Adm|Rev|Sen|Rep|Gov|Pres|Hon|Jr|Sr|Messrs|Amb|"
    r"vs|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec|Mt|Ft|al|etc|pp|p|vol|e\.g|i\.e)"
    r"|(?<!\w)(?:[A-Z]\.)*[A-Z])\.$"
)


def words(text: str) -> list[tuple[int, int]]:
    """Return the offsets of each word and each punctuation mark, in order; blanks belong to none.

    A run of letters and digits is a word together with the combining marks on it; hyphens and apostrophes part words.
    """
    return [match.span() for match in _WORD.finditer(text)]


def segments(text: str) -> Iterator[tuple[int, int]]:
    """Yield the offsets of each non-blank segment: a line, or a stretch of it that looks like a sentence.

    Annotators' notes count these segments, so the rule must not change; `sentences` mends its cuts.
    """
    start = 0
    for match in _SEGMENT_END.finditer(text):
        end = match.start()
        if text[end] in _CLOSERS:
            end = match.end() - len(match.group().lstrip(_CLOSERS))
        if text[start:end].strip():
            yield start, end
        start = match.end()
    if text[start:].strip():
        yield start, len(text)


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the offsets of each sentence, without blanks at its edges; headings are sentences too."""
    found: list[tuple[int, int]] = []
    for start, end in segments(text):
        piece = text[start:end]
        low, high = end - len(piece.lstrip()), start + len(piece.rstrip())
        if found and "\n" not in text[found[-1][1] : low] and _ends_in_abbreviation(text, found[-1][1]):
            low = found.pop()[0]
        found.append((low, high))
    return found


def _ends_in_abbreviation(text: str, end: int) -> bool:
    """Say whether the full stop before `end` closes an abbreviation rather than a sentence."""
    return _ABBREVIATION.search(text[max(0, end - 24) : end]) is not None
