"""Inputs: whatever holds a text gives that text, once; whatever does not is one line, and the others go on."""

import csv
import gzip
import io
import json
import lzma
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventx import inputs
from eventx.inputs import Failure, Fields, Options
from eventx.reading import Input

TEXT = "Rebels took the town.\r\nFamilies fled \u201cnorth\u201d. \U0001f681"
PAGE = """<!doctype html><html><head><title>Rebels take town</title>
<meta property="article:published_time" content="2016-05-04"></head><body><nav>Home About us</nav><article>
<h1>Rebels take town</h1>
<p>Rebels captured the town on Monday after heavy fighting, officials said, as families fled.</p>
<p>Warplanes bombed a bridge. The army said it would retake the town within days and warned of more attacks.</p>
</article></body></html>"""


def walk(*paths, stdin=None, **options):
    """Return what the sources give."""
    notes = []
    found = list(inputs.walk([str(path) for path in paths], Options(note=notes.append, **options), stdin))
    return found, notes


def texts(found):
    assert all(isinstance(item, Input) for item in found), found
    return [item.text for item in found]


def failures(found):
    reasons = [item.reason for item in found if isinstance(item, Failure)]
    assert all(reason.isprintable() for reason in reasons), reasons
    return reasons


@pytest.mark.parametrize(
    "pack", [lambda data: data, gzip.compress, lzma.compress, lambda d: gzip.compress(gzip.compress(d))]
)
def test_a_text_is_the_same_however_it_is_packed(tmp_path, pack):
    (tmp_path / "a.txt.gz").write_bytes(pack(TEXT.encode()))
    (item,), notes = walk(tmp_path / "a.txt.gz")
    assert (item.text, item.id, item.derived, notes) == (TEXT, "a", False, [])


def test_zstandard(tmp_path, monkeypatch):
    zstandard = pytest.importorskip("zstandard")
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(json.dumps({"text": TEXT}).encode()))
    assert texts(walk(tmp_path / "a.jsonl.zst")[0]) == [TEXT]
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert "eventx[tables]" in failures(walk(tmp_path / "a.jsonl.zst")[0])[0]


def test_packed_too_often(tmp_path):
    data = TEXT.encode()
    for _ in range(5):
        data = gzip.compress(data)
    (tmp_path / "a.gz").write_bytes(data)
    assert "packed more than 3 times" in failures(walk(tmp_path / "a.gz")[0])[0]


def test_a_bomb_is_refused_before_it_bursts(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "_MOST", 1000)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"x" * 5000))
    assert "more than 0 MB of text" in failures(walk(tmp_path / "a.txt.gz")[0])[0]


def test_a_web_page_gives_its_main_text_title_and_date(tmp_path, monkeypatch):
    pytest.importorskip("trafilatura")
    (tmp_path / "a.html").write_text(PAGE)
    (item,), _ = walk(tmp_path / "a.html")
    assert (item.title, item.date, item.derived) == ("Rebels take town", "2016-05-04", True)
    assert "families fled" in item.text
    assert "About us" not in item.text
    (tmp_path / "b.txt").write_text(PAGE)  # told by content
    assert walk(tmp_path / "b.txt")[0][0].text == item.text
    assert walk("-", stdin=io.BytesIO(PAGE.encode()))[0][0].text == item.text
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    assert "eventx[web]" in failures(walk(tmp_path / "a.html")[0])[0]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_records_are_the_same_in_every_table(tmp_path, ending):
    rows = [{"url": f"u{at}", "published": "2016-05-04", "body": f"{TEXT} {at}"} for at in range(3)]
    place = tmp_path / f"a{ending}"
    if ending == ".jsonl":
        place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif ending == ".parquet":
        pyarrow, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pyarrow.Table.from_pylist(rows), place)
    else:
        with place.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="," if ending == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    found, notes = walk(place)
    assert texts(found) == [row["body"] for row in rows]
    assert [(item.id, item.date, item.source) for item in found] == [
        (f"u{at}", "2016-05-04", f"{place}#{at + 1}") for at in range(3)
    ]
    assert "text from 'body', id from 'url', date from 'published'" in notes[0]
    assert walk(place, fields=Fields("nothing"))[0][0].reason.endswith("name one with --text-field")
    assert texts(walk(place, fields=Fields("url"))[0]) == ["u0", "u1", "u2"]


def test_a_semicolon_table_in_an_8_bit_encoding(tmp_path):
    pytest.importorskip("charset_normalizer")
    (tmp_path / "a.csv").write_bytes("id;text\n1;Le g\u00e9n\u00e9ral a fui, dit-on\n".encode("cp1252"))
    found, notes = walk(tmp_path / "a.csv")
    assert texts(found) == ["Le g\u00e9n\u00e9ral a fui, dit-on"]
    assert "read as cp1252" in notes[0]


def test_bad_records_fail_alone(tmp_path):
    lines = ['{"text": "one"}', '{"text": ', "[1]", '{"text": 5}', '{"text": " "}', '{"body": "x"}', '{"text": "two"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found, _ = walk(tmp_path / "a.jsonl")
    assert [item.text for item in found if isinstance(item, Input)] == ["one", "two"]
    assert [reason.split(":")[1] for reason in failures(found)] == ["2", "3", "4", "5", "6"]
    (tmp_path / "b.csv").write_text('id,text\n1,one\n2\n3,two\n4,"three\n')
    found, _ = walk(tmp_path / "b.csv")
    assert [item.text for item in found if isinstance(item, Input)] == ["one", "two"]
    assert len(failures(found)) == 2
    assert "row 4" in failures(found)[1]


def test_a_column_without_a_name_is_no_id(tmp_path):
    (tmp_path / "a.csv").write_text(",text,\n1,Rebels fled,\n")
    (item,), _ = walk(tmp_path / "a.csv")
    assert (item.id, item.text) == ("a-1", "Rebels fled")


def test_folders_are_walked_by_name(tmp_path):
    for name in ("b.txt", "a.md", "sub/c.txt", "sub/d.log", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert texts(walk(tmp_path)[0]) == ["a.md", "b.txt", "sub/c.txt"]
    assert texts(walk(tmp_path, glob="*.log")[0]) == ["sub/d.log"]
    assert texts(walk(tmp_path, glob="sub/*")[0]) == ["sub/c.txt", "sub/d.log"]
    assert "a folder without files that fit" in failures(walk(tmp_path, glob="*.xyz")[0])[0]
    assert inputs.count([str(tmp_path)]) == 3
    (tmp_path / "e.csv").write_text("text\nx\n")
    assert inputs.count([str(tmp_path)]) is None


def test_json_lines_on_standard_input():
    found, _ = walk("-", stdin=io.BytesIO(b'{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n'))
    assert [(item.id, item.text) for item in found] == [("a", "one"), ("b", "two")]
    assert texts(walk("-", stdin=io.BytesIO(b"{not json} but text"))[0]) == ["{not json} but text"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([".txt", ".jsonl", ".csv", ".html", ".parquet", ".gz", ".xz", ".zst", ""])
)
def test_any_bytes_give_texts_or_one_line(tmp_path, data, ending):
    (tmp_path / f"a{ending}").write_bytes(data)
    (tmp_path / "b.txt").write_text("Rebels fled.")
    found, _ = walk(tmp_path / f"a{ending}", tmp_path / "b.txt")
    failures(found)
    assert found[-1].text == "Rebels fled."
    assert all(item.text.strip() for item in found if isinstance(item, Input))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_any_text_survives_a_table(tmp_path, rows):
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "id"])
        writer.writerows([row, "x"] for row in rows)
    wanted = [row for row in rows if "\0" not in row]
    if len(wanted) == len(rows):
        assert texts(walk(tmp_path / "a.csv")[0]) == rows
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    assert texts(walk(tmp_path / "a.jsonl")[0]) == rows
