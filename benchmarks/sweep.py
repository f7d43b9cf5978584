"""Train variants of a recipe with several seeds and print what each scores on the dev part: mean, spread, and together.

    python benchmarks/sweep.py configs/news.toml VARIANTS.toml --texts DIR --jobs 2 --output results.jsonl

VARIANTS.toml holds `seeds = [1, 2, 3]` and a table a variant, whose keys replace those of the recipe; the key
`documents` instead trains on that many documents, drawn anew with each seed (a learning curve). A line a run is added
to the output as it ends; runs that stand there already are not repeated. The column "together" scores the mean of the
seeds' probabilities.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from eventx import batches, crossfit, inference, metrics, network, train
from eventx.encode import decode, encode
from eventx.recipe import RecipeError, TrainConfig
from eventx.schema import MODALITIES


def run(task: tuple[str, int, TrainConfig, list[Any], list[Any]]) -> tuple[dict[str, Any], list[Any]]:
    """Train one network; return its record and what it says of each dev word."""
    name, seed, config, articles, dev = task
    config = dataclasses.replace(config, seed=seed, members=1)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        epochs = train.train_member(config, 1, articles, dev, Path(place), checkpoints=False)
        net = network.load(Path(place)).to(inference.device())
    found = inference.predict_all(
        net, batches.coding_of(config), [encode(a.text or "", batches.coding_of(config)) for a in dev]
    )
    gold = [article.spans for article in dev]
    record = {
        "variant": name,
        "seed": seed,
        "documents": len(articles),
        "f1": metrics.count(gold, [spans for spans, _ in found]).f1,
        "by_type": {k: v.f1 for k, v in metrics.by_type(gold, [spans for spans, _ in found]).items()},
        "epochs": [epoch["dev_f1"] for epoch in epochs],
        "seconds": round(time.monotonic() - started, 1),
    }
    return record, [scores for _, scores in found]


def table(records: list[dict[str, Any]], together: dict[str, float], names: tuple[str, ...]) -> list[str]:
    """Return a Markdown table, a row a variant."""
    lines = [
        f"| variant | runs | F1 mean (lowest-highest) | together | {' | '.join(names)} |",
        f"|{'---|' * (4 + len(names))}",
    ]
    for name in dict.fromkeys(record["variant"] for record in records):
        runs = [record for record in records if record["variant"] == name]
        scores = [record["f1"] for record in runs]
        types = [f"{statistics.mean(record['by_type'].get(t, 0.0) for record in runs):.3f}" for t in names]
        joint = f"{together[name]:.3f}" if name in together else "-"
        lines.append(
            f"| {name} | {len(runs)} | {statistics.mean(scores):.3f} ({min(scores):.3f}-{max(scores):.3f}) | {joint} | "
            f"{' | '.join(types)} |"
        )
    return lines


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("variants", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("runs/sweep.jsonl"))
    options = parser.parse_args()
    try:
        base = TrainConfig.read(options.recipe)
        articles, dev = train.articles_of(base, options.texts)
    except (RecipeError, ValueError) as error:
        sys.exit(str(error))
    values = tomllib.loads(options.variants.read_text(encoding="utf-8"))
    seeds = values.pop("seeds", [1, 2, 3])
    records = [json.loads(line) for line in options.output.read_text().splitlines()] if options.output.is_file() else []
    done = {(record["variant"], record["seed"]) for record in records}
    tasks = []
    for seed in seeds:
        for name, changes in values.items():
            size = changes.get("documents", len(articles))
            order = np.random.default_rng(seed).permutation(len(articles))[:size]
            learnt = [articles[at] for at in sorted(order)]
            config = dataclasses.replace(base, **{k: v for k, v in changes.items() if k != "documents"})
            if (name, seed) not in done:
                tasks.append((name, seed, config, learnt, dev))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    said: dict[str, list[list[Any]]] = {}
    for at, (record, scores) in crossfit.parallel(run, tasks, options.jobs):
        records.append(record)
        said.setdefault(tasks[at][0], []).append(scores)
        with options.output.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")
        print(
            f"{record['variant']} seed {record['seed']}: {record['f1']:.4f} in {record['seconds']:.0f} s",
            file=sys.stderr,
        )
    gold = [article.spans for article in dev]
    together = {}
    for name, runs in said.items():
        if len(runs) > 1:
            means = [crossfit.mean(list(each)) for each in zip(*runs, strict=True)]
            spans = [[span for span, _ in decode(scores, base.schema.types, list(MODALITIES))] for scores in means]
            together[name] = metrics.count(gold, spans).f1
    print(f"{len(dev)} dev documents, {sum(map(len, gold))} mentions\n")
    print("\n".join(table(records, together, base.schema.types)))


if __name__ == "__main__":
    main()
