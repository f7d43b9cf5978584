"""Run folders: what may go on, what may not, and what a new run leaves of an old one."""

import dataclasses
import json

import pytest

from eventx import labels, runs
from eventx.recipe import RecipeError


@pytest.fixture
def articles(root):
    return labels.read(root / "labels" / "seeds.jsonl")


def test_a_digest_of_labels_knows_every_mark_and_no_order(articles):
    digest = runs.label_digest(articles)
    assert runs.label_digest(articles[::-1]) == digest
    fewer = dataclasses.replace(articles[0], spans=articles[0].spans[1:], triggers=articles[0].triggers[1:])
    assert runs.label_digest([fewer, *articles[1:]]) != digest


def test_what_decides_a_run_may_not_change(tmp_path):
    place = tmp_path / "new" / "values.json"
    runs.settle({"seed": 1, "parts": ("a", "b")}, place)
    runs.settle({"seed": 1, "parts": ["a", "b"]}, place)
    with pytest.raises(RecipeError, match="another recipe or of other labels"):
        runs.settle({"seed": 2, "parts": ["a", "b"]}, place)
    assert json.loads(place.read_text())["seed"] == 1
    for wanted in (0, 9):
        values = {"seed": 1, "parts": ["a", "b"], "layers": wanted}  # a key that is newer than the run
        if wanted:
            with pytest.raises(RecipeError, match="another recipe"):
                runs.settle(values, place, {"layers": 0, "seed": 5})
        else:
            runs.settle({**values, "layers": 0}, place, {"layers": 0, "seed": 5})
            place.write_text(json.dumps({"seed": 1, "parts": ["a", "b"]}))


def test_a_new_run_takes_away_what_a_finished_one_left(tiny_config, articles, tmp_path):
    runs.settle_training(tiny_config, articles, tmp_path, resume=False)
    assert runs.read_run(tmp_path) == tiny_config
    for name in ("history.json", "network.safetensors", "member-2/network.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    other = dataclasses.replace(tiny_config, seed=9)
    runs.settle_training(other, articles, tmp_path, resume=False)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["labels.json", "run.json"]
    assert runs.read_run(tmp_path) == other


def test_a_run_goes_on_with_the_same_labels_alone(tiny_config, articles, tmp_path):
    with pytest.raises(RecipeError, match="no checkpoint to resume"):
        runs.settle_training(tiny_config, articles, tmp_path, resume=True)
    runs.settle_training(tiny_config, articles, tmp_path, resume=False)
    (tmp_path / "checkpoints" / "checkpoint-3").mkdir(parents=True)
    with pytest.raises(RecipeError, match="unfinished run"):
        runs.settle_training(tiny_config, articles, tmp_path, resume=False)
    with pytest.raises(RecipeError, match="other labels"):
        runs.settle_training(tiny_config, articles[1:], tmp_path, resume=True)
    runs.settle_training(tiny_config, articles, tmp_path, resume=True)


def test_a_folder_without_a_run_is_told(tmp_path):
    with pytest.raises(RecipeError, match=r"no run\.json"):
        runs.read_run(tmp_path)
