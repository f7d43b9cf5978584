"""How often the rule of `eventx.cue` points at the word that a reader marked.

    python benchmarks/cue.py --texts DIR

labels/cues.tsv holds events whose cue was marked by reading: `rule` served to write the rule, `held-out` did not, the
rule was changed after a look at what an early form of it did on `dev`. A cue is right if it shares a character with the
reader's; where the reader found none (`-`), if the rule gives none.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

from eventx import cue, labels
from eventx.text import sentences


def main() -> None:
    """Print a Markdown table: right of all, by set and modality."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--cues", type=Path, default=Path("labels/cues.tsv"))
    options = parser.parse_args()
    with options.cues.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    wanted = {row["id"] for row in rows}
    files = [Path("labels/news.jsonl"), Path("labels/news-more.jsonl")]
    read = (article for file in files for article in labels.read(file, texts=options.texts, need_text=False))
    texts = {article.id: article.text or "" for article in read if article.id in wanted}
    counts: Counter[tuple[str, str, bool]] = Counter()
    for row in rows:
        text, start, end = texts[row["id"]], int(row["start"]), int(row["end"])
        low, high = max(bounds for bounds in sentences(text) if bounds[0] <= start)
        found = cue.find(text, (start, end), (low, max(high, end)), row["modality"])
        if row["cue"] == "-":
            right = found is None
        else:
            marked = int(row["cue_start"])
            right = found is not None and found[0] < marked + len(row["cue"]) and marked < found[1]
        counts[row["set"], row["modality"], right] += 1
    print("| events | possible | negated | both |\n|---|---|---|---|")
    for name in ("rule", "held-out", "dev"):
        cells = []
        for modalities in (["possible"], ["negated"], ["possible", "negated"]):
            right = sum(counts[name, modality, True] for modality in modalities)
            total = right + sum(counts[name, modality, False] for modality in modalities)
            cells.append(f"{right} of {total} ({right / total:.2f})")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
