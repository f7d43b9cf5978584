"""Label files: every kind of fault is found where it stands, and the split keeps its walls."""

import dataclasses
import json

import pytest

from eventx import labels, notes
from eventx.labels import LabelError
from eventx.schema import TYPES
from eventx.spans import Span

TEXT = "Rebels fled the besieged city. Jets bombed it.\r\nNobody surrendered."


def record(**changes):
    """Return a sound label record, changed."""
    return {
        "id": "a",
        "sha256": labels.digest(TEXT.encode()),
        "chars": len(TEXT),
        "source": {},
        "spans": [
            {"start": 7, "end": 11, "label": "flight", "modality": "asserted", "trigger": "fled"},
            {"start": 16, "end": 24, "label": "offensive", "modality": "asserted", "trigger": "besieged"},
        ],
    } | changes


def span(**changes):
    """Return one span of a record, changed."""
    return record()["spans"][0] | changes


@pytest.fixture
def place(tmp_path):
    """Return a function that writes records beside their text and checks them."""
    (tmp_path / "a.txt").write_bytes(TEXT.encode())

    def check(*records, split=None):
        file = tmp_path / "x.jsonl"
        lines = [value if isinstance(value, str) else json.dumps(value) for value in records]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return labels.check([file], texts=tmp_path, split=split)

    return check


def test_a_sound_file_has_no_fault(place):
    assert place(record()) == []


@pytest.mark.parametrize(
    ("spans", "what"),
    [
        ([span(start=700, end=704)], "lies outside the text"),
        ([span(start=-1)], "lies outside the text"),
        ([span(start=11, end=7)], "lies outside the text"),
        ([span(label="riot")], "unknown type 'riot'"),
        ([span(modality="likely")], "unknown modality 'likely'"),
        ([span(start=6, trigger=" fled")], "blanks at its edge"),
        ([span(trigger="flew")], "the text has 'fled' there"),
        ([span(trigger="fle")], "its offsets span 4"),
        ([span(end=10, trigger="fle")], "cuts a word"),
        ([span(), span(start=7, end=15, trigger="fled the")], "overlaps"),
    ],
)
def test_each_fault_of_a_span_is_found(place, spans, what):
    (fault,) = place(record(spans=[]) | {"id": "b", "file": "a.txt"}, record(spans=spans))
    assert what in fault.what
    assert fault.line == 2
    assert fault.remedy
    assert str(fault).startswith(f"{fault.file}:2: ")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{torn", "not a label record"),
        ('["list"]', "not a label record"),
        (record(spans=[{"start": 1}]), "not a label record"),
        (record(sha256="0" * 64), "is not the text that was labelled"),
        (record(chars=3, spans=[]), "chars is 3, the text has"),
        (record(file="gone.txt"), "cannot be read"),
    ],
)
def test_each_fault_of_a_record_is_found(place, line, what):
    assert [what in fault.what for fault in place(line)] == [True]


def test_a_missing_file_is_a_fault(tmp_path):
    (fault,) = labels.check([tmp_path / "none.jsonl"])
    assert "no such label file" in fault.what


def test_duplicates_and_strangers_are_found(place, tmp_path):
    split = tmp_path / "split.tsv"
    split.write_text("id\tgroup\tpart\na\ta\ttrain\nb\tb\ttest\nz\tz\tdev\n")
    found = [
        str(fault)
        for fault in place(record(), record(id="b", file="a.txt"), record(), record(id="c", file="a.txt"), split=split)
    ]
    assert any("stands at" in line and ":1 already" in line for line in found)
    assert any("has the very text of 'a' (train)" in line for line in found)
    assert any("'z' is in no label file" in line for line in found)
    assert any("'c' has no part" in line for line in found)
    assert any("near-duplicates across parts: a (train), b (test)" in line for line in found)


def test_a_group_in_two_parts_is_found(place, tmp_path):
    split = tmp_path / "split.tsv"
    split.write_text("id\tgroup\tpart\na\ta\ttrain\nb\ta\ttest\n")
    assert any(
        "group 'a' stands in" in fault.what for fault in place(record(), record(id="b", file="a.txt"), split=split)
    )


def test_read_asks_for_missing_texts(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(record()) + "\n")
    with pytest.raises(LabelError, match="--texts"):
        labels.read(file)
    assert labels.read(file, need_text=False)[0].text is None


def test_write_and_read_are_inverse(tmp_path, root):
    articles = labels.read(root / "labels" / "seeds.jsonl")
    labels.write([dataclasses.replace(article, file=None) for article in articles], tmp_path / "copy.jsonl")
    again = labels.read(tmp_path / "copy.jsonl", texts=root / "seeds")
    assert again == [dataclasses.replace(article, file=None) for article in articles]


def test_the_committed_labels_are_sound(root):
    files = sorted((root / "labels").glob("*.jsonl"))
    assert labels.check(files, split=root / "labels" / "split.tsv") == []


class TestNotes:
    """Annotators' notes become offsets."""

    def compiled(self, tmp_path, lines):
        (tmp_path / "a.txt").write_bytes(TEXT.encode())
        (tmp_path / "a.tsv").write_text(lines)
        return notes.compile_notes(tmp_path / "a.tsv", tmp_path / "a.txt")

    def test_offsets(self, tmp_path):
        article = self.compiled(tmp_path, "# read twice\n1 | fled | flight\n3\tsurrendered\tsurrender\tnegated\n")
        assert [TEXT[span.start : span.end] for span in article.spans] == ["fled", "surrendered"]
        assert article.spans[1].modality == "negated"
        assert article.sha256 == labels.digest(TEXT.encode())

    def test_second_occurrence(self, tmp_path):
        (tmp_path / "b.txt").write_text("They fled and fled.")
        (tmp_path / "b.tsv").write_text("1 | fled#2 | flight")
        assert notes.compile_notes(tmp_path / "b.tsv", tmp_path / "b.txt").spans[0].start == 14

    @pytest.mark.parametrize(
        ("lines", "starts"),
        [
            (["counter-attack", "attack", "attack"], [2, 25, 39]),
            (["attack#2", "counter-attack", "attack"], [2, 25, 39]),
            (["attack#3", "attack", "attack"], [10, 25, 39]),
        ],
    )
    def test_occurrences_within_a_mark_are_passed_over(self, tmp_path, lines, starts):
        (tmp_path / "c.txt").write_text("A counter-attack beat an attack and an attack.")
        (tmp_path / "c.tsv").write_text("".join(f"1 | {line} | offensive\n" for line in lines))
        made = notes.compile_notes(tmp_path / "c.tsv", tmp_path / "c.txt")
        assert [span.start for span in made.spans] == starts

    @pytest.mark.parametrize("last", ["attack#1", "counter-attack", "attack#0", "attack#9"])
    def test_a_mark_within_a_mark_is_refused(self, tmp_path, last):
        (tmp_path / "d.txt").write_text("A counter-attack beat an attack. So an attack.")
        (tmp_path / "d.tsv").write_text(f"1 | counter-attack | offensive\n1 | {last} | offensive\n")
        with pytest.raises(LabelError, match=r"d\.tsv:[23]: .*(marked already|within what)"):
            notes.compile_notes(tmp_path / "d.tsv", tmp_path / "d.txt")

    @pytest.mark.parametrize(
        "line", ["9 | fled | flight", "1 | flew | flight", "fled", "1 | fled | flight | asserted | x"]
    )
    def test_faults_name_their_line(self, tmp_path, line):
        with pytest.raises(LabelError, match=r"a\.tsv:2: "):
            self.compiled(tmp_path, f"# remark\n{line}\n")

    def test_the_settled_notes_are_the_committed_labels(self, root):
        articles = labels.read(root / "labels" / "seeds.jsonl")
        for article in articles:
            made = notes.compile_notes(
                root / "labels" / "notes" / "settled" / f"{article.id}.tsv", root / "seeds" / f"{article.id}.txt"
            )
            assert made.spans == article.spans


def test_triggers_are_of_known_types(root):
    for article in labels.read(root / "labels" / "seeds.jsonl"):
        for mark, trigger in zip(article.spans, article.triggers, strict=True):
            assert isinstance(mark, Span)
            assert mark.label in TYPES
            assert article.text[mark.start : mark.end] == trigger
