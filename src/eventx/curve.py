"""Learning curves: the runs of a sweep over numbers of documents -> F1 with its spread, by type."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from eventx.metrics import in_order

Curve = dict[str, list[tuple[int, float, float, float]]]
"""Type, or "all" -> (documents, mean F1, lowest, highest), documents ascending."""


class CurveError(ValueError):
    """A file that holds no learning curve; the message says what was expected."""


def read(path: Path) -> Curve:
    """Read the runs that `benchmarks/sweep.py` kept: JSON Lines with `documents`, `f1` and `by_type`.

    Raises:
        CurveError: if the file is missing, or a line is no run.
    """
    runs: defaultdict[int, list[tuple[float, dict[str, float]]]] = defaultdict(list)
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            run = json.loads(line)
            runs[int(run["documents"])].append((float(run["f1"]), dict(run["by_type"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CurveError(f"{path}: not the runs of a sweep ({error}); write them with benchmarks/sweep.py") from None
    types = in_order({name for each in runs.values() for _, by_type in each for name in by_type})
    curve: Curve = {"all": [_point(size, [f1 for f1, _ in runs[size]]) for size in sorted(runs)]}
    for name in types:
        curve[name] = [_point(size, [found.get(name, 0.0) for _, found in runs[size]]) for size in sorted(runs)]
    return curve


def table(curve: Curve) -> str:
    """Return a curve as a Markdown table: a row a number of documents, mean and spread for all, means by type."""
    types = [name for name in curve if name != "all"]
    lines = [f"| documents | F1 (lowest-highest) | {' | '.join(types)} |", f"|{'---|' * (2 + len(types))}"]
    for at, (size, mean, low, high) in enumerate(curve["all"]):
        cells = " | ".join(f"{curve[name][at][1]:.3f}" for name in types)
        lines.append(f"| {size:,} | {mean:.3f} ({low:.3f}-{high:.3f}) | {cells} |")
    return "\n".join(lines) + "\n"


def _point(size: int, scores: Sequence[float]) -> tuple[int, float, float, float]:
    """Return a point of a curve."""
    return size, statistics.mean(scores), min(scores), max(scores)
