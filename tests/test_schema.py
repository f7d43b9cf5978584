"""Types of one's own: schema files are strict, recipes carry them, and a sixth type goes all the way to a model."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from eventx import labels
from eventx.cli import app
from eventx.recipe import RecipeError, TrainConfig
from eventx.schema import SHIPPED, Schema, SchemaError, tags

SIX = SHIPPED.to_toml() + 'ceasefire = "the sides agree to stop fighting, or stop"\n'


def test_the_committed_schema_file_is_the_shipped_schema(root):
    made = Schema.read(root / "configs" / "schema.toml")
    assert made == SHIPPED
    assert made.definitions == SHIPPED.definitions


def test_reading_and_writing_are_inverse(tmp_path):
    (tmp_path / "s.toml").write_text(SIX)
    six = Schema.read(tmp_path / "s.toml")
    assert six.types == (*SHIPPED.types, "ceasefire")
    (tmp_path / "t.toml").write_text(six.to_toml())
    assert Schema.read(tmp_path / "t.toml").to_dict() == six.to_dict() == Schema.from_dict(six.to_dict()).to_dict()
    assert six != SHIPPED
    assert tags(six.types)[:11] == tags(SHIPPED.types)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "expected one table"),
        ("types = 3", "expected one table"),
        ("[types]", "expected one table"),
        ('[types]\na = "x"\n[more]\nb = 1', "holds types, more"),
        ("[types]\na = 1", "expected its definition"),
        ('[types]\n"a:b" = "x"', "cannot name a type"),
        ("[types", "not a TOML file"),
    ],
)
def test_a_faulty_schema_file_is_refused_by_name(tmp_path, text, what):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(SchemaError, match=what) as caught:
        Schema.read(tmp_path / "s.toml")
    assert str(caught.value).startswith(str(tmp_path / "s.toml"))


@pytest.fixture
def project(tmp_path, root):
    """Return a folder with a schema file, labels of six types, a split and a recipe."""
    (tmp_path / "six.toml").write_text(SIX)
    sentences = {
        "flight": "Families fled the town on {}.",
        "airstrike": "Jets bombed the depot on {}.",
        "ceasefire": "The sides agreed a truce on {}.",
    }
    triggers = {"flight": "fled", "airstrike": "bombed", "ceasefire": "truce"}
    rows = ["id\tgroup\tpart"]
    articles = []
    days = ("Monday", "Tuesday", "Friday", "Sunday")
    for number, day in enumerate(days):
        text = " ".join(sentence.format(day) for sentence in sentences.values())
        spans = [labels.Span(text.index(word), text.index(word) + len(word), name) for name, word in triggers.items()]
        (tmp_path / f"d{number}.txt").write_bytes(text.encode())
        articles.append(
            labels.Article(
                f"d{number}", labels.digest(text.encode()), len(text), tuple(spans), tuple(triggers.values()), text
            )
        )
        rows.append(f"d{number}\td{number}\t{'train' if number < 3 else 'dev'}")
    labels.write([dataclasses.replace(a, file=f"{a.id}.txt") for a in articles], tmp_path / "mine.jsonl")
    (tmp_path / "split.tsv").write_text("\n".join(rows) + "\n")
    tiny = (root / "tests" / "data" / "tiny.toml").read_text().splitlines()
    kept = [line for line in tiny if line.split(" = ")[0] not in ("labels", "split", "train", "encoder", "epochs")]
    encoder = root / "tests" / "data" / "encoder"
    own = f'labels = ["mine.jsonl"]\nsplit = "split.tsv"\ntrain = ["train"]\nencoder = {json.dumps(str(encoder))}\n'
    (tmp_path / "recipe.toml").write_text("\n".join([own, 'schema = "six.toml"\nepochs = 60', *kept]) + "\n")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_label_file_with_an_unknown_type_says_what_to_do(project):
    result = run("check", project / "mine.jsonl")
    assert result.exit_code == 1
    first = result.stdout.splitlines()[0]
    assert "mine.jsonl:1: " in first
    assert "unknown type 'ceasefire'" in first
    assert "--schema" in first
    good = run("check", project / "mine.jsonl", "--schema", project / "six.toml")
    assert (good.exit_code, good.stdout.splitlines()[0][:31]) == (0, "no faults: 4 documents, 12 ment")
    assert run("check", project / "mine.jsonl", "--schema", project / "no.toml").exit_code == 1


def test_an_own_type_is_converted_where_the_schema_has_it(project):
    refused = run("convert", project / "mine.jsonl", project / "out")
    assert (refused.exit_code, "--schema" in refused.stderr) == (1, True)
    own = ("--schema", project / "six.toml")
    assert run("convert", project / "mine.jsonl", project / "out", *own).exit_code == 0
    assert "ceasefire\n" in (project / "out" / "annotation.conf").read_text()
    assert run("convert", project / "out", project / "back.jsonl", *own).exit_code == 0
    six = Schema.read(project / "six.toml")
    there, back = (labels.read(project / name, schema=six) for name in ("mine.jsonl", "back.jsonl"))
    assert [each.spans for each in back] == [each.spans for each in there]


def test_tally_counts_the_own_type(project):
    options = ("--split", project / "split.tsv", "--schema", project / "six.toml")
    lines = run("tally", project / "mine.jsonl", *options).stdout.splitlines()
    assert [line for line in lines if "ceasefire" in line] == ["| ceasefire | 3 | 1 | 4 |"]


def test_a_recipe_keeps_what_its_schema_file_said(project):
    config = TrainConfig.read(project / "recipe.toml")
    assert config.schema.types[-1] == "ceasefire"
    (project / "six.toml").unlink()
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(RecipeError, match="no such schema file"):
        TrainConfig.read(project / "recipe.toml")


def test_a_recipe_without_a_schema_is_of_the_shipped_types(root):
    config = TrainConfig.read(root / "configs" / "news.toml")
    assert config.schema == SHIPPED
    old = {key: value for key, value in config.to_dict().items() if key != "schema"}
    assert TrainConfig.from_dict(old) == config


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::torch", "ignore:::copyreg", "ignore:::onnx", "ignore::FutureWarning")
def test_a_sixth_type_is_trained_exported_tagged_and_scored(project, tmp_path, tiny_folder):
    pytest.importorskip("torch")
    place = tmp_path / "run"
    trained = run("train", project / "recipe.toml", "--run", place)
    assert trained.exit_code == 0, trained.output
    article = project / "d0.txt"
    tagged = run("tag", article, "--model", place / "model", "--format", "jsonl")
    events = json.loads(tagged.stdout)["events"]
    assert {event["type"] for event in events} == {"flight", "airstrike", "ceasefire"}
    assert {event["trigger"] for event in events if event["type"] == "ceasefire"} == {"truce"}
    options = ("--labels", project / "mine.jsonl", "--split", project / "split.tsv", "--part", "dev")
    scored = run("evaluate", "--model", place / "model", *options)
    assert scored.exit_code == 0, scored.output
    assert "F1 ceasefire" in scored.stdout
    old = run("evaluate", "--model", tiny_folder, *options, "--schema", project / "six.toml")
    assert old.exit_code == 0, old.output
    refused = run("evaluate", "--model", tiny_folder, *options)
    assert (refused.exit_code, "--schema" in refused.stderr) == (1, True)
    again = run("export", place, "--output", tmp_path / "again")
    assert again.exit_code == 0, again.output
