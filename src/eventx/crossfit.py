"""Cross-fitting: what models that did not learn from a document say of it, for every labelled document.

Folds are drawn by near-duplicate group; each fold is read by networks trained on all others, one a seed. Runs are
independent and can share a machine's cores, or one GPU. Used to find label errors and to calibrate scores. The networks
are kept as a run whose members `distil` takes as teachers.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eventx import batches, inference, labels, network, runs, train
from eventx import split as splits
from eventx.encode import WordScores, decode, encode
from eventx.labels import Article
from eventx.recipe import TrainConfig
from eventx.schema import MODALITIES
from eventx.spans import Span
from eventx.split import Assignment


@dataclass(frozen=True, slots=True)
class Reading:
    """What held-out networks say of one document.

    Attributes:
        id: of the document.
        seeds: the spans that each network marks, with raw scores.
        ensemble: the spans of the mean of their word probabilities, with raw scores.
    """

    id: str
    seeds: tuple[tuple[tuple[Span, float], ...], ...]
    ensemble: tuple[tuple[Span, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the reading as plain JSON values."""

        def plain(spans: Sequence[tuple[Span, float]]) -> list[dict[str, Any]]:
            return [{**dataclasses.asdict(span), "score": round(score, 4)} for span, score in spans]

        return {"id": self.id, "seeds": [plain(spans) for spans in self.seeds], "ensemble": plain(self.ensemble)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Reading:
        """Build a reading from what `to_dict` gave."""

        def spans(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[Span, float], ...]:
            return tuple((Span(r["start"], r["end"], r["label"], r["modality"]), float(r["score"])) for r in rows)

        return cls(value["id"], tuple(spans(rows) for rows in value["seeds"]), spans(value["ensemble"]))


def draw_folds(
    articles: Sequence[Article], split: Mapping[str, Assignment], count: int, *, seed: int = 0
) -> dict[str, int]:
    """Draw folds by near-duplicate group: document id -> fold, from 0."""
    groups = sorted({split[article.id].group for article in articles})
    np.random.default_rng(seed).shuffle(groups)
    fold_of = {group: at % count for at, group in enumerate(groups)}
    return {article.id: fold_of[split[article.id].group] for article in articles}


def crossfit(
    config: TrainConfig,
    articles: Sequence[Article],
    fold_of: Mapping[str, int],
    *,
    beside: Sequence[Article] = (),
    keep: Path,
    seeds: int = 3,
    jobs: int = 1,
    report: Callable[[str], None] = lambda line: None,
) -> list[Reading]:
    """Read every article with networks that did not learn from it: one a seed, or all where nobody learns from it.

    All networks begin with the same heads; order and dropout depend on the seed. Those that stand in `keep` already are
    not trained again.

    Args:
        config: how to train; its parts are not looked at.
        articles: labelled texts.
        fold_of: document id -> fold.
        beside: articles that nobody learns from and everybody reads.
        keep: the run folder for the networks, fold by fold within each seed.
        seeds: networks a fold.
        jobs: how many are trained at a time.
        report: called with a line a network.

    Returns:
        A reading an article, in their order, then one for each of `beside`.
    """
    numbers = sorted(set(fold_of.values()))
    tasks = [
        _Task(config, articles, beside, fold_of, number, seed, keep / f"member-{1 + len(numbers) * seed + number}")
        for seed in range(seeds)
        for number in numbers
    ]
    runs.settle(dataclasses.replace(config, members=len(tasks)).to_dict(), keep / "run.json", config.defaults())
    folds = json.dumps(sorted(fold_of.items())).encode()
    runs.settle(
        {"labels": runs.label_digest(articles), "folds": labels.digest(folds), "seeds": seeds}, keep / "folds.json"
    )
    said: dict[str, list[WordScores]] = {article.id: [] for article in [*articles, *beside]}
    for done, (_, scores) in enumerate(parallel(_held_out, tasks, jobs), 1):
        for name, value in scores.items():
            said[name].append(value)
        report(f"{done}/{len(tasks)} networks trained")
    return [_reading(article.id, said[article.id], config.schema.types) for article in [*articles, *beside]]


def of_recipe(
    config: TrainConfig,
    texts: Path | None,
    *,
    keep: Path,
    folds: int,
    seeds: int,
    jobs: int,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[list[Reading], list[Sequence[Span]], int]:
    """Cross-fit a recipe's train parts, and read its dev part and `test` beside them.

    Returns:
        The readings, the gold spans of each of their documents, and how many of these were folded: the first ones.

    Raises:
        LabelError: as `train.articles_of` does.
    """
    split = splits.read(config.split)
    labelled = [
        article.id for path in config.labels for article in labels.read(path, need_text=False, schema=config.schema)
    ]
    known = {split[name].part for name in labelled if name in split}
    names = [*config.train, *sorted({config.dev, "test"} & known - set(config.train))]
    parts = labels.read_parts(config.labels, config.split, names, texts=texts, schema=config.schema)
    articles = [article for name in config.train for article in parts[name]]
    beside = [article for name in names if name not in config.train for article in parts[name]]
    fold_of = draw_folds(articles, split, folds, seed=config.seed)
    readings = crossfit(config, articles, fold_of, beside=beside, keep=keep, seeds=seeds, jobs=jobs, report=report)
    return readings, [article.spans for article in [*articles, *beside]], len(articles)


def parallel(function: Callable[[Any], Any], tasks: Sequence[Any], jobs: int) -> Iterator[tuple[int, Any]]:
    """Yield (task number, result) of each task as it ends; `jobs` processes, forked before any GPU is touched."""
    if jobs <= 1:
        for at, task in enumerate(tasks):
            yield at, function(task)
        return
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork"), initializer=_one_thread) as pool:
        futures = {pool.submit(function, task): at for at, task in enumerate(tasks)}
        for future in as_completed(futures):
            yield futures[future], future.result()


def write(readings: Sequence[Reading], place: Path) -> None:
    """Write readings as JSON Lines."""
    lines = [json.dumps(reading.to_dict(), ensure_ascii=False) for reading in readings]
    place.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(place: Path) -> list[Reading]:
    """Read what `write` wrote."""
    return [Reading.from_dict(json.loads(line)) for line in place.read_text(encoding="utf-8").splitlines()]


def mean(scores: Sequence[WordScores]) -> WordScores:
    """Return the mean of the probabilities that several networks give a text's words."""
    tags = np.log(np.mean([np.exp(each.tags) for each in scores], axis=0) + 1e-12)
    return WordScores(scores[0].words, tags, np.mean([each.modalities for each in scores], axis=0))


def _one_thread() -> None:
    """Give a worker one thread: two networks of one thread train faster than one of two."""
    import torch

    torch.set_num_threads(1)


@dataclass(frozen=True, slots=True)
class _Task:
    """A network to train on all folds but one, and to read that one with."""

    config: TrainConfig
    articles: Sequence[Article]
    beside: Sequence[Article]
    fold_of: Mapping[str, int]
    held_out: int
    seed: int
    place: Path


def _held_out(task: _Task) -> dict[str, WordScores]:
    """Train on all folds but one and read that one."""
    config = dataclasses.replace(task.config, members=1, dev="")
    if not (task.place / "network.safetensors").is_file():
        learnt = [article for article in task.articles if task.fold_of[article.id] != task.held_out]
        train.train_member(config, 1 + task.seed, learnt, (), task.place, checkpoints=False)
    net = network.load(task.place).to(inference.device())
    asked = [*(article for article in task.articles if task.fold_of[article.id] == task.held_out), *task.beside]
    coding = batches.coding_of(config)
    encoded = [encode(article.text or "", coding) for article in asked]
    found = inference.predict_all(net, coding, encoded, bf16=inference.use_bf16(config.precision))
    return {article.id: scores for article, (_, scores) in zip(asked, found, strict=True)}


def _reading(name: str, scores: Sequence[WordScores], types: Sequence[str]) -> Reading:
    """Decode what each network says, and what they say together."""
    modalities = list(MODALITIES)
    each = tuple(tuple(decode(one, types, modalities)) for one in scores)
    return Reading(name, each, tuple(decode(mean(scores), types, modalities)))
