"""Run folders: the recipe of a run, what it learns from, and the checkpoint from which it can go on.

Training, cross-fitting, pre-training and distillation each keep their state in such a folder, and go on with it only
if what decides the run is what the folder was begun with.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eventx import labels
from eventx.labels import Article
from eventx.recipe import RecipeError, TrainConfig


def read_run(run: Path) -> TrainConfig:
    """Return the configuration of a run folder.

    Raises:
        RecipeError: if the folder holds no run.
    """
    try:
        values = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except OSError:
        raise RecipeError(f"{run}: no run there (no run.json); name a folder that eventx train wrote") from None
    return TrainConfig.from_dict(values)


def label_digest(articles: Iterable[Article]) -> str:
    """Return a digest of labels and texts, whatever the order of the documents."""
    lines = sorted(json.dumps(article.to_dict(), sort_keys=True) for article in articles)
    return labels.digest("\n".join(lines).encode())


def last_checkpoint(run: Path) -> str | None:
    """Return the folder of a run's last checkpoint, if there is one."""
    from transformers.trainer_utils import get_last_checkpoint

    place = run / "checkpoints"
    if not place.is_dir():
        return None
    found: str | None = get_last_checkpoint(str(place))  # type: ignore[no-untyped-call]
    return found


def settle(values: Mapping[str, Any], place: Path, defaults: Mapping[str, Any] | None = None) -> None:
    """Write what decides a run, or make sure that what stands there is the same: only then can the run go on.

    Args:
        values: what decides it.
        place: the file.
        defaults: what keys stand for that an earlier version did not write.

    Raises:
        RecipeError: if the run there was begun with something else.
    """
    wanted = json.loads(json.dumps(values))
    if place.is_file() and {**(defaults or {}), **json.loads(place.read_text(encoding="utf-8"))} != wanted:
        raise RecipeError(
            f"{place.parent}: holds a run by another recipe or of other labels ({place}); go on with those, or name "
            "another folder"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def settle_training(config: TrainConfig, articles: Sequence[Article], run: Path, resume: bool) -> None:
    """Write what a training run does and learns from, or make sure that the run to resume does and learns the same.

    What a finished run left there is removed.

    Raises:
        RecipeError: if there is nothing to resume, or the folder holds a run by another recipe, of other labels, or
            one that is unfinished and not to be resumed.
    """
    place, learnt = run / "run.json", run / "labels.json"
    digest = {"labels": label_digest(articles)}
    begun = [*run.glob("checkpoints/checkpoint-*"), *run.glob("member-*")]
    if resume:
        if not begun or not place.is_file():
            raise RecipeError(f"{run}: no checkpoint to resume from; train without --resume")
        settle(config.to_dict(), place, config.defaults())
        settle(digest, learnt)
        return
    if begun and not (run / "history.json").is_file():
        raise RecipeError(f"{run}: holds an unfinished run; go on with --resume, or remove the folder")
    for member in run.glob("member-*"):
        shutil.rmtree(member)
    for name in ("history.json", "epochs.json", "network.safetensors", "run.json", "labels.json"):
        (run / name).unlink(missing_ok=True)
    settle(config.to_dict(), place, config.defaults())
    settle(digest, learnt)
