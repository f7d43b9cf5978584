"""Doubtful labels: planted mistakes are found and named, and what is alike raises no doubt."""

import json
import random
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from eventx import doubts, labels
from eventx.cli import app
from eventx.labels import Article
from eventx.schema import TYPES
from eventx.spans import Span

PLACES = (
    *("Homs", "Idlib", "Sirte", "Mosul", "Raqqa", "Aden", "Taiz", "Kirkuk"),
    *("Hama", "Aleppo", "Daraa", "Tikrit", "Ramadi", "Benghazi", "Misrata", "Tobruk"),
)


def article(name, text, marks):
    """Return an article; marks are (trigger, type, modality), each at its first place."""
    spans = []
    for trigger, label, modality in marks:
        at = text.index(trigger)
        spans.append(Span(at, at + len(trigger), label, modality))
    spans.sort()
    triggers = tuple(text[span.start : span.end] for span in spans)
    return Article(name, labels.digest(text.encode()), len(text), tuple(spans), triggers, text)


def world(**changed):
    """Return alike articles; `changed` maps an article's name to other marks of it."""
    made = []
    for number, place in enumerate(PLACES):
        text = (
            f"Number {number}: jets carried out air strikes near {place}. Families fled {place} at once. "
            f"The rebels tried to retake {place} in week {number}."
        )
        marks = [
            ("air strikes", "airstrike", "asserted"),
            ("fled", "flight", "asserted"),
            ("retake", "offensive", "possible"),
        ]
        made.append(article(f"d{number}", text, changed.get(f"d{number}", marks)))
    return {"x.jsonl": made}


GOOD = [("air strikes", "airstrike", "asserted"), ("fled", "flight", "asserted"), ("retake", "offensive", "possible")]


def test_what_is_alike_raises_no_doubt():
    assert doubts.find(world()) == []


@pytest.mark.parametrize(
    ("marks", "kind", "trigger", "suggested"),
    [
        ([GOOD[0], GOOD[2]], "unmarked", "fled", ("fled", "flight", "asserted")),
        ([GOOD[0], ("fled", "warning", "asserted"), GOOD[2]], "type", "fled", ("fled", "flight", "asserted")),
        ([*GOOD[:2], ("retake", "offensive", "asserted")], "modality", "retake", ("retake", "offensive", "possible")),
        ([("strikes", *GOOD[0][1:]), *GOOD[1:]], "span", "strikes", ("air strikes", "airstrike", "asserted")),
    ],
)
def test_a_planted_mistake_is_the_only_doubt(marks, kind, trigger, suggested):
    (doubt,) = doubts.find(world(d5=marks))
    assert (doubt.kind, doubt.document, doubt.trigger) == (kind, "d5", trigger)
    text = world()["x.jsonl"][5].text
    assert text[doubt.start : doubt.end] == trigger
    assert text[slice(*doubt.sentence)] == doubt.context
    span = doubt.suggested
    assert (text[span.start : span.end], span.label, span.modality) == suggested
    assert doubt.place == f"x.jsonl:d5:{doubt.start}-{doubt.end}"
    assert (doubt.marked is None) == (kind == "unmarked")
    assert json.loads(json.dumps(doubt.to_dict()))["kind"] == kind


def test_twins_with_other_marks_are_found():
    text = "On Monday morning the army repelled a raid on the old town of Homs. {}"
    one = article("a", text.format("Quiet."), [("repelled", "offensive", "asserted")])
    two = article("b", text.format("Rain."), [("repelled", "offensive", "negated")])
    (doubt,) = doubts.find({"x.jsonl": [one], "y.jsonl": [two]})
    assert (doubt.kind, doubt.trigger) == ("twin", "repelled")
    assert "in a:" in doubt.why or "in b:" in doubt.why
    assert doubts.find({"x.jsonl": [one, replace(two, spans=one.spans)]}) == []


def test_order_of_files_and_documents_changes_nothing(root):
    articles = labels.read(root / "labels" / "written.jsonl")
    found = doubts.find({"w": articles})
    assert found
    shuffled = list(articles)
    random.Random(0).shuffle(shuffled)
    assert {(d.place, d.kind, round(d.score, 9)) for d in doubts.find({"w": shuffled})} == {
        (d.place, d.kind, round(d.score, 9)) for d in found
    }
    assert doubts.find({"w": articles}, least=0.9) == [d for d in found if d.score >= 0.9]


def test_planted_mistakes_come_first(root):
    """Of the types that look wrong first, ten times as many were made wrong as of all marks, on 200 short texts."""
    rng = random.Random(3)
    planted, made = set(), []
    for one in labels.read(root / "labels" / "written.jsonl") + labels.read(root / "labels" / "seeds.jsonl"):
        spans = list(one.spans)
        for at, span in enumerate(spans):
            if rng.random() < 0.02:
                planted.add((one.id, span.start))
                spans[at] = replace(span, label=rng.choice([name for name in TYPES if name != span.label]))
        made.append(replace(one, spans=tuple(spans)))
    first = [doubt for doubt in doubts.find({"w": made}) if doubt.kind == "type"][: len(planted)]
    hits = sum((doubt.document, doubt.start) in planted for doubt in first)
    assert len(planted) > 15
    assert hits > 10 * 0.02 * len(first)


def test_documents_without_text_are_left_out(root):
    articles = labels.read(root / "labels" / "seeds.jsonl")
    assert doubts.find({"s": [replace(one, text=None) for one in articles]}) == []
    assert doubts.find({}) == []


def test_check_lists_doubts_and_writes_the_queue(tmp_path):
    (made,) = world(d5=[GOOD[0], GOOD[2]]).values()
    for one in made:
        (tmp_path / f"{one.id}.txt").write_bytes(one.text.encode())
    labels.write(made, tmp_path / "x.jsonl")
    words_ = ["check", str(tmp_path / "x.jsonl"), "--texts", str(tmp_path), "--output", str(tmp_path / "q.jsonl")]
    result = CliRunner().invoke(app, [*words_, "--doubts"])
    assert result.exit_code == 0, result.output
    assert f"1. {tmp_path / 'x.jsonl'}:d5:" in result.stdout
    assert "unmarked: not marked; 15 of 15 elsewhere are marked, flight" in result.stdout
    assert "«fled»" in result.stdout or "<<fled>>" in result.stdout
    (line,) = (tmp_path / "q.jsonl").read_text().splitlines()
    assert json.loads(line)["suggested"]["label"] == "flight"
    assert "doubt" not in CliRunner().invoke(app, words_[:4]).stdout
