"""Jobs: an output is whole, or goes on to be what it would have been; nothing comes twice and nothing is lost."""

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eventx.cli import app
from eventx.job import JobError, following, tagged
from eventx.reading import Input
from eventx.spans import Document
from eventx.tagger import load

DOCUMENTS = 40


@pytest.fixture
def corpus(tmp_path, seeds):
    """Return a file of records, two of them without a text."""
    lines = [
        {"id": f"d{at}", "date": "2016-01-02", "text": seeds[at % 5].read_text("utf-8")} for at in range(DOCUMENTS)
    ]
    lines[3]["text"], lines[30]["text"] = "", None
    place = tmp_path / "corpus.jsonl"
    place.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return place


@pytest.fixture
def run(tiny_folder):
    def call(*arguments):
        words = ["tag", *map(str, arguments), "--model", str(tiny_folder)]
        return CliRunner().invoke(app, words)

    return call


@pytest.fixture
def hearing_sigint():
    """Let processes begun here hear SIGINT, also where the tests are a shell's background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ids(place: Path) -> list[str]:
    return [json.loads(line)["id"] for line in place.read_text().splitlines()]


WANTED = [f"d{at}" for at in range(DOCUMENTS) if at not in (3, 30)]


def test_every_format_tells_the_same_events(run, corpus, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    for ending in ("jsonl", "json", "csv", "parquet", "html"):
        result = run(corpus, "-o", tmp_path / f"e.{ending}")
        assert result.exit_code == 1, result.stderr  # two records hold no text
        assert "38 documents" in result.stderr
        assert not (tmp_path / f"e.{ending}.partial").exists()
    failed = [json.loads(line)["source"] for line in (tmp_path / "e.html.failures.jsonl").read_text().splitlines()]
    assert failed == [f"{corpus}#4", f"{corpus}#31"]
    documents = [Document.from_dict(json.loads(line)) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [document.id for document in documents] == WANTED
    assert [document.to_dict() for document in documents] == json.loads((tmp_path / "e.json").read_text())
    events = [(d.id, d.date, e.type, e.trigger, e.start, e.end) for d in documents for e in d.events]
    names = ("document", "date", "type", "trigger", "start", "end")
    with (tmp_path / "e.csv").open(newline="", encoding="utf-8") as file:
        rows = [tuple(row[name] for name in names) for row in csv.DictReader(file)]
    assert rows == [tuple(map(str, event)) for event in events]
    table = pq.read_table(tmp_path / "e.parquet").to_pylist()
    assert [tuple(row[name] for name in names) for row in table] == events
    page = (tmp_path / "e.html").read_text()
    assert page.count("<article>") == len(WANTED)
    assert page.count("</mark>") == len(events) + 5
    assert "<script" not in page


def test_annotation_tools_get_what_they_read(run, seeds, tmp_path, tiny):
    from eventx import brat, conll

    wanted = [[(s.start, s.end, s.label, s.modality) for s in tiny.tag(p.read_bytes().decode()).spans] for p in seeds]
    assert run(*seeds, "-o", f"{tmp_path}/brat/", "-f", "brat").exit_code == 0
    assert run(*seeds, "-o", tmp_path / "e.conll").exit_code == 0
    for found in (brat.read(tmp_path / "brat"), conll.read(tmp_path / "e.conll")):
        assert [[(s.start, s.end, s.label, s.modality) for s in a.spans] for a in found] == wanted
    assert run(*seeds, "-o", tmp_path / "e", "-f", "brat").exit_code == 2
    assert run(*seeds, "-f", "spacy").exit_code == 2


def test_nothing_is_overwritten_unasked(run, corpus, tmp_path):
    (tmp_path / "e.jsonl").write_text("mine")
    assert run(corpus, "-o", tmp_path / "e.jsonl").exit_code == 2
    assert (tmp_path / "e.jsonl").read_text() == "mine"
    assert run(corpus, "-o", tmp_path / "e.jsonl", "--force").exit_code == 1
    assert ids(tmp_path / "e.jsonl") == WANTED
    assert run(corpus, "-o", tmp_path / "e.jsonl", "--resume").exit_code == 0  # finished already


def test_a_folder_gets_a_file_a_document(run, corpus, seeds, tmp_path):
    (tmp_path / "out").mkdir()
    result = run(*seeds, seeds[0], "-o", tmp_path / "out", "-f", "json")
    assert result.exit_code == 0, result.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == 6
    assert f"{seeds[0].stem}-2.json" in names
    assert run(*seeds, "-o", tmp_path / "out", "-f", "json").exit_code == 2


@pytest.mark.parametrize(
    ("output", "code", "what"),
    [("e.xyz", 2, "which format"), ("none/e.jsonl", 0, ""), ("/proc/e.jsonl", 1, "cannot be written")],
)
def test_where_it_can_be_written(run, seeds, tmp_path, output, code, what):
    result = run(seeds[0], "-o", tmp_path / output)
    assert result.exit_code == code, result.stderr
    assert what in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_full_disk_is_one_line(seeds, tiny_folder):
    command = f"{sys.executable} -m eventx tag {seeds[0]} -f jsonl --model {tiny_folder} > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["standard output cannot be written (No space left on device)"]


def test_a_job_that_was_cut_goes_on(run, corpus, tmp_path):
    run(corpus, "-o", tmp_path / "whole.jsonl")
    run(corpus, "-o", tmp_path / "e.jsonl")
    # Make an unfinished job of it, cut in the middle of a line, as a power cut would.
    documents = [Document.from_dict(json.loads(line)) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    from eventx import writing

    lines = [writing.json_line({"derived": True, "document": d.to_dict(with_text=True)}) for d in documents[:3]]
    (tmp_path / "e.jsonl").unlink()
    assert run(corpus, "-o", tmp_path / "e.jsonl", "--resume").exit_code == 1
    partial = tmp_path / "f.jsonl.partial"
    partial.write_text('{"job": {"model": "another"}}\n' + "".join(lines))
    result = run(corpus, "-o", tmp_path / "f.jsonl", "--resume")
    assert result.exit_code == 2
    assert "was begun with another model" in result.stderr
    assert run(corpus, "-o", tmp_path / "f.jsonl").exit_code == 2
    assert "unfinished job" in run(corpus, "-o", tmp_path / "f.jsonl").stderr


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_killing_it_loses_and_doubles_nothing(corpus, tmp_path, tiny_folder, run, hearing_sigint, blow, workers):
    lines = corpus.read_text() * 30
    corpus.write_text(lines)
    run(corpus, "-o", tmp_path / "whole.csv")
    output = tmp_path / "e.csv"
    command = [sys.executable, "-m", "eventx", "tag", str(corpus), "-o", str(output), "--model", str(tiny_folder)]
    command += ["--workers", str(workers), "--resume"]
    kills, step = 0, 400_000
    for _ in range(20):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        partial = tmp_path / "e.csv.partial"
        size, deadline = partial.stat().st_size if partial.exists() else 0, time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
            if kills < 4 and partial.exists() and partial.stat().st_size > size + step:
                process.send_signal(blow)
                kills += 1
                break
        process.wait(timeout=60)
        if blow == signal.SIGINT and process.returncode == 130:
            with output.open(newline="", encoding="utf-8") as file:  # whole rows of what is done
                assert all(None not in row.values() for row in csv.DictReader(file))
        if process.returncode in (0, 1):
            break
    assert kills >= 2
    assert output.read_text() == (tmp_path / "whole.csv").read_text()
    assert not partial.exists()


def test_a_job_killed_before_its_first_line_was_out_loses_nothing(run, corpus, tmp_path):
    output = tmp_path / "out.jsonl"
    (tmp_path / "out.jsonl.partial").write_bytes(b"")
    assert run(corpus, "-o", output, "--resume").exit_code == 1  # two documents have no text
    assert ids(output) == WANTED


def test_documents_in_a_folder_never_take_each_others_files(run, tmp_path, seeds):
    names = ["r", "r", "r-2", "R", "failures", "../x"]
    lines = [{"id": name, "text": seeds[at % 5].read_text("utf-8")} for at, name in enumerate(names)]
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in [*lines, {"id": "none", "text": ""}])
    )
    output = tmp_path / "out"
    output.mkdir()
    assert run(tmp_path / "in.jsonl", "-o", output, "-f", "jsonl").exit_code == 1
    made = sorted(output.glob("*.jsonl"))
    assert output / "failures.jsonl" in made
    assert sorted(ids(place)[0] for place in made if place.name != "failures.jsonl") == sorted(names)
    before = {place: place.read_bytes() for place in made}
    assert run(tmp_path / "in.jsonl", "-o", output, "-f", "jsonl", "--resume").exit_code == 0
    assert before == {place: place.read_bytes() for place in sorted(output.glob("*.jsonl"))}


@pytest.mark.slow
def test_a_worker_that_dies_is_told_in_a_line(tiny_folder):
    items = (Input(str(at), str(at), "Troops stormed the town.") for at in range(500))
    results = tagged(items, load(tiny_folder), model=str(tiny_folder), workers=2)
    assert next(results).source == "0"
    for worker in multiprocessing.active_children():
        worker.kill()
    with pytest.raises(JobError, match="--resume with fewer --workers"):
        list(results)


def test_fewer_inputs_than_were_done_are_told():
    items = [Input(str(at), str(at), "text") for at in range(3)]
    with pytest.raises(JobError, match="there are fewer"):
        list(following(items, 5, "4"))
    assert [item.id for item in following(items, 2, "1")] == ["2"]
    assert list(following([], 0, "")) == []
