"""The command line as users meet it: output, error lines, exit codes."""

import io
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from eventx.cli import app


@pytest.fixture
def run(tiny_folder, monkeypatch):
    """Return a function that runs `eventx` and gives its result; `tag` uses the tiny model."""

    def call(*arguments, stdin=None):
        words = [str(argument) for argument in arguments]
        if words[0] == "tag" and "--model" not in words:
            words += ["--model", str(tiny_folder)]
        return CliRunner().invoke(app, words, input=stdin)

    return call


@pytest.fixture
def article(tmp_path, seeds):
    """Return a copy of a seed article."""
    file = tmp_path / "news item.txt"
    file.write_bytes(seeds[0].read_bytes())
    return file


def test_jsonl_is_the_promised_document(run, article):
    result = run("tag", article, "--format", "jsonl")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    document = json.loads(line)
    text = article.read_bytes().decode()
    assert list(document) == ["id", "source", "chars", "chars_read", "model", "events"]
    assert document["id"] == "news item"
    assert document["source"] == str(article)
    assert document["chars"] == document["chars_read"] == len(text)
    assert document["events"]
    for event in document["events"]:
        assert list(event) == ["type", "trigger", "start", "end", "score", "modality", "sentence", "cue"]
        assert text[event["start"] : event["end"]] == event["trigger"]
        assert event["sentence"]["start"] <= event["start"] < event["end"] <= event["sentence"]["end"]


def events_of(result):
    return [event for line in result.stdout.splitlines() for event in json.loads(line)["events"]]


def test_less_sure_events_can_be_left_out(run, article):
    every = events_of(run("tag", article, "--format", "jsonl"))
    cut = sorted(event["score"] for event in every)[len(every) // 2]
    assert events_of(run("tag", article, "--format", "jsonl", "--min-score", cut)) == [
        event for event in every if event["score"] >= cut
    ]
    precise = events_of(run("tag", article, "--format", "jsonl", "--min-precision", 0.9))
    assert precise == [event for event in every if event["score"] >= 0.6]


def test_a_precision_that_the_model_never_had_is_refused(run, article):
    result = run("tag", article, "--min-precision", 0.99)
    assert result.exit_code == 2
    assert "its table of precisions tells of at most 0.9" in result.stderr


def test_tally_adds_up(run, root, monkeypatch):
    monkeypatch.chdir(root)
    lines = run("tally").stdout.splitlines()
    counts = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]] for row in lines}
    header = counts[""]
    number = lambda row, column: int(counts[row][header.index(column)].replace(",", ""))  # noqa: E731
    assert number("documents", "seeds") == 5
    assert number("mentions", "seeds") == 89
    for column in header:
        types = sum(number(name, column) for name in ("offensive", "airstrike", "flight", "surrender", "warning"))
        assert (
            types == number("mentions", column) == sum(number(n, column) for n in ("asserted", "possible", "negated"))
        )


def test_several_files_keep_their_order(run, seeds):
    result = run("tag", *reversed(seeds), "--format", "jsonl")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [file.stem for file in reversed(seeds)]


def test_json_is_an_array(run, article):
    assert [d["id"] for d in json.loads(run("tag", article, article, "--format", "json").stdout)] == ["news item"] * 2


def test_standard_input(run, article):
    result = run("tag", "-", "--format", "jsonl", stdin=article.read_bytes())
    document = json.loads(result.stdout)
    assert (document["id"], document["source"]) == ("stdin", "-")
    assert document["events"] == json.loads(run("tag", article, "--format", "jsonl").stdout)["events"]


def test_view_shows_triggers_and_table(run, article):
    result = run("tag", article)
    assert result.exit_code == 0
    assert "warned" in result.stdout
    assert "\x1b" not in result.stdout


BAD = {
    "missing": None,
    "empty.txt": b"",
    "blank.txt": b" \n\n",
    "binary.txt": b"\x7fELF\x00\x01\x02\x00",
    "damaged.txt": "It\u2019s over".encode() + b" \xe9 he said",
    "torn.jsonl": b'{"text": ',
    "torn.txt.gz": b"\x1f\x8b\x08\x00\x00",
    "odd.csv": b"a,b\n1,2\n",
    "no.parquet": b"PAR1 but no more",
    "empty.html": b"<html><body></body></html>",
}


@pytest.mark.parametrize("name", [*BAD, "folder"])
def test_a_bad_input_is_one_line_and_the_others_are_tagged(run, article, tmp_path, name):
    bad = tmp_path / name
    if name == "folder":
        bad.mkdir()
    elif BAD[name] is not None:
        bad.write_bytes(BAD[name])
    result = run("tag", bad, "--format", "jsonl")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert name in result.stderr
    result = run("tag", article, bad, article, "--format", "jsonl")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert "1 input could not be tagged" in result.stderr


def test_no_model_has_its_own_code(run, article):
    result = run("tag", article, "--model", "nowhere")
    assert result.exit_code == 3
    assert result.stderr.splitlines() == ["nowhere: no such model; name a model folder or one of: news-small"]


@pytest.mark.parametrize(
    "arguments", [["tag"], ["tag", "x.txt", "--format", "xml"], ["nonsense"], ["tag", "x.txt", "--threads", "-1"]]
)
def test_wrong_usage_is_code_two(arguments):
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_help_teaches_by_examples(run):
    text = CliRunner().invoke(app, ["tag", "--help"]).stdout
    assert "eventx tag article.txt" in text
    assert "Examples" in text


def test_version(run):
    from eventx import __version__

    assert run("--version").stdout.strip() == f"eventx {__version__}"


def test_calibration_on_two_parts_is_on_the_documents_of_both(run, root, tiny_folder, tmp_path, monkeypatch):
    export = pytest.importorskip("eventx.export", exc_type=ImportError)
    given = []

    def record(model, out, held_out, **others):
        given.append([article.id for article in held_out])
        return export.Quality(0.5, 0.5, 0.2, 0.1)

    monkeypatch.setattr(export, "recalibrate", record)
    files = [word for name in ("seeds", "written") for word in ("--labels", root / "labels" / f"{name}.jsonl")]
    common = ["calibrate", tiny_folder, "-o", tmp_path / "model", *files, "--split", root / "labels" / "split.tsv"]
    for parts in (("written",), ("fold-1",), ("written", "fold-1", "written")):
        result = run(*common, *[word for part in parts for word in ("--part", part)])
        assert result.exit_code == 0, result.output
        assert ("has learnt from the part 'fold-1'" in result.stderr) == ("fold-1" in parts)
        assert "'written'" not in result.stderr
    assert (len(given[0]), len(given[1])) == (200, 1)
    assert given[2] == given[0] + given[1]
    missing = run("calibrate", "nowhere", "-o", tmp_path / "model")
    assert missing.exit_code == 3
    assert missing.stderr.splitlines() == ["nowhere: no such model; name a model folder or one of: news-small"]


def test_check_of_the_committed_labels(run, root, monkeypatch):
    monkeypatch.chdir(root)
    result = run("check")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.startswith("no faults: ")


def test_check_lists_faults(run, root, tmp_path):
    line = json.loads((root / "labels" / "seeds.jsonl").read_text().splitlines()[0])
    line["spans"][0]["label"] = "riot"
    del line["file"]
    (tmp_path / "bad.jsonl").write_text(json.dumps(line) + "\n")
    result = run("check", tmp_path / "bad.jsonl", "--texts", root / "seeds")
    assert result.exit_code == 1
    assert f"{tmp_path / 'bad.jsonl'}:1: " in result.stdout
    assert "unknown type 'riot'" in result.stdout


def test_compile_agree_and_show(run, root, tmp_path):
    notes = root / "labels" / "notes"
    result = run("compile", notes / "settled", "--texts", root / "seeds", "--output", tmp_path / "x.jsonl")
    assert "5 documents" in result.stdout
    assert run("check", tmp_path / "x.jsonl", "--texts", root / "seeds").exit_code == 0
    result = run("agree", notes / "first", notes / "first", "--texts", root / "seeds")
    assert "span and type: F1 1.000" in result.stdout
    assert run("show", root / "seeds" / "nothing.txt").exit_code == 1
    assert run("agree", notes, tmp_path, "--texts", root / "seeds").exit_code == 1


def test_commands_that_train_name_the_extra(root):
    code = "import sys; sys.modules['torch'] = None; from eventx.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "configs/seeds.toml"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith('pip install "eventx[train]"')


def test_python_m_eventx(article, tiny_folder):
    done = subprocess.run(
        [sys.executable, "-m", "eventx", "tag", "-", "--format", "jsonl", "--model", str(tiny_folder)],
        input=article.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert json.load(io.BytesIO(done.stdout))["id"] == "stdin"


def test_a_closed_pipe_is_no_error(seeds, tiny_folder):
    command = (
        f"{sys.executable} -m eventx tag {' '.join(map(str, seeds))} --format jsonl --model {tiny_folder} | head -c 10"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
