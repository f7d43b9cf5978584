"""The split: which document trains and which is held out, by near-duplicate group. The only reader of that file.

A split file is tab-separated: `id`, `group`, `part`, with a header line. Labels are not known here.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eventx.text import words

FOLD = "fold-"
"""A split named `fold-K` is the K-th cross-validation fold."""
PARTS = ("train", "dev", "fresh", "late", "test", "written")
"""The other parts of a split.

`fresh` and `late` are held out like `dev`: read later, to choose between models that were made by then. `written` holds
articles made up for training, which no score of news counts.
"""
_NEAR_DUPLICATE = 0.15
_SHINGLE = 5


class SplitError(ValueError):
    """A split that cannot be read or made; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a document stands in the split: its near-duplicate group and its part (train, dev, test, fold-K)."""

    group: str
    part: str


def read(path: Path) -> dict[str, Assignment]:
    """Read a split file: tab-separated `id`, `group`, `part`, with a header line.

    Raises:
        SplitError: if a line has another shape or an id comes twice.
    """
    split: dict[str, Assignment] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split("\t")
        if number == 1 and fields == ["id", "group", "part"]:
            continue
        if len(fields) != 3 or not _is_part(fields[2]):
            raise SplitError(
                f"{path}:{number}: {line!r} is not `id<TAB>group<TAB>{'|'.join(PARTS)}|fold-K`; correct the line"
            )
        if fields[0] in split:
            raise SplitError(f"{path}:{number}: document {fields[0]!r} comes twice; drop one line")
        split[fields[0]] = Assignment(fields[1], fields[2])
    return split


def write(split: Mapping[str, Assignment], path: Path) -> None:
    """Write a split file that `read` reads."""
    rows = ["id\tgroup\tpart", *(f"{name}\t{entry.group}\t{entry.part}" for name, entry in split.items())]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def near_duplicates(texts: Mapping[str, str]) -> dict[str, str]:
    """Group near-duplicate texts: id -> the smallest id of its group.

    Two texts belong together when the smaller of the two shares 15% of its runs of five words with the other
    (containment of shingles, Broder 1997); groups are the connected components.
    """
    shingles = {name: _shingles(text) for name, text in texts.items()}
    holders: defaultdict[int, list[str]] = defaultdict(list)
    for name, found in shingles.items():
        for shingle in found:
            holders[shingle].append(name)
    shared: defaultdict[tuple[str, str], int] = defaultdict(int)
    for names in holders.values():
        for at, left in enumerate(names):
            for right in names[at + 1 :]:
                shared[left, right] += 1
    root = {name: name for name in texts}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for (left, right), count in shared.items():
        if count >= _NEAR_DUPLICATE * min(len(shingles[left]), len(shingles[right])):
            low, high = sorted((find(left), find(right)))
            root[high] = low
    return {name: find(name) for name in texts}


def draw(
    texts: Mapping[str, str],
    *,
    held_out: int,
    folds: Sequence[str] = (),
    only_train: Iterable[str] = (),
    seed: int = 0,
) -> dict[str, Assignment]:
    """Split documents by near-duplicate group into train, dev and test.

    Args:
        texts: id -> text.
        held_out: how many documents dev and test get, each (a last group may make it a few more).
        folds: ids that each become a cross-validation fold of their own, and that pull their near-duplicates into it.
        only_train: ids that may only serve training; their whole group does.
        seed: of the draw.

    Raises:
        SplitError: if two fold documents are near-duplicates.
    """
    group = near_duplicates(texts)
    members: defaultdict[str, list[str]] = defaultdict(list)
    for name in texts:
        members[group[name]].append(name)
    fixed = {group[name]: f"{FOLD}{number}" for number, name in enumerate(folds, 1)}
    if len(fixed) < len(folds):
        raise SplitError("two of the fold documents are near-duplicates of each other; they cannot be two folds")
    barred = {group[name] for name in only_train}
    order = sorted(key for key in members if key not in fixed)
    np.random.default_rng(seed).shuffle(order)
    counts = {"test": 0, "dev": 0}
    parts: dict[str, str] = dict(fixed)
    for key in order:
        open_parts = [name for name, count in counts.items() if count < held_out and key not in barred]
        parts[key] = open_parts[0] if open_parts else "train"
        if open_parts:
            counts[open_parts[0]] += len(members[key])
    return {name: Assignment(group[name], parts[group[name]]) for name in texts}


def extend(
    split: Mapping[str, Assignment], texts: Mapping[str, str | None], part: str
) -> tuple[dict[str, Assignment], list[str]]:
    """Put the documents that a split does not know yet into one of its parts; nothing else in it changes.

    Args:
        split: the split as it is.
        texts: id -> text of all documents, old and new; None for an old one that is not at hand.
        part: for the new ones.

    Returns:
        The longer split, and the ids that cannot join it: near-duplicates of a document in another part.

    Raises:
        SplitError: if a new document's text is missing, or there can be no such part.
    """
    if not _is_part(part):
        raise SplitError(f"{part!r} is no part of a split; name one of {', '.join(PARTS)} or {FOLD}K")
    new = [name for name in texts if name not in split]
    known = {name: text for name, text in texts.items() if text is not None}
    missing = [name for name in new if name not in known]
    if missing:
        raise SplitError(f"document {missing[0]!r}: its text is needed to find near-duplicates; name --texts")
    groups = near_duplicates(known)
    members: defaultdict[str, list[str]] = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)
    longer, barred = dict(split), []
    for name in new:
        others = [split[other] for other in members[groups[name]] if other in split]
        if any(entry.part != part for entry in others):
            barred.append(name)
        else:
            longer[name] = Assignment(others[0].group if others else groups[name], part)
    return longer, barred


def _is_part(name: str) -> bool:
    """Say whether a split may have a part of this name."""
    return name in PARTS or re.fullmatch(rf"{FOLD}\w+", name) is not None


def _shingles(text: str) -> set[int]:
    """Return the hashes of the runs of five lower-cased words of a text."""
    tokens = [text[start:end].lower() for start, end in words(text) if text[start].isalnum()]
    runs = max(1, len(tokens) - _SHINGLE + 1)
    return {
        int.from_bytes(hashlib.blake2b(" ".join(tokens[at : at + _SHINGLE]).encode(), digest_size=8).digest(), "big")
        for at in range(runs)
    }
