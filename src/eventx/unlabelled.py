"""Text without labels: JSON Lines with a `text` each, turned into token ids once. The only reader of that format.

A corpus is one run of token ids with the bounds of its documents. `save` keeps it in one `.npz` file, which `read`
takes too: a corpus is tokenised once, and its texts need not travel.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventx.encode import Coding, Encoded, Ints, before, lay, owned, window_ids
from eventx.text import words

SHORTEST = 16
"""Windows of fewer ids teach little: pre-training and distillation leave them out."""
_BATCH = 256


class UnlabelledError(ValueError):
    """A file of unlabelled text that cannot be read; the message says which, and what was expected."""


@dataclass(frozen=True, slots=True)
class View:
    """A window of a corpus.

    Attributes:
        ids: token ids, special tokens included.
        low, high: the half-open part of `ids` that the window speaks for.
        start: where that part begins in the corpus.
    """

    ids: NDArray[np.uint16]
    low: int
    high: int
    start: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """Token ids of documents.

    Attributes:
        ids: (tokens,) of all documents, one after the other, without special tokens.
        bounds: (documents + 1,) where each document begins in `ids`, and where the last one ends.
    """

    ids: NDArray[np.uint16]
    bounds: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.bounds) - 1

    def views(self, coding: Coding) -> Iterator[View]:
        """Yield the windows of all documents, each with the part of the corpus that it speaks for."""
        for low, high in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            ids = self.ids[low:high].astype(np.int64)
            laid = lay(len(ids), coding)
            rows = window_ids(Encoded([], ids, np.zeros(0, np.int64), laid), coding)
            for (start, _), (first, last), row in zip(laid, owned(laid), rows, strict=True):
                at = before(start, coding) - start
                yield View(row.astype(np.uint16), at + first, at + last, int(low) + first)

    def windows(self, coding: Coding, *, shortest: int = 0) -> Iterator[Ints]:
        """Yield the windows of all documents, special tokens included, but for those of fewer ids than `shortest`."""
        return (view.ids.astype(np.int64) for view in self.views(coding) if len(view.ids) >= shortest)

    def save(self, place: Path) -> None:
        """Write the corpus to an `.npz` file."""
        np.savez_compressed(place, ids=self.ids, bounds=self.bounds)


def read(paths: Sequence[Path], coding: Coding, *, documents: int | Sequence[int] = 0, seed: int = 0) -> Corpus:
    """Read files of unlabelled text.

    Args:
        paths: JSON Lines with a `text` a line, plain or `.xz` or `.gz`, or what `Corpus.save` wrote (`.npz`).
        coding: whose tokenizer to use.
        documents: how many to draw from each file, one number for each of them or a number a file; 0 for all.
        seed: of the draw.

    Raises:
        UnlabelledError: if a file is missing or of another kind, a line holds no text, there are more or fewer numbers
            than files, or the vocabulary has more than 65,536 pieces.
    """
    if not paths:
        raise UnlabelledError("no unlabelled text is named; give JSON Lines with --unlabelled FILE")
    if coding.tokenizer.get_vocab_size() > 1 << 16:
        raise UnlabelledError("unlabelled text needs a vocabulary of at most 65,536 pieces; use another encoder")
    counts = [documents] if isinstance(documents, int) else list(documents) or [0]
    if len(counts) not in (1, len(paths)):
        raise UnlabelledError(
            f"documents holds {len(counts)} numbers for {len(paths)} files; give one number, or one a file"
        )
    counts = counts if len(counts) == len(paths) else counts * len(paths)
    parts = [_some(path, coding, count, seed) for path, count in zip(paths, counts, strict=True)]
    sizes = np.concatenate([np.diff(part.bounds) for part in parts])
    return Corpus(np.concatenate([part.ids for part in parts]), np.concatenate(([0], np.cumsum(sizes))))


def _some(path: Path, coding: Coding, documents: int, seed: int) -> Corpus:
    """Read a file's documents, or as many of them as are asked for, in their order."""
    rng = np.random.default_rng(seed)
    if path.suffix == ".npz":
        kept = _load(path)
        if not documents:
            return kept
        chosen = np.sort(rng.permutation(len(kept))[:documents])
        ids = [kept.ids[kept.bounds[at] : kept.bounds[at + 1]] for at in chosen]
        return Corpus(np.concatenate(ids), np.concatenate(([0], np.cumsum([len(each) for each in ids]))))
    texts: Iterable[str] = _texts(path)
    if documents:
        known = list(texts)
        texts = [known[at] for at in np.sort(rng.permutation(len(known))[:documents])]
    return _tokenise(texts, coding)


def _load(path: Path) -> Corpus:
    """Read a saved corpus."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Corpus(kept["ids"], kept["bounds"])
    except (OSError, ValueError, KeyError) as error:
        raise UnlabelledError(f"{path}: not a corpus that eventx saved ({error}); name JSON Lines instead") from None


def _tokenise(texts: Iterable[str], coding: Coding) -> Corpus:
    """Turn texts into token ids, words as in `encode.encode`."""
    ids: list[NDArray[np.uint16]] = []
    waiting = iter(texts)
    while some := list(islice(waiting, _BATCH)):
        split = [[text[start:end] for start, end in words(text)] for text in some]
        coded = coding.tokenizer.encode_batch_fast(split, is_pretokenized=True, add_special_tokens=False)
        ids += [np.array(each.ids, dtype=np.uint16) for each in coded]
    bounds = np.concatenate(([0], np.cumsum([len(each) for each in ids]))).astype(np.int64)
    return Corpus(np.concatenate(ids) if ids else np.zeros(0, np.uint16), bounds)


def _texts(path: Path) -> Iterator[str]:
    """Yield the texts of a JSON Lines file."""
    opened = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    try:
        with opened(path, "rt", encoding="utf-8") as lines:  # type: ignore[operator]
            for number, line in enumerate(lines, 1):
                try:
                    text = json.loads(line)["text"]
                except (ValueError, KeyError, TypeError):
                    raise UnlabelledError(
                        f"{path}:{number}: not a JSON object with a `text`; correct the line"
                    ) from None
                yield text
    except FileNotFoundError:
        raise UnlabelledError(f"{path}: no such file; name JSON Lines with a `text` a line") from None
    except (OSError, lzma.LZMAError, UnicodeDecodeError, EOFError) as error:
        raise UnlabelledError(f"{path}: cannot be read ({error}); name JSON Lines, plain or .xz or .gz") from None
