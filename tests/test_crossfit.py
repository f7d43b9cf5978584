"""Cross-fitting: folds respect groups, nobody reads what they learnt, readings survive being written."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:::torch", "ignore:::multiprocessing", "ignore::DeprecationWarning")

from eventx import crossfit, labels, recipe  # noqa: E402
from eventx.encode import WordScores  # noqa: E402
from eventx.spans import Span  # noqa: E402
from eventx.split import Assignment  # noqa: E402


def article(name):
    return labels.Article(name, "", 0, (), ())


def test_a_group_is_never_parted():
    split = {f"d{at}": Assignment(f"g{at // 3}", "train") for at in range(60)}
    fold_of = crossfit.draw_folds([article(name) for name in split], split, 5, seed=1)
    assert set(fold_of.values()) == set(range(5))
    for at in range(0, 60, 3):
        assert len({fold_of[f"d{at + step}"] for step in range(3)}) == 1
    sizes = np.bincount(list(fold_of.values()))
    assert sizes.max() - sizes.min() <= 3


def test_the_mean_is_of_probabilities():
    words = [(0, 1)]
    one, two = (
        WordScores(words, np.log(np.array([row], np.float32)), np.array([row[:1]])) for row in ([0.9, 0.1], [0.5, 0.5])
    )
    assert np.exp(crossfit.mean([one, two]).tags) == pytest.approx(np.array([[0.7, 0.3]]), abs=1e-5)


def test_readings_survive_being_written(tmp_path):
    marked = (Span(0, 4, "flight", "possible"), 0.5)
    reading = crossfit.Reading("a", ((marked,), ()), (marked,))
    crossfit.write([reading, reading], tmp_path / "r.jsonl")
    assert crossfit.read(tmp_path / "r.jsonl") == [reading, reading]


def double(value):
    return 2 * value


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_task_is_done_once(jobs):
    assert sorted(crossfit.parallel(double, [5, 6, 7, 8], jobs)) == [(0, 10), (1, 12), (2, 14), (3, 16)]


@pytest.mark.slow
def test_the_seeds_are_read_by_networks_that_do_not_know_them(root, monkeypatch, tmp_path):
    learnt = []
    original = crossfit.train.train_member

    def spy(config, number, articles, *rest, **options):
        learnt.append({each.id for each in articles})
        return original(config, number, articles, *rest, **options)

    monkeypatch.setattr(crossfit.train, "train_member", spy)
    config = recipe.TrainConfig.read(root / "tests" / "data" / "tiny.toml")
    config = recipe.TrainConfig.from_dict({**config.to_dict(), "epochs": 2})
    readings, gold, own = crossfit.of_recipe(config, None, keep=tmp_path, folds=5, seeds=2, jobs=1)
    assert len(readings) == len(gold) == own == 5
    assert all(len(reading.seeds) == 2 for reading in readings)
    assert len(learnt) == 10
    assert all(len(ids) == 4 for ids in learnt)
    assert set.intersection(*learnt) == set()
    again, _, _ = crossfit.of_recipe(config, None, keep=tmp_path, folds=5, seeds=2, jobs=1)
    assert again == readings
    assert len(learnt) == 10
    with pytest.raises(recipe.RecipeError, match="another recipe"):
        crossfit.of_recipe(config, None, keep=tmp_path, folds=4, seeds=2, jobs=1)
    with pytest.raises(recipe.RecipeError, match="other labels"):  # as many networks, of other folds
        crossfit.of_recipe(config, None, keep=tmp_path, folds=2, seeds=5, jobs=1)
