"""What the Trainer calls back: the running average of the weights, the dev score an epoch, the progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from eventx import inference
from eventx.encode import Coding, encode
from eventx.labels import Article
from eventx.metrics import count
from eventx.network import Network
from eventx.recipe import TrainConfig


def quiet(trainer: Trainer) -> None:
    """Leave of a Trainer's own reports the progress bar alone, on a terminal."""
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(_Bar)


class _Bar(ProgressCallback):
    """The Trainer's progress bar without its logs, which the line an epoch repeats."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Write nothing."""


class Average(TrainerCallback):
    """Keeps an exponential moving average of the trained weights (Polyak and Juditsky 1992)."""

    def __init__(self, net: Network, decay: float) -> None:
        self.net, self.decay = net, decay
        self.shadow: dict[str, torch.Tensor] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Move the average towards the weights; quickly at first, as Adam's bias correction does."""
        decay = min(self.decay, (1 + state.global_step) / (10 + state.global_step))
        for name, value in self.net.named_parameters():
            if value.requires_grad and name not in self.shadow:
                self.shadow[name] = value.detach().clone()
        names = list(self.shadow)
        trained = dict(self.net.named_parameters())
        torch._foreach_lerp_(
            [self.shadow[name] for name in names], [trained[name].detach() for name in names], 1 - decay
        )

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Put the average beside the checkpoint."""
        torch.save(self.shadow, Path(args.output_dir) / f"checkpoint-{state.global_step}" / "average.pt")

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Take the average up again where a checkpoint left it."""
        place = Path(args.output_dir) / f"checkpoint-{state.global_step}" / "average.pt"
        if state.global_step and place.is_file():
            self.shadow = torch.load(place, weights_only=True)

    def swap(self) -> None:
        """Exchange weights and average."""
        for name, value in self.net.named_parameters():
            if name in self.shadow:
                kept = value.detach().clone()
                value.data.copy_(self.shadow[name])
                self.shadow[name] = kept


class Follow(TrainerCallback):
    """Scores the dev part after each epoch, keeps the score in the trainer's log, and reports a line."""

    def __init__(
        self,
        config: TrainConfig,
        net: Network,
        coding: Coding,
        dev: Sequence[Article],
        report: Callable[[str], None],
        *,
        epochs: int,
        average: Average | None = None,
    ) -> None:
        self.config, self.net, self.coding, self.dev, self.report = config, net, coding, dev, report
        self.epochs, self.average = epochs, average
        self.bf16 = inference.use_bf16(config.precision)
        self.encoded = [encode(article.text or "", coding) for article in dev]
        self.started = time.monotonic()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Score the dev part."""
        if not self.dev:
            return
        self.net.eval()
        if self.average:
            self.average.swap()
        found = [spans for spans, _ in inference.predict_all(self.net, self.coding, self.encoded, bf16=self.bf16)]
        if self.average:
            self.average.swap()
        self.net.train()
        f1 = count([article.spans for article in self.dev], found).f1
        state.log_history.append({"epoch": state.epoch, "dev_f1": f1})  # saved with the checkpoint that follows

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Report the epoch that ended: its loss is logged after its scores are there."""
        if not logs or "loss" not in logs:
            return
        epoch = round(state.epoch)
        line = f"epoch {epoch}/{self.epochs}  loss {float(logs['loss']):.4f}"
        scores = {round(entry["epoch"]): entry["dev_f1"] for entry in state.log_history if "dev_f1" in entry}
        if epoch in scores:
            line += f"  {self.config.dev} F1 {scores[epoch]:.4f}"
        self.report(f"{line}  {time.monotonic() - self.started:.0f} s")

    def epochs_of(self, log: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the history an epoch: the last loss logged in it and the dev score."""
        losses: dict[int, float] = {}
        scores: dict[int, float] = {}
        for entry in log:
            epoch = int(np.ceil(entry["epoch"] - 1e-6))
            if "loss" in entry:
                losses[epoch] = entry["loss"]
            if "dev_f1" in entry:
                scores[epoch] = entry["dev_f1"]
        return [{"epoch": epoch, "loss": loss, "dev_f1": scores.get(epoch)} for epoch, loss in losses.items()]
