"""The score floor: the shipped model on the labels whose texts stand in the repository must not get worse unnoticed.

    python benchmarks/floor.py                      # compare; exit code 1 on a drop, or if model or labels are others
    python benchmarks/floor.py --renew              # write what it scores now; refused if that is lower, or
                                                    if a new model is not measured on a part that has a floor
    python benchmarks/floor.py --renew --lower-the-floor
    python benchmarks/floor.py --texts DIR          # the dev part of the news too, if the floor knows it

The shipped model has learnt from the seeds and the written articles: their floor guards against broken code, models and
labels, and says nothing of quality. The dev part does. `floor.json` holds F1 by part, and digests of labels and model.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import eventx
from eventx import labels, metrics, predictions
from eventx.labels import Article, digest

ROOT = Path(__file__).parents[1]
PLACE = Path(__file__).with_name("floor.json")
SLACK = 0.003
"""What other runtimes, and processors with other instructions, change at most; a real fault costs more."""


def parts(texts: Path | None) -> dict[str, list[Article]]:
    """Return the articles of each part that has a floor and whose texts are at hand."""
    found = {name: labels.read(ROOT / "labels" / f"{name}.jsonl") for name in ("seeds", "written")}
    if texts is not None:
        split = ROOT / "labels" / "split.tsv"
        found["dev"] = labels.read_parts([ROOT / "labels" / "news.jsonl"], split, {"dev"}, texts=texts)["dev"]
    return found


def measure(articles: list[Article], tagger: eventx.Tagger) -> dict[str, Any]:
    """Return the exact F1 of a tagger on articles, and the digest of their labels."""
    said = [prediction.spans for prediction in predictions.run(tagger, articles)]
    lines = sorted(json.dumps(article.to_dict(), sort_keys=True) for article in articles)
    f1 = metrics.count([article.spans for article in articles], said).f1
    return {"f1": round(f1, 4), "labels": digest("\n".join(lines).encode())}


def faults(floor: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return what is wrong with the scores of now."""
    if floor["model"] != now["model"]:
        return ["the floor speaks of another model; look at both, then renew it: python benchmarks/floor.py --renew"]
    found = []
    for name, score in now["parts"].items():
        known = floor["parts"].get(name)
        if known is None:
            found.append(f"{name}: there is no floor; write one: python benchmarks/floor.py --renew")
        elif known["labels"] != score["labels"]:
            found.append(f"{name}: the floor speaks of other labels; renew it: python benchmarks/floor.py --renew")
        elif score["f1"] < known["f1"] - SLACK:
            found.append(f"{name}: F1 {score['f1']:.4f}, the floor is {known['f1']:.4f}: find out what broke")
    return found


def lowered(floor: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the parts whose floor would fall: lower now, or lost, for another model was not measured on them."""
    fallen = [n for n, score in now["parts"].items() if score["f1"] < floor["parts"].get(n, {"f1": 0.0})["f1"] - SLACK]
    lost = [name for name in floor["parts"] if name not in now["parts"]] if floor["model"] != now["model"] else []
    return fallen + lost


def main() -> None:
    """Compare with the floor, or renew it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--renew", action="store_true")
    parser.add_argument("--lower-the-floor", action="store_true")
    options = parser.parse_args()
    tagger = eventx.load()
    now = {
        "model": tagger.config.digest,
        "parts": {name: measure(articles, tagger) for name, articles in parts(options.texts).items()},
    }
    floor = json.loads(PLACE.read_text()) if PLACE.is_file() else {"model": "", "parts": {}}
    for name, score in now["parts"].items():
        print(f"{name}: F1 {score['f1']:.4f}")
    if options.renew:
        falls = lowered(floor, now)
        if falls and not options.lower_the_floor:
            sys.exit(
                f"the floor of {', '.join(falls)} would fall or be lost; name the news texts with --texts DIR, "
                f"or, if that is meant, add --lower-the-floor"
            )
        if floor["model"] == now["model"]:
            now["parts"] = floor["parts"] | now["parts"]
        PLACE.write_text(json.dumps(now, indent=1) + "\n")
        print(f"written: {PLACE}")
        return
    wrong = faults(floor, now)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
