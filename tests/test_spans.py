"""Invariants of the spans room: BIO and back, documents and back."""

import itertools

import numpy as np
import pytest

from eventx.schema import TYPES, tags
from eventx.spans import Document, Event, Span, bio_to_spans, spans_to_bio

NAMES = tags(list(TYPES))


def random_case(seed):
    """Return words with gaps, and valid spans over them."""
    rng = np.random.default_rng(seed)
    at, words = 0, []
    for _ in range(rng.integers(1, 40)):
        at += int(rng.integers(0, 3))
        size = int(rng.integers(1, 9))
        words.append((at, at + size))
        at += size
    spans, word = [], 0
    while word < len(words):
        if rng.random() < 0.3:
            last = min(word + int(rng.integers(0, 3)), len(words) - 1)
            spans.append(Span(words[word][0], words[last][1], str(rng.choice(list(TYPES)))))
            word = last
        word += 1
    return words, spans


@pytest.mark.parametrize("seed", range(50))
def test_bio_round_trip_is_identity(seed):
    words, spans = random_case(seed)
    assert bio_to_spans(spans_to_bio(spans, words), words) == spans


@pytest.mark.parametrize("seed", range(50))
def test_any_tags_give_valid_spans(seed):
    words, _ = random_case(seed)
    given = list(np.random.default_rng(seed).choice(NAMES, len(words)))
    spans = bio_to_spans(given, words)
    starts, ends = {start for start, _ in words}, {end for _, end in words}
    for left, right in itertools.pairwise(spans):
        assert left.end <= right.start
    assert all(span.start in starts and span.end in ends for span in spans)
    again = spans_to_bio(spans, words)
    assert [tag[2:] for tag in again] == [tag[2:] for tag in given], "no word changes its type"
    assert bio_to_spans(again, words) == spans


def test_an_orphan_inside_tag_opens_a_span():
    words = [(0, 3), (4, 7), (8, 11)]
    assert bio_to_spans(["I-flight", "I-flight", "I-warning"], words) == [
        Span(0, 7, "flight"),
        Span(8, 11, "warning"),
    ]


def test_document_round_trip():
    text = "Rebels fled."
    event = Event("flight", "fled", 7, 11, 0.9, "asserted", (0, 12))
    document = Document("a", text, (event,), "a.txt", "m@1", len(text))
    assert Document.from_dict(document.to_dict(), text) == document
    assert event.span == Span(7, 11, "flight", "asserted")


def test_document_refuses_another_text():
    event = Event("flight", "fled", 7, 11, 0.9, "asserted", (0, 12))
    value = Document("a", "Rebels fled.", (event,)).to_dict()
    with pytest.raises(ValueError, match="the text has 'stay' at 7:11"):
        Document.from_dict(value, "Rebels stayed.")
