"""What correcting marks buys: a reviewer simulated by held-back labels, least sure documents first against random ones.

    python benchmarks/active.py configs/news.toml --texts DIR --output runs/active.jsonl --plot docs/retrain.svg

A model learns from --start documents of the recipe's train parts. It marks the others; a reviewer corrects the marks
of some of them, which here means: their labels are taken, and the marks that differ are counted. The model then goes on
from where it was (`base`) with its own documents and those. Dev, and --held-out documents of the train parts drawn by
lot that no network here sees, say what it gained; a line a run is added to the output as it ends, and runs that stand
there already are not repeated.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from eventx import batches, encode, errors, inference, metrics, network, runs, split, train
from eventx.encode import decode, gather, window_ids
from eventx.labels import Article
from eventx.predictions import Prediction
from eventx.recipe import TrainConfig
from eventx.text import words


def read(place: Path, config: TrainConfig, articles: list[Article]) -> list[Prediction]:
    """Return what a trained network says of articles, with raw scores."""
    net, coding = network.load(place), batches.coding_of(config)
    made = []
    for article in articles:
        coded = encode.encode(article.text or "", coding)
        scores = gather(coded, inference.runner(net)(window_ids(coded, coding)), coding)
        found = decode(scores, net.types, net.modalities, net.transitions())
        made.append(
            Prediction(article.id, article.sha256, tuple(span for span, _ in found), tuple(score for _, score in found))
        )
    return made


def doubt(article: Article, said: Prediction) -> float:
    """Return how unsure a model is of its marks in a document, a word."""
    return sum(min(score, 1 - score) for score in said.scores) / max(1, len(words(article.text or "")))


def corrections(articles: list[Article], said: list[Prediction]) -> int:
    """Return how many marks a reviewer would have to add, take away, move or rename."""
    return len(errors.find(articles, said))


def figures(articles: list[Article], said: list[Prediction], before: list[Prediction] | None) -> dict[str, Any]:
    """Return the F1 of a model on held-out articles, and how it compares with the one before."""
    gold, now = [article.spans for article in articles], [each.spans for each in said]
    record: dict[str, Any] = {"f1": round(metrics.count(gold, now).f1, 4)}
    if before is not None:
        then = [each.spans for each in before]
        record["interval"] = [round(bound, 4) for bound in metrics.difference_interval(gold, then, now)]
        record["p"] = round(metrics.permutation_p(gold, then, now), 5)
    return record


def plot(records: list[dict[str, Any]], place: Path) -> None:
    """Draw gain against marks corrected."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    start = next(record for record in records if record["order"] == "start")
    for order, colour, style in (("unsure", "#0072B2", "o-"), ("random", "#E69F00", "s--")):
        line = sorted(
            (record for record in records if record["order"] == order), key=lambda record: record["corrected"]
        )
        points = [(0, start["f1"]), *((record["corrected"], record["f1"]) for record in line)]
        axes.plot(*zip(*points, strict=True), style, color=colour, label=f"{order} documents first")
        for record in line:
            axes.annotate(
                str(record["documents"]),
                (record["corrected"], record["f1"]),
                fontsize=7,
                xytext=(4, -9),
                textcoords="offset points",
            )
    axes.set_xlabel("marks corrected (documents beside the points)")
    axes.set_ylabel("exact F1 on held-out articles")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(place, metadata={"Date": None})


def main() -> None:  # noqa: PLR0915 - a script told in order
    """Run what is missing, print a table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--start", type=int, default=300)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 300])
    parser.add_argument("--orders", nargs="*", default=["unsure", "random"])
    parser.add_argument("--pool", type=int, default=900)
    parser.add_argument("--held-out", type=int, default=0, help="documents of the train parts to score on beside dev")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/active.jsonl"))
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    config = TrainConfig.read(options.recipe)
    articles, dev = train.articles_of(config, options.texts)
    news = [article for article in articles if article.file is None]
    order = np.random.default_rng(config.seed).permutation(len(news))
    kept = [news[at] for at in order[: options.held_out]]
    groups = {name: entry.group for name, entry in split.read(config.split).items()}
    apart = {groups[article.id] for article in kept}
    rest = [news[at] for at in order[options.held_out :] if groups[news[at].id] not in apart]
    own, pool = rest[: options.start], rest[options.start : options.start + options.pool]
    held_out = [*dev, *kept]
    records = [json.loads(line) for line in options.output.read_text().splitlines()] if options.output.is_file() else []
    done = {(record["order"], record["documents"]) for record in records}
    base = options.output.with_suffix("") / "start"
    runs.settle(
        {
            "recipe": config.to_dict(),
            "labels": runs.label_digest([*articles, *dev]),
            "start": options.start,
            "pool": options.pool,
            "held_out": options.held_out,
            "epochs": options.epochs,
        },
        base.parent / "settings.json",
    )
    todo = [(name, size) for size in options.sizes for name in options.orders if (name, size) not in done]

    def keep(record: dict[str, Any]) -> None:
        records.append(record)
        with options.output.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")

    if todo or not records:
        if not (base / "network.safetensors").is_file():
            train.train_member(dataclasses.replace(config, epochs=8), 1, own, (), base, checkpoints=False)
        before = read(base, config, held_out)
        if not records:
            keep({"order": "start", "documents": 0, "corrected": 0, **figures(held_out, before, None)})
        said = {each.id: each for each in read(base, config, pool)}
        queues = {"unsure": sorted(pool, key=lambda article: -doubt(article, said[article.id])), "random": pool}
        settings = dataclasses.replace(config, base=str(base), epochs=options.epochs, learning_rate=1.5e-4)
    for name, size in todo:
        chosen = queues[name][:size]
        started = time.monotonic()
        place = options.output.with_suffix("") / f"{name}-{size}"
        train.train_member(settings, 1, [*own, *chosen], (), place, checkpoints=False)
        keep(
            {
                "order": name,
                "documents": size,
                "corrected": corrections(chosen, [said[article.id] for article in chosen]),
                **figures(held_out, read(place, config, held_out), before),
                "seconds": round(time.monotonic() - started),
            }
        )
        shutil.rmtree(place)
    print("| order | documents | marks corrected | F1 | gain (95% interval) | p |\n|---|---|---|---|---|---|")
    start = next(record for record in records if record["order"] == "start")
    for record in sorted(records, key=lambda each: (each["documents"], each["order"])):
        gain = f"{record['f1'] - start['f1']:+.3f}"
        told = (
            f"{gain} ({record['interval'][0]:+.3f} to {record['interval'][1]:+.3f}) | {record['p']:.4f}"
            if "p" in record
            else "- | -"
        )
        print(f"| {record['order']} | {record['documents']} | {record['corrected']} | {record['f1']:.3f} | {told} |")
    if options.plot:
        plot(records, options.plot)


if __name__ == "__main__":
    main()
