"""What a system says of articles: run it, keep it as JSON Lines, read it again. Scores are not computed here.

A line a document: `id`, `sha256` of its text file, `spans` with `start`, `end`, `label`, `modality` and, where the
system gives one, `score`; `cut` holds the spans that a threshold left out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventx.labels import Article
from eventx.spans import Span
from eventx.tagger import Tagger

System = Callable[[str], Sequence[Span]]
"""A function from a text to its spans."""


class PredictionError(ValueError):
    """A file of predictions that cannot be used; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a system says of one document.

    Attributes:
        id, sha256: of the document.
        spans: without overlap, in text order.
        scores: probability that each is right; empty where the system gives none.
        cut: spans that it thought of and a threshold left out.
    """

    id: str
    sha256: str
    spans: tuple[Span, ...]
    scores: tuple[float, ...] = ()
    cut: tuple[Span, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as plain JSON values."""
        rows = [dataclasses.asdict(span) for span in self.spans]
        for row, score in zip(rows, self.scores, strict=False):
            row["score"] = score
        return {
            "id": self.id,
            "sha256": self.sha256,
            "spans": rows,
            "cut": [dataclasses.asdict(span) for span in self.cut],
        }


def run(system: System | Tagger, articles: Sequence[Article]) -> list[Prediction]:
    """Run a system on articles.

    Raises:
        ValueError: if an article lacks its text.
    """
    if any(article.text is None for article in articles):
        raise ValueError("scoring needs articles with their texts; name the folder that holds them with --texts")
    if not isinstance(system, Tagger):
        return [Prediction(a.id, a.sha256, tuple(sorted(system(a.text or "")))) for a in articles]
    made = []
    for article in articles:
        events = system.tag(article.text or "").events
        kept = {(event.start, event.end, event.type) for event in events}
        every = system.spans(article.text or "") if system.cuts else []
        cut = tuple(span for span, _ in every if (span.start, span.end, span.label) not in kept)
        spans, scores = tuple(event.span for event in events), tuple(event.score for event in events)
        made.append(Prediction(article.id, article.sha256, spans, scores, cut))
    return made


def write(predictions: Sequence[Prediction], path: Path) -> None:
    """Write predictions as JSON Lines."""
    lines = [json.dumps(prediction.to_dict(), ensure_ascii=False) + "\n" for prediction in predictions]
    path.write_text("".join(lines), encoding="utf-8")


def read(path: Path, articles: Sequence[Article]) -> list[Prediction]:
    """Read the predictions for articles, in their order.

    Raises:
        PredictionError: if the file is missing, a line is no prediction, or an article has none or one of another text.
    """
    known: dict[str, Prediction] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PredictionError(f"{path}: cannot be read ({error}); name a file of predictions") from None
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
            spans, cut = (
                tuple(Span(row["start"], row["end"], row["label"], row["modality"]) for row in value[name])
                for name in ("spans", "cut")
            )
            scores = tuple(float(row["score"]) for row in value["spans"] if "score" in row)
            known[value["id"]] = Prediction(value["id"], value["sha256"], spans, scores, cut)
        except (ValueError, KeyError, TypeError):
            raise PredictionError(
                f"{path}:{number}: not a line of predictions; write them with eventx evaluate --output DIR"
            ) from None
    for article in articles:
        if article.id not in known:
            raise PredictionError(f"{path}: says nothing of document {article.id!r}; predict the same part again")
        if known[article.id].sha256 != article.sha256:
            raise PredictionError(f"{path}: document {article.id!r} is of another text; predict it again")
    return [known[article.id] for article in articles]
