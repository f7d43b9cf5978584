"""Words, segments and sentences: exact offsets on any text."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventx.text import segments, sentences, words


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_words_are_ordered_apart_and_hold_every_letter(text):
    bounds = words(text)
    assert all(0 <= start < end <= len(text) for start, end in bounds)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(bounds))
    covered = {at for start, end in bounds for at in range(start, end)}
    assert all(at in covered for at, letter in enumerate(text) if letter.isalnum())
    assert not any(text[start:end].isspace() for start, end in bounds)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aB.!? \n\"'”)(1é\u0301", max_size=60))
def test_sentences_and_segments_cover_all_words(text):
    for find in (segments, sentences):
        bounds = list(find(text))
        covered = {at for start, end in bounds for at in range(start, end)}
        assert all(at in covered for at, letter in enumerate(text) if not letter.isspace())
        assert all(left[1] <= right[0] for left, right in itertools.pairwise(bounds))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("car-bomb", ["car", "-", "bomb"]),
        ("Libya's", ["Libya", "'", "s"]),
        ("cafe\u0301s fled", ["cafe\u0301s", "fled"]),
        ("at\u00adtack", ["at\u00adtack"]),
        ("fled\u00a0south\r\n", ["fled", "south"]),
        ("🔥attack🔥", ["🔥", "attack", "🔥"]),
        ("\ufeffUN", ["\ufeff", "UN"]),
        ("a_b", ["a", "_", "b"]),
        ("", []),
    ],
)
def test_words(text, expected):
    assert [text[start:end] for start, end in words(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("They fled. Then they fought.", ["They fled.", "Then they fought."]),
        ("Gen. Haftar fled. He won.", ["Gen. Haftar fled.", "He won."]),
        ("The U.S. Army attacked.", ["The U.S. Army attacked."]),
        ("Headline\n\nText here", ["Headline", "Text here"]),
        ("“We flee.” He left.", ["“We flee.”", "He left."]),
        ("The battle: pp. 287 and p. 9. It fell.", ["The battle: pp. 287 and p. 9.", "It fell."]),
        ("Mr.\nBrown", ["Mr.", "Brown"]),
        (" \n ", []),
    ],
)
def test_sentences(text, expected):
    assert [text[start:end] for start, end in sentences(text)] == expected
