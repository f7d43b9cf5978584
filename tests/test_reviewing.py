"""The desk: every act is kept at once, undone exactly, refused where it makes no sense, and comes out as labels."""

import json
import sqlite3
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventx import labels, predictions, reviewing
from eventx.reviewing import Desk, DeskError, Mark, StaleError, Work
from eventx.schema import SHIPPED
from eventx.text import words

TEXT = "Troops stormed the town 🚁 and families fled north."
STORMED, FLED = (7, 14), (39, 43)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "desk.sqlite", SHIPPED)
    article = reviewing.article_of("a", TEXT, {"source": "a.txt"})
    mark = Mark(*STORMED, "offensive", "asserted", "model", False, 0.7)
    desk.lay([Work(article, (mark,)), Work(reviewing.article_of("b", "Nothing.", {}), ())], order="unsure", model="m")
    yield desk
    desk.close()


def spans(sheet):
    return [(mark.start, mark.end, mark.label, mark.modality) for mark in sheet.marks]


def test_acts_change_what_they_say(desk):
    sheet = desk.act(0, 0, {"do": "add", "start": FLED[0], "end": FLED[1], "label": "flight"})
    assert spans(sheet) == [(*STORMED, "offensive", "asserted"), (*FLED, "flight", "asserted")]
    sheet = desk.act(0, 1, {"do": "change", "start": 7, "end": 14, "label": "airstrike", "modality": "possible"})
    sheet = desk.act(0, 2, {"do": "change", "start": 7, "end": 14, "to": [0, 14]})
    assert spans(sheet)[0] == (0, 14, "airstrike", "possible")
    assert [(mark.by, mark.accepted) for mark in sheet.marks] == [("person", True)] * 2
    sheet = desk.act(0, 3, {"do": "delete", "start": 0, "end": 14})
    assert spans(sheet) == [(*FLED, "flight", "asserted")]
    for left in (3, 2, 1, 0):
        sheet = desk.undo(0, sheet.version)
        assert sheet.undoable == left
    assert spans(sheet) == [(*STORMED, "offensive", "asserted")]
    assert not sheet.marks[0].accepted
    with pytest.raises(DeskError, match="nothing to undo"):
        desk.undo(0, sheet.version)


@pytest.mark.parametrize(
    ("act", "what"),
    [
        ({"do": "add", "start": 7, "end": 18, "label": "flight"}, "overlap"),
        ({"do": "add", "start": 8, "end": 14, "label": "flight"}, "no whole words"),
        ({"do": "add", "start": 39, "end": 39, "label": "flight"}, "no whole words"),
        ({"do": "add", "start": 39, "end": 43, "label": "party"}, "no type 'party'"),
        ({"do": "add", "start": 39, "end": 43, "label": "flight", "modality": "maybe"}, "no modality 'maybe'"),
        ({"do": "add", "start": "39", "end": None, "label": "flight"}, "a start and an end"),
        ({"do": "delete", "start": 1, "end": 2}, "no mark at 1-2"),
        ({"do": "explode", "start": 7, "end": 14}, "not known"),
        ({}, "no mark at None"),
    ],
)
def test_what_makes_no_sense_changes_nothing(desk, act, what):
    before = desk.sheet(0)
    with pytest.raises(DeskError, match=what):
        desk.act(0, 0, act)
    assert desk.sheet(0) == before


def test_two_windows_cannot_overwrite_each_other(desk):
    other = Desk(desk.place, SHIPPED)
    other.act(0, 0, {"do": "accept", "start": 7, "end": 14})
    with pytest.raises(StaleError, match="another window"):
        desk.act(0, 0, {"do": "delete", "start": 7, "end": 14})
    assert desk.sheet(0).marks[0].accepted
    other.close()


def test_what_is_done_comes_out_as_labels(desk, tmp_path):
    assert desk.export() == []
    desk.act(0, 0, {"do": "done"})
    (article,) = desk.export()
    assert article.triggers == ("stormed",)
    assert article.source["review"] == {"order": "unsure", "place": 0, "model": "m", "acts": 1}
    assert len(desk.export(only_done=False)) == 2
    labels.write([article], tmp_path / "l.jsonl")
    (tmp_path / "a.txt").write_text(TEXT)
    assert labels.check([tmp_path / "l.jsonl"], texts=tmp_path) == []


def test_a_desk_is_found_as_it_was_left(desk):
    desk.act(0, 0, {"do": "accept", "start": 7, "end": 14})
    again = Desk(desk.place, SHIPPED)
    assert again.sheet(0) == desk.sheet(0)
    assert again.lay([Work(reviewing.article_of("a", TEXT, {}), ())], order="given", model="") == 0
    assert again.sheet(0) == desk.sheet(0)
    with pytest.raises(DeskError, match="another text"):
        again.lay([Work(reviewing.article_of("a", "Other.", {}), ())], order="given", model="")
    again.close()
    (desk.place.parent / "no.sqlite").write_text("no desk at all, but text of some length")
    with pytest.raises(DeskError, match="not a desk"):
        Desk(desk.place.parent / "no.sqlite", SHIPPED)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "change", "delete", "accept", "undo", "done"]), st.integers(0, 9), st.integers(0, 9)
        )
    )
)
def test_any_acts_leave_whole_marks_and_undo_to_the_beginning(tmp_path_factory, acts):
    place = tmp_path_factory.mktemp("desk") / "d.sqlite"
    desk = Desk(place, SHIPPED)
    desk.lay([Work(reviewing.article_of("a", TEXT, {}), ())], order="given", model="")
    bounds, first = words(TEXT), desk.sheet(0)
    for do, one, two in acts:
        sheet = desk.sheet(0)
        start, end = bounds[min(one, two) % len(bounds)][0], bounds[max(one, two) % len(bounds)][1]
        mark = sheet.marks[one % len(sheet.marks)] if sheet.marks else None
        place_of = {"start": mark.start, "end": mark.end} if mark and do != "add" else {"start": start, "end": end}
        try:
            if do == "undo":
                desk.undo(0, sheet.version)
            else:
                desk.act(0, sheet.version, {"do": do, **place_of, "label": "flight", "to": [start, end]})
        except DeskError:
            assert desk.sheet(0) == sheet
        marks = desk.sheet(0).marks
        assert all(a.end <= b.start for a, b in pairwise(marks))
    while desk.sheet(0).undoable:
        desk.undo(0, desk.sheet(0).version)
    assert desk.sheet(0).marks == first.marks
    desk.close()
    assert sqlite3.connect(place).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_orders(tiny, root):
    articles = labels.read(root / "labels" / "seeds.jsonl")
    bare = [reviewing.article_of(a.id, a.text, {}) for a in articles]
    said = predictions.run(tiny, bare)
    none = [predictions.Prediction(a.id, a.sha256, ()) for a in bare]
    given = reviewing.works(bare, said, order="given")
    assert [work.article.id for work in given] == [a.id for a in articles]
    assert all(mark.by == "model" and not mark.accepted for work in given for mark in work.marks)

    def doubt(work):
        return sum(min(m.score, 1 - m.score) for m in work.marks) / len(words(work.article.text))

    unsure = [doubt(work) for work in reviewing.works(bare, said, order="unsure")]
    assert unsure == sorted(unsure, reverse=True)
    disputed = [
        len(w.marks) / len(words(w.article.text)) for w in reviewing.works(bare, said, order="disputed", against=none)
    ]
    assert disputed == sorted(disputed, reverse=True)
    assert {w.article.id for w in reviewing.works(bare, said, order="random")} == {a.id for a in articles}
    notes = {articles[3].id: [{"start": 0, "end": 2, "why": "w"}], articles[1].id: [{"start": 0, "end": 2, "why": "v"}]}
    queued = reviewing.works(articles, None, order="queue", notes=notes)
    assert [work.article.id for work in queued] == list(notes)
    assert all(mark.by == "label" for work in queued for mark in work.marks)
    for order in ("disputed", "unsure", "sideways"):
        with pytest.raises(DeskError):
            reviewing.works(bare, None, order=order)


def test_facts_are_plain(desk):
    assert json.loads(json.dumps(desk.contents()))[0] == {
        "place": 0,
        "id": "a",
        "marks": 1,
        "accepted": 0,
        "done": False,
    }
