"""Recipes: read strictly, and whole again from what they wrote."""

import pytest

from eventx.recipe import DistilConfig, PretrainConfig, RecipeError, TrainConfig


def write(tmp_path, text):
    (tmp_path / "c.toml").write_text(text)
    return tmp_path / "c.toml"


GOOD = 'labels = ["a.jsonl"]\nsplit = "s.tsv"\ntrain = ["train"]\n'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (GOOD + "epoch = 3\n", "unknown key 'epoch'; did you mean epochs"),
        (GOOD + 'epochs = "three"\n', "epochs is 'three', expected a whole number"),
        (GOOD + "epochs = 2.5\n", "expected a whole number"),
        (GOOD + "crf = 1\n", "expected true or false"),
        (GOOD + "learning_rate = true\n", "expected a number"),
        (GOOD + 'pieces = "last"\n', 'use "all" or "first"'),
        (GOOD + "crf = true\n", 'crf needs pieces = "first"'),
        (GOOD + 'dev = "train"\n', "also learnt from"),
        (GOOD + "overlap = 300\n", "must be less than window"),
        ('labels = ["a.jsonl"]\ntrain = ["train"]\n', "the key 'split' is missing"),
        ('labels = "a.jsonl"\n', "expected a list of strings"),
        ("= 1", "not a TOML file"),
    ],
)
def test_a_bad_configuration_is_refused(tmp_path, text, what):
    with pytest.raises(RecipeError, match=r"c\.toml: ") as caught:
        TrainConfig.read(write(tmp_path, text))
    assert what in str(caught.value)


def test_a_missing_configuration_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="no such configuration file"):
        TrainConfig.read(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["news.toml", "seeds.toml", "written.toml", "teacher.toml", "teacher-2.toml"])
def test_the_committed_configurations_are_sound(root, name):
    config = TrainConfig.read(root / "configs" / name)
    assert all(path.is_file() for path in config.labels)
    assert config.dev not in config.train


@pytest.mark.parametrize("name", ["distil.toml", "student.toml", "third.toml", "fourth.toml", "fifth.toml"])
def test_the_committed_lessons_are_sound(root, name):
    config = DistilConfig.read(root / "configs" / name)
    assert {place.parent.resolve() for place in config.teachers} == {root / "runs"}


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        (TrainConfig, GOOD + "keep = 1.0\n", "a share from 0 to less than 1"),
        (TrainConfig, GOOD + "lead = 260\n", "it must be less than window"),
        (PretrainConfig, "masked = 1.5\n", "a share between 0 and 1"),
        (PretrainConfig, 'labels = ["a.jsonl"]\n', "unknown key 'labels'"),
        (PretrainConfig, 'precision = "fp8"\n', "precision is 'fp8'"),
        (DistilConfig, "epochs = 1\n", "the key 'teachers' is missing"),
        (DistilConfig, 'teachers = "r"\n', "teachers is 'r', expected a list of strings"),
        (DistilConfig, "teachers = []\n", "name run folders"),
        (DistilConfig, 'teachers = ["r"]\nweights = [1.0, 2.0]\n', "one for each run"),
        (DistilConfig, 'teachers = ["r"]\nweights = ["a"]\n', "expected a list of numbers"),
        (DistilConfig, 'teachers = ["r"]\nweights = [0.0]\n', "only the first may be 0, beside others"),
        (DistilConfig, 'teachers = ["r", "s"]\nweights = [1.0, 0.0]\n', "only the first may be 0"),
        (DistilConfig, 'teachers = ["r"]\nlayers = -1\n', "layers is -1"),
        (DistilConfig, 'teachers = ["r"]\nteacher_windows = [128, 256]\n', "a window for each run"),
        (DistilConfig, 'teachers = ["r"]\nwindow = -1\n', "window is -1"),
        (DistilConfig, 'teachers = ["r"]\ndocuments = 4\n', "expected a list of whole numbers"),
        (DistilConfig, 'teachers = ["r"]\ndocuments = [0.5]\n', "expected a list of whole numbers"),
        (DistilConfig, 'teachers = ["r"]\nkeep = 1.0\n', "a share from 0 to less than 1"),
        (DistilConfig, 'teachers = ["r"]\nstart = "encoder"\nkeep = 0.2\n', "keep needs weights to begin with"),
    ],
)
def test_other_recipes_are_as_strict(tmp_path, kind, text, what):
    with pytest.raises(RecipeError, match=r"c\.toml: ") as caught:
        kind.read(write(tmp_path, text))
    assert what in str(caught.value)


def test_a_recipe_survives_being_written(root, tmp_path):
    for config in (
        TrainConfig.read(root / "configs" / "news.toml"),
        DistilConfig.read(write(tmp_path, 'teachers = ["run"]\nrepeat = 7\n')),
        PretrainConfig(masked=0.3),
    ):
        assert type(config).from_dict(config.to_dict()) == config


def test_paths_are_relative_to_the_recipe(tmp_path):
    (tmp_path / "encoder").mkdir()
    config = TrainConfig.read(write(tmp_path, GOOD + 'encoder = "encoder"\n'))
    assert config.encoder == str(tmp_path / "encoder")
    assert config.labels == (tmp_path / "a.jsonl",)
