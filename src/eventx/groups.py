"""Groups of documents and of mentions that a score is looked at by, to see where a system does well and where not.

A grouping of documents puts each into one group; a grouping of mentions puts each gold and each predicted span into
one, so that both sides of a group are counted by the same rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from eventx.labels import Article
from eventx.spans import Span
from eventx.text import segments, words

MentionGroup = Callable[[Article, Span], str]
_LENGTHS = ((150, "under 150 words"), (300, "150-299 words"), (600, "300-599 words"))
_LONGEST = "600 words or more"
_LEAST = 5
"""Documents that an outlet, corpus or year needs to stand by itself; the others stand together."""


def of_documents(articles: Sequence[Article]) -> dict[str, list[str]]:
    """Return grouping -> the group of each article, in their order.

    Groupings: `kind` (news, written, seed), `corpus`, `outlet` and `year` as the labels' source tells them, `length`.
    """
    sources = [article.source for article in articles]
    return {
        "kind": [_kind(article) for article in articles],
        "corpus": _frequent(str(source.get("corpus") or "not told") for source in sources),
        "outlet": _frequent(str(source.get("outlet") or "not told") for source in sources),
        "year": _frequent(_year(str(source.get("date") or "")) for source in sources),
        "length": [_length(article.text or "") for article in articles],
    }


def of_mentions(train: Iterable[Article] | None = None) -> dict[str, MentionGroup]:
    """Return grouping -> function from an article and a span of it to the span's group.

    Groupings: `position` (headline, and thirds of the text), `modality`, `words` (one, several) and, with the articles
    that were learnt from, `trigger`: seen five times or more in their labels, less often, or never.
    """
    found: dict[str, MentionGroup] = {"position": _position, "modality": lambda _, span: span.modality, "words": _words}
    if train is not None:
        known = triggers(train)

        def seen(article: Article, span: Span) -> str:
            count = known[trigger_of(article, span)]
            return "seen 5 times or more" if count >= 5 else "seen 1-4 times" if count else "never seen"

        found["trigger"] = seen
    return found


def triggers(articles: Iterable[Article]) -> Counter[str]:
    """Count the triggers of labels, in lower case with single blanks."""
    return Counter(" ".join(trigger.lower().split()) for article in articles for trigger in article.triggers)


def trigger_of(article: Article, span: Span) -> str:
    """Return a span's words as `triggers` counts them."""
    return " ".join((article.text or "")[span.start : span.end].lower().split())


def headline_of(text: str) -> tuple[int, int]:
    """Return the offsets of a text's headline: its first segment, if that is a line of its own without a full stop."""
    first = next(segments(text), (0, 0))
    line = text[slice(*first)].rstrip()
    alone = text[first[1] : first[1] + 1] == "\n"
    return first if alone and not line.endswith((".", "!", '."', ".”")) else (0, 0)


def divide(
    articles: Sequence[Article], documents: Sequence[Sequence[Span]], rule: MentionGroup
) -> Mapping[str, list[list[Span]]]:
    """Return group -> the spans of each document that belong to it."""
    parted: dict[str, list[list[Span]]] = {}
    for at, (article, spans) in enumerate(zip(articles, documents, strict=True)):
        for span in spans:
            parted.setdefault(rule(article, span), [[] for _ in articles])[at].append(span)
    return parted


def _kind(article: Article) -> str:
    """Say whether an article is news, a seed, or made up for training."""
    if article.file is None:
        return "news"
    return "written" if "written" in article.file else "seed"


def _year(date: str) -> str:
    """Return the year that a date begins with."""
    return date[:4] if date[:4].isdigit() else "undated"


def _length(text: str) -> str:
    """Return the class of a text's length."""
    count = sum(text[start].isalnum() for start, _ in words(text))
    return next((name for limit, name in _LENGTHS if count < limit), _LONGEST)


def _frequent(values: Iterable[str]) -> list[str]:
    """Return values, the rare ones as `others`."""
    given = list(values)
    counts = Counter(given)
    return [value if counts[value] >= _LEAST else "others" for value in given]


def _position(article: Article, span: Span) -> str:
    """Say where in its text a span stands."""
    text = article.text or ""
    if span.start < headline_of(text)[1]:
        return "headline"
    return ("first third", "second third", "last third")[min(2, 3 * span.start // max(1, len(text)))]


def _words(article: Article, span: Span) -> str:
    """Say whether a span is one word or several."""
    return "one word" if len(words((article.text or "")[span.start : span.end])) == 1 else "several words"
