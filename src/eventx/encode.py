"""Text -> overlapping token windows -> scores of words -> spans: the only decoder, shared by training and inference.

A model is seen here as a `Runner`: token ids of windows in, logits of their tokens out. Whether torch or ONNX Runtime
stands behind it is not known here, nor where texts come from or what is done with spans.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eventx.schema import tags
from eventx.spans import Span, bio_to_spans
from eventx.text import words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Runner = Callable[[Sequence[Ints]], list[tuple[Floats, Floats]]]
"""Windows of token ids, special tokens included -> for each (tag logits, modality logits), a row a token."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How text becomes windows of token ids.

    Attributes:
        tokenizer: without truncation or padding.
        window: token ids in a window, the two special tokens included.
        overlap: tokens that neighbouring windows share at least.
        first: id of the special token before a window's tokens, `last`: of the one behind them.
        pieces: which word pieces speak for a word, "all" (their mean) or "first".
        lead: tokens of the text's beginning that stand before each later window, as context, behind a `last` of their
            own.
    """

    tokenizer: Tokenizer
    window: int
    overlap: int
    first: int
    last: int
    pieces: str = "all"
    lead: int = 0

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, window: int, overlap: int, pieces: str, lead: int = 0) -> Coding:
        """Return a coding whose tokenizer neither cuts nor pads, with the special tokens it puts around a text.

        Raises:
            ValueError: if the tokenizer puts none there.
        """
        tokenizer.no_truncation()
        tokenizer.no_padding()
        around = tokenizer.encode("").ids
        if len(around) != 2:
            raise ValueError(
                f"the tokenizer puts {len(around)} special tokens around a text, expected one on each side"
            )
        return cls(tokenizer, window, overlap, around[0], around[1], pieces, lead)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as words and token ids.

    Attributes:
        words: (words, 2) half-open character offsets.
        ids: (tokens,) token ids without special tokens.
        word_of: (tokens,) the word each token is a piece of, ascending.
        windows: half-open token ranges that cover all tokens.
    """

    words: list[tuple[int, int]]
    ids: Ints
    word_of: Ints
    windows: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class WordScores:
    """What a model says of each word: (words, tags) log probabilities and (words, modalities) probabilities."""

    words: list[tuple[int, int]]
    tags: Floats
    modalities: Floats


def windows(tokens: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Return half-open ranges of at most `size` tokens that cover `tokens`, spread evenly, sharing at least `overlap`.

    Raises:
        ValueError: unless 0 <= overlap < size.
    """
    if not 0 <= overlap < size:
        raise ValueError(
            f"an overlap of {overlap} tokens does not fit windows of {size}; it must be from 0 to {size - 1}"
        )
    if tokens == 0:
        return []
    count = max(1, math.ceil((tokens - overlap) / (size - overlap)))
    if count == 1:
        return [(0, tokens)]
    starts = np.linspace(0, tokens - size, count).astype(int)
    return [(int(start), int(start) + size) for start in starts]


def owned(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return for each window the part it speaks for: neighbours meet in the middle of what they share."""
    if not ranges:
        return []
    cuts = [(left[1] + right[0]) // 2 for left, right in pairwise(ranges)]
    return list(zip([ranges[0][0], *cuts], [*cuts, ranges[-1][1]], strict=True))


def encode(text: str, coding: Coding) -> Encoded:
    """Split a text into words and their word pieces, and lay windows over the pieces.

    Each word is tokenised by itself, so that a token never joins two words and a special token's name in the text is
    plain text.
    """
    bounds = words(text)
    coded = coding.tokenizer.encode(
        [text[start:end] for start, end in bounds], is_pretokenized=True, add_special_tokens=False
    )
    return Encoded(
        words=bounds,
        ids=np.array(coded.ids, dtype=np.int64),
        word_of=np.array(coded.word_ids, dtype=np.int64),
        windows=lay(len(coded.ids), coding),
    )


def lay(tokens: int, coding: Coding) -> list[tuple[int, int]]:
    """Lay windows over `tokens` tokens of a text, leaving room in each for special tokens and the text's beginning."""
    size = coding.window - 2
    if tokens > size and coding.lead:
        size -= coding.lead + 1
    return windows(tokens, size, coding.overlap)


def before(start: int, coding: Coding) -> int:
    """Return how many token ids stand before the first one of a window that begins at token `start`."""
    return 1 + (min(coding.lead, start) + 1 if coding.lead and start else 0)


def window_ids(encoded: Encoded, coding: Coding) -> list[Ints]:
    """Return each window's token ids between special tokens, the text's beginning before those of later windows."""
    made = []
    for start, end in encoded.windows:
        parts = [np.array([coding.first]), encoded.ids[start:end], np.array([coding.last])]
        if coding.lead and start:
            parts[1:1] = [encoded.ids[: min(coding.lead, start)], parts[2]]
        made.append(np.concatenate(parts).astype(np.int64))
    return made


def read(encoded: Encoded, runner: Runner, coding: Coding) -> WordScores:
    """Run a model over a text's windows and gather what it says of each word, as `gather` does."""
    return gather(encoded, runner(window_ids(encoded, coding)), coding)


def gather(encoded: Encoded, outputs: Sequence[tuple[Floats, Floats]], coding: Coding) -> WordScores:
    """Gather what a model says of each word of a text from the logits of its windows.

    A token's logits come from the window in which it stands furthest from an edge; a word's are the mean over its
    pieces, or its first piece's. A word without a token (control characters alone) is outside every event.
    """
    kept = []
    for (start, _), (low, high), (tag, modality) in zip(encoded.windows, owned(encoded.windows), outputs, strict=True):
        at = before(start, coding) - start
        kept.append((tag[at + low : at + high], modality[at + low : at + high]))
    count = len(encoded.words)
    if not kept:
        return WordScores(encoded.words, np.zeros((count, 0), np.float32), np.zeros((count, 0), np.float32))
    tag_logits = _by_word(np.concatenate([tag for tag, _ in kept]), encoded.word_of, count, coding.pieces)
    modality_logits = _by_word(np.concatenate([m for _, m in kept]), encoded.word_of, count, coding.pieces)
    silent = np.ones(count, dtype=bool)
    silent[encoded.word_of] = False
    tag_logits[silent, 1:] = -1e4
    return WordScores(encoded.words, _log_softmax(tag_logits), np.exp(_log_softmax(modality_logits)))


def allowed(types: Sequence[str]) -> Floats:
    """Return the (tags + 1, tags) transition scores of valid BIO: 0 or minus infinity; the last row is the start."""
    names = [*tags(types), "O"]
    table = np.zeros((len(names), len(names) - 1), dtype=np.float32)
    for left, before in enumerate(names):
        for right, after in enumerate(names[:-1]):
            if after.startswith("I-") and before[2:] != after[2:]:
                table[left, right] = -np.inf
    return table


def viterbi(scores: Floats, transitions: Floats) -> list[int]:
    """Return the best tag path over (words, tags) log scores under (tags + 1, tags) transitions (Viterbi 1967).

    Where transitions only forbid, most words are settled without dynamic programming, exactly: the best tag of each
    word where these fit each other; else words whose best tag may follow any other and leads by more than it costs to
    mend all misfits keep it, and part the text into stretches, of which only those with a misfit are searched.
    """
    if not len(scores):
        return []
    barred = np.asarray(np.isinf(transitions))
    if transitions[~barred].any():
        return [int(tag) for tag in _viterbi(scores, transitions, transitions[-1])]
    best = scores.argmax(axis=1)
    misfits = np.flatnonzero(barred[np.concatenate(([-1], best[:-1])), best])
    if not len(misfits):
        return [int(tag) for tag in best]
    free = np.logical_not(barred.any(axis=0))
    mended = best.copy()
    for misfit in misfits:
        at = misfit
        while at < len(best) and barred[mended[at - 1] if at else -1, mended[at]]:
            mended[at] = np.where(free, scores[at], -np.inf).argmax()
            at += 1
    every = np.arange(len(best))
    cost = float((scores[every, best] - scores[every, mended]).sum())
    top = np.partition(scores, -2, axis=1)
    sure = np.flatnonzero(free[best] & (top[:, -1] - top[:, -2] > cost + 1e-3))
    edges = [-1, *sure.tolist(), len(best)]
    for before, after in pairwise(edges):
        inside = misfits[np.searchsorted(misfits, before + 1) :]
        if len(inside) and inside[0] < after and after - before > 1:
            start = transitions[best[before] if before >= 0 else -1]
            best[before + 1 : after] = _viterbi(scores[before + 1 : after], transitions, start)
    return [int(tag) for tag in best]


def _viterbi(scores: Floats, transitions: Floats, start: Floats) -> NDArray[np.intp]:
    """Return the best path of a stretch whose first word follows a tag with the transitions `start`."""
    best = scores[0] + start
    back = np.empty(scores.shape, dtype=np.intp)
    for at in range(1, len(scores)):
        paths = best[:, None] + transitions[:-1]
        back[at] = paths.argmax(axis=0)
        best = paths.max(axis=0) + scores[at]
    path = np.empty(len(scores), dtype=np.intp)
    path[-1] = best.argmax()
    for at in range(len(scores) - 1, 0, -1):
        path[at - 1] = back[at, path[at]]
    return path


def decode(
    scores: WordScores, types: Sequence[str], modalities: Sequence[str], transitions: Floats | None = None
) -> list[tuple[Span, float]]:
    """Return the spans of the best valid tag path, each with its raw score, in text order.

    Args:
        scores: of a text's words.
        types: in the order of the tag ids.
        modalities: in the order of the class ids.
        transitions: (tags + 1, tags) scores, minus infinity where BIO forbids; only validity counts by default.

    Returns:
        (span, probability that exactly these words bear these tags, words taken as independent); the modality is the
        likeliest one over the span's words.
    """
    names = tags(types)
    if scores.tags.shape[1] == 0:
        return []
    path = viterbi(scores.tags, allowed(types) if transitions is None else transitions)
    first_word = {start: at for at, (start, _) in enumerate(scores.words)}
    found = []
    for span in bio_to_spans([names[tag] for tag in path], scores.words):
        low = high = first_word[span.start]
        while high < len(path) and scores.words[high][1] <= span.end:
            high += 1
        logs = float(sum(scores.tags[at, path[at]] for at in range(low, high)))
        if high < len(path):
            more = float(scores.tags[high, names.index(f"I-{span.label}")])
            logs += math.log1p(-min(math.exp(more), 1 - 1e-6))
        modality = modalities[int(scores.modalities[low:high].mean(axis=0).argmax())]
        found.append((Span(span.start, span.end, span.label, modality), math.exp(logs)))
    return found


def _by_word(logits: Floats, word_of: Ints, count: int, pieces: str) -> Floats:
    """Gather (tokens, classes) logits into (words, classes)."""
    result = np.zeros((count, logits.shape[1]), dtype=np.float32)
    spoken, start, size = np.unique(word_of, return_index=True, return_counts=True)
    if pieces == "first":
        result[spoken] = logits[start]
    else:
        result[spoken] = np.add.reduceat(logits, start, axis=0) / size[:, None]
    return result


def _log_softmax(logits: Floats) -> Floats:
    """Return the logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
