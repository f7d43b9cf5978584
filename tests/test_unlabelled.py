"""Unlabelled text: every way of keeping it gives the same token ids, and a file that does not fit is named."""

import dataclasses
import gzip
import json
import lzma

import numpy as np
import pytest

from eventx import unlabelled
from eventx.encode import encode, window_ids

TEXTS = ["Militants fled Sirte as warplanes bombed the city. " * 30, "", "Nothing happened."]


@pytest.fixture
def coding(tiny):
    return tiny._coding


@pytest.fixture
def lines():
    return "".join(json.dumps({"id": str(at), "text": text}) + "\n" for at, text in enumerate(TEXTS))


def test_a_corpus_holds_the_windows_of_its_texts(tmp_path, coding, lines):
    (tmp_path / "a.jsonl").write_text(lines)
    corpus = unlabelled.read([tmp_path / "a.jsonl"], coding)
    assert len(corpus) == 3
    for lead in (0, 8):
        led = dataclasses.replace(coding, lead=lead)
        wanted = [ids for text in TEXTS for ids in window_ids(encode(text, led), led)]
        found = list(corpus.windows(led))
        assert len(wanted) > 3
        assert all(np.array_equal(one, two) for one, two in zip(wanted, found, strict=True))


def test_all_ways_of_keeping_it_are_one(tmp_path, coding, lines):
    (tmp_path / "a.jsonl").write_text(lines)
    with lzma.open(tmp_path / "b.jsonl.xz", "wt") as file:
        file.write(lines)
    with gzip.open(tmp_path / "c.jsonl.gz", "wt") as file:
        file.write(lines)
    unlabelled.read([tmp_path / "a.jsonl"], coding).save(tmp_path / "d.npz")
    both = unlabelled.read([tmp_path / "a.jsonl", tmp_path / "d.npz"], coding)
    one = unlabelled.read([tmp_path / "b.jsonl.xz"], coding)
    again = unlabelled.read([tmp_path / "c.jsonl.gz"], coding)
    assert np.array_equal(one.ids, again.ids)
    assert np.array_equal(both.ids, np.concatenate([one.ids, one.ids]))
    assert np.array_equal(np.diff(both.bounds), np.tile(np.diff(one.bounds), 2))


def test_the_same_documents_are_drawn_from_either_form(tmp_path, coding, lines):
    (tmp_path / "a.jsonl").write_text(lines * 5)
    unlabelled.read([tmp_path / "a.jsonl"], coding).save(tmp_path / "b.npz")
    one, two = (unlabelled.read([tmp_path / name], coding, documents=7, seed=3) for name in ("a.jsonl", "b.npz"))
    assert len(one) == len(two) == 7
    assert np.array_equal(one.ids, two.ids)
    both = [tmp_path / "a.jsonl", tmp_path / "b.npz"]
    assert [len(unlabelled.read(both, coding, documents=some)) for some in (7, [7], [7, 2], [0, 2], [])] == [
        14,
        14,
        9,
        17,
        30,
    ]
    with pytest.raises(unlabelled.UnlabelledError, match="3 numbers for 2 files"):
        unlabelled.read(both, coding, documents=[1, 2, 3])


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"body": "y"}\n', r"a\.jsonl:2: not a JSON object with a `text`"),
        ("a.jsonl", b"\xff\xfe", "cannot be read"),
        ("a.jsonl.xz", b"no archive", "cannot be read"),
        ("a.npz", b"no archive", "not a corpus"),
        (None, b"", "no such file"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, coding, name, data, what):
    if name:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(unlabelled.UnlabelledError, match=what):
        unlabelled.read([tmp_path / (name or "none.jsonl")], coding)


def test_no_file_is_an_error(coding):
    with pytest.raises(unlabelled.UnlabelledError, match="--unlabelled"):
        unlabelled.read([], coding)
