"""Windows, word scores and decoding: against brute force, and on awkward text."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventx.encode
from eventx.encode import WordScores, allowed, decode, encode, owned, read, viterbi, window_ids, windows
from eventx.schema import MODALITIES, TYPES, tags

NAMES = tags(list(TYPES))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3000), st.integers(2, 300), st.data())
def test_windows_cover_all_tokens_and_are_owned_once(tokens, size, data):
    overlap = data.draw(st.integers(0, size // 2))
    ranges = windows(tokens, size, overlap)
    assert all(high - low <= size for low, high in ranges)
    for left, right in itertools.pairwise(ranges):
        assert left[1] - right[0] >= overlap
        assert left[0] < right[0]
    assert [at for low, high in owned(ranges) for at in range(low, high)] == list(range(tokens))
    for (low, high), (start, end) in zip(owned(ranges), ranges, strict=True):
        assert start <= low < high <= end


def test_an_overlap_as_wide_as_the_window_is_refused():
    with pytest.raises(ValueError, match="does not fit windows of 8"):
        windows(100, 8, 8)


@pytest.mark.parametrize("seed", range(20))
def test_viterbi_finds_the_best_valid_path(seed):
    rng = np.random.default_rng(seed)
    table = allowed(["a", "b"])
    scores = rng.normal(size=(4, 5)).astype(np.float32)

    def total(path):
        steps = table[-1, path[0]] + sum(table[left, right] for left, right in itertools.pairwise(path))
        return steps + sum(scores[at, tag] for at, tag in enumerate(path))

    best = max(itertools.product(range(5), repeat=4), key=total)
    assert viterbi(scores, table) == list(best)
    assert np.isfinite(total(best))


@pytest.mark.parametrize("seed", range(60))
def test_settled_words_change_no_best_path(seed):
    rng = np.random.default_rng(seed)
    table = allowed(["a", "b", "c"])
    logits = rng.choice([0.3, 1, 3]) * rng.normal(size=(rng.integers(1, 80), 7))
    logits[:, 0] += rng.choice([0, 2, 6])
    scores = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)

    def total(path):
        return scores[np.arange(len(path)), path].sum() + table[[-1, *path[:-1]], path].sum()

    whole = eventx.encode._viterbi(scores, table, table[-1])
    assert total(viterbi(scores, table)) == pytest.approx(total(whole), abs=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_decoded_spans_are_whole_words_without_overlap(seed):
    rng = np.random.default_rng(seed)
    words = [(2 * at, 2 * at + 1) for at in range(30)]
    logits = 3 * rng.normal(size=(30, len(NAMES)))
    scores = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
    found = decode(WordScores(words, scores, np.full((30, 3), 1 / 3, np.float32)), list(TYPES), list(MODALITIES))
    assert found
    for (left, _), (right, _) in itertools.pairwise(found):
        assert left.end <= right.start
    for span, score in found:
        assert span.start % 2 == 0
        assert span.end % 2 == 1
        assert 0 <= score <= 1


def test_a_raw_score_is_the_probability_of_exactly_these_words():
    words = [(0, 1), (2, 3), (4, 5)]
    chances = np.full((3, len(NAMES)), 1e-9)
    begin, inside = NAMES.index("B-flight"), NAMES.index("I-flight")
    chances[0, begin], chances[0, 0] = 0.9, 0.1
    chances[1, inside], chances[1, 0] = 0.8, 0.2
    chances[2, 0], chances[2, inside] = 0.7, 0.3
    scores = WordScores(words, np.log(chances).astype(np.float32), np.array([[0.2, 0.7, 0.1]] * 3, np.float32))
    ((span, score),) = decode(scores, list(TYPES), list(MODALITIES))
    assert (span.start, span.end, span.label, span.modality) == (0, 3, "flight", "possible")
    assert score == pytest.approx(0.9 * 0.8 * 0.7, rel=1e-4)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=200))
def test_tokens_belong_to_words_in_order(tiny, text):
    encoded = encode(text, tiny._coding)
    assert len(encoded.ids) == len(encoded.word_of)
    assert np.all(np.diff(encoded.word_of) >= 0)
    assert len(encoded.words) == 0 or encoded.word_of.max(initial=0) < len(encoded.words)


def test_a_special_token_in_the_text_is_plain_text(tiny):
    encoded = encode("[SEP] fled [CLS]", tiny._coding)
    assert tiny._coding.last not in encoded.ids
    assert tiny._coding.first not in encoded.ids


def test_word_scores_do_not_depend_on_how_a_runner_batches(tiny):
    text = "Militants fled Sirte as warplanes bombed the city. " * 20
    encoded = encode(text, tiny._coding)
    together = read(encoded, tiny._run, tiny._coding)
    apart = read(encoded, lambda ids: [tiny._run([one])[0] for one in ids], tiny._coding)
    assert np.array_equal(together.tags, apart.tags)


@pytest.mark.parametrize("lead", [0, 5, 12])
def test_each_token_is_read_in_its_own_place_behind_the_lead(tiny, lead):
    coding = dataclasses.replace(tiny._coding, lead=lead, pieces="first")
    encoded = encode("Militants fled Sirte as warplanes bombed the city. " * 40, coding)
    rows = window_ids(encoded, coding)
    assert all(len(ids) <= coding.window for ids in rows)
    if lead:
        assert all(list(ids[1 : 1 + lead]) == list(encoded.ids[:lead]) for ids in rows[2:])

    def echo(windows):
        return [(np.eye(2000, dtype=np.float32)[ids], np.zeros((len(ids), 3), np.float32)) for ids in windows]

    scores = read(encoded, echo, coding)
    first = np.flatnonzero(np.diff(encoded.word_of, prepend=-1))
    assert np.array_equal(scores.tags.argmax(1), encoded.ids[first])
