"""Training: labelled batches, transformers' Trainer, a run folder with the result.

A run folder holds the recipe's values (`run.json`), the trained network, its tokenizer, `history.json` and, while
training, checkpoints. Export turns it into a model folder; scoring on held-out parts lives in `evaluate`.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from eventx import batches, labels, network, warmstart
from eventx.encode import Coding, Encoded, WordScores, decode, encode, gather, window_ids
from eventx.labels import Article
from eventx.metrics import count
from eventx.recipe import DistilConfig, PretrainConfig, RecipeError, TrainConfig
from eventx.runs import label_digest, last_checkpoint, settle_training
from eventx.schema import MODALITIES, tags
from eventx.spans import Span


def articles_of(config: TrainConfig, texts: Path | None) -> tuple[list[Article], list[Article]]:
    """Return what a configuration trains on and what it scores after each epoch.

    Raises:
        LabelError: if labels or texts are faulty or missing, or a part is empty.
    """
    wanted = {*config.train, config.dev} - {""}
    parts = labels.read_parts(config.labels, config.split, wanted, texts=texts, schema=config.schema)
    return [article for name in config.train for article in parts[name]], parts.get(config.dev, [])


def train(
    config: TrainConfig,
    articles: Sequence[Article],
    dev: Sequence[Article],
    run: Path,
    *,
    resume: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train a network and write the run folder.

    Args:
        config: what to do.
        articles: labelled texts to learn from.
        dev: labelled texts to score after each epoch; may be empty.
        run: the run folder; made if missing.
        resume: go on from the last checkpoint in `run`.
        report: called with a line after each epoch.

    Returns:
        The history: configuration, digests, loss and dev scores an epoch, seconds.

    Raises:
        RecipeError: if the encoder cannot be had, or `run` does not fit (it holds another run).
    """
    settle_training(config, articles, run, resume)
    started = time.monotonic()
    places = [run / f"member-{number}" for number in range(1, config.members + 1)] if config.members > 1 else [run]
    epochs = []
    for number, place in enumerate(places, 1):
        name = f"member {number}/{config.members}  " if config.members > 1 else ""
        kept = place / "epochs.json"
        if not (resume and kept.is_file()):
            done = train_member(config, number, articles, dev, place, report=partial(_prefixed, report, name))
            kept.write_text(json.dumps(done) + "\n", encoding="utf-8")
        epochs.append(json.loads(kept.read_text(encoding="utf-8")))
    if config.members > 1:
        network.save(network.average([network.load(place) for place in places]), run)
        (run / "tokenizer.json").write_bytes((places[0] / "tokenizer.json").read_bytes())
    history = {
        "config": config.to_dict(),
        "train_documents": len(articles),
        "label_digest": label_digest(articles),
        "members": epochs,
        "seconds": round(time.monotonic() - started, 1),
    }
    (run / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    return history


def _prefixed(report: Callable[[str], None], prefix: str, line: str) -> None:
    """Report a line behind a prefix."""
    report(prefix + line)


def train_member(
    config: TrainConfig,
    number: int,
    articles: Sequence[Article],
    dev: Sequence[Article],
    place: Path,
    *,
    checkpoints: bool = True,
    report: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Train the `number`-th member, from 1, into a folder, going on from its last checkpoint if there is one.

    All members begin with the same heads, which depend on `seed` alone; order and dropout depend on the number too.
    Without `checkpoints` nothing is written before the end.

    Returns:
        Loss and dev score an epoch.

    Raises:
        RecipeError: if encoder or base cannot be had, do not fit, or `keep` has no base to keep of.
    """
    if config.keep and not config.base:
        raise RecipeError("keep needs weights to begin with; name a base in the recipe, or with --base")
    place.mkdir(parents=True, exist_ok=True)
    set_seed(config.seed)
    coding = batches.coding_of(config)
    net = new_network(config)
    if config.freeze_embeddings:
        network.freeze_embeddings(net)
    base = copy.deepcopy(net) if config.keep else None
    average = _Average(net, config.average) if config.average else None
    follow = Follow(config, net, coding, dev, report, epochs=config.epochs, average=average)
    trainer = _Trainer(
        model=net,
        args=arguments(
            config,
            place,
            seed=config.seed + number - 1,
            checkpoints=checkpoints,
            train_sampling_strategy="group_by_length",
            length_column_name="length",
            logging_strategy="epoch",
        ),
        train_dataset=batches.dataset(articles, coding, config.schema.types),
        data_collator=batches.collate,
        callbacks=[average, follow] if average else [follow],
    )
    quiet(trainer)
    trainer.train(resume_from_checkpoint=last_checkpoint(place))
    if average:
        average.swap()
    if base is not None:
        net = network.average([net.to("cpu"), base], [1 - config.keep, config.keep])
    network.save(net, place)
    coding.tokenizer.save(str(place / "tokenizer.json"))
    shutil.rmtree(place / "checkpoints", ignore_errors=True)
    return follow.epochs_of(trainer.state.log_history)


def new_network(config: TrainConfig) -> network.Network:
    """Return the network that a recipe begins with: its encoder with heads drawn anew, or its base.

    Raises:
        RecipeError: if encoder or base cannot be had, or do not fit each other, the window or the layers.
    """
    weights = torch.full((len(tags(config.schema.types)),), config.event_weight)
    weights[0] = 1.0
    net = network.build(
        batches.encoder_place(config.encoder),
        list(config.schema.types),
        list(MODALITIES),
        encoder_dropout=config.encoder_dropout,
        dropout=config.dropout,
        tag_weights=weights,
        label_smoothing=config.label_smoothing,
        modality_weight=config.modality_weight,
        crf=config.crf,
    )
    check_window(net, config.window)
    try:
        if config.base:
            warmstart.begin_with(net, Path(config.base))
        if config.layers:
            warmstart.grow(net, config.layers)
    except warmstart.BaseError as error:
        raise RecipeError(str(error)) from None
    return net


def check_window(net: network.Network, window: int) -> None:
    """Refuse windows of more word pieces than an encoder has positions for.

    Raises:
        RecipeError: if it has fewer.
    """
    offset = getattr(net.encoder.embeddings, "padding_idx", -1) + 1  # RoBERTa and its kin count from beyond the padding
    positions = getattr(net.encoder.config, "max_position_embeddings", window + offset) - offset
    if window > positions:
        raise RecipeError(f"window is {window}; this encoder reads at most {positions} word pieces at once")


def predict(net: network.Network, coding: Coding, text: str, *, bf16: bool = False) -> list[Span]:
    """Return the spans that a torch network marks in a text."""
    return predict_all(net, coding, [encode(text, coding)], bf16=bf16)[0][0]


def predict_all(
    net: network.Network, coding: Coding, texts: Sequence[Encoded], *, bf16: bool = False
) -> list[tuple[list[Span], WordScores]]:
    """Return the spans that a torch network marks in each encoded text, and what it says of each word."""
    rows = [window_ids(encoded, coding) for encoded in texts]
    outputs = network.runner(net, bf16=bf16)([ids for windows in rows for ids in windows])
    found, at = [], 0
    for encoded, windows in zip(texts, rows, strict=True):
        scores = gather(encoded, outputs[at : at + len(windows)], coding)
        at += len(windows)
        found.append(([span for span, _ in decode(scores, net.types, net.modalities, net.transitions())], scores))
    return found


class _Trainer(Trainer):
    """transformers' Trainer with layer-wise learning rates and R-Drop."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the network's loss; with R-Drop, that of two passes and how far they part (Liang et al. 2021)."""
        weight = self.args.eventx.r_drop  # type: ignore[attr-defined]
        if not weight:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        size = len(inputs["input_ids"])
        outputs = model(**{name: torch.cat([value, value]) for name, value in inputs.items()})
        logs = torch.log_softmax(outputs["tags"].float(), dim=-1)
        one, two = logs[:size], logs[size:]
        apart = ((one.exp() - two.exp()) * (one - two)).sum(-1) / 2
        told = inputs["labels"] != network.IGNORE
        loss = outputs["loss"] + weight * (apart * told).sum() / told.sum().clamp(min=1)
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Build fused AdamW over groups of parameters by layer, without weight decay on biases and norms."""
        if self.optimizer is None:
            config: TrainConfig = self.args.eventx  # type: ignore[attr-defined]
            network_of = cast(nn.Module, self.model)
            named = [(name, value) for name, value in network_of.named_parameters() if value.requires_grad]
            depth = 1 + max((_layer(name) or 0 for name, _ in named), default=0)
            groups: dict[tuple[float, float], list[torch.Tensor]] = {}
            for name, value in named:
                layer = _layer(name)
                below = 0 if not name.startswith("encoder.") else depth - (layer if layer is not None else -1) - 1
                rate = config.learning_rate * config.layer_decay**below
                groups.setdefault((rate, config.weight_decay if value.ndim > 1 else 0.0), []).append(value)
            self.optimizer = torch.optim.AdamW(
                [{"params": values, "lr": rate, "weight_decay": decay} for (rate, decay), values in groups.items()],
                lr=config.learning_rate,
                betas=(0.9, 0.98),
                fused=True,
            )
        return self.optimizer


class _Bar(ProgressCallback):
    """The Trainer's progress bar without its logs, which the line an epoch repeats."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Write nothing."""


class _Average(TrainerCallback):
    """Keeps an exponential moving average of the trained weights (Polyak and Juditsky 1992)."""

    def __init__(self, net: network.Network, decay: float) -> None:
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
        net: network.Network,
        coding: Coding,
        dev: Sequence[Article],
        report: Callable[[str], None],
        *,
        epochs: int,
        average: _Average | None = None,
    ) -> None:
        self.config, self.net, self.coding, self.dev, self.report = config, net, coding, dev, report
        self.epochs, self.average = epochs, average
        self.bf16 = use_bf16(config.precision)
        self.encoded = [encode(article.text or "", coding) for article in dev]
        self.started = time.monotonic()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Score the dev part."""
        if not self.dev:
            return
        self.net.eval()
        if self.average:
            self.average.swap()
        found = [spans for spans, _ in predict_all(self.net, self.coding, self.encoded, bf16=self.bf16)]
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


def arguments(
    config: TrainConfig | PretrainConfig | DistilConfig,
    run: Path,
    *,
    seed: int,
    checkpoints: bool = True,
    **others: Any,
) -> TrainingArguments:
    """Translate what all recipes share for transformers' Trainer; `others` are arguments of its own."""
    made = TrainingArguments(
        output_dir=str(run / "checkpoints"),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        adam_beta2=0.98,
        max_grad_norm=1.0,
        bf16=use_bf16(config.precision),
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=not sys.stderr.isatty(),
        save_strategy="epoch" if checkpoints else "no",
        save_total_limit=1,
        report_to=[],
        seed=seed,
        data_seed=seed,
        **others,
    )
    made.eventx = config  # type: ignore[attr-defined]
    return made


def quiet(trainer: Trainer) -> None:
    """Leave of a Trainer's own reports the progress bar alone, on a terminal."""
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(_Bar)


def use_bf16(precision: str) -> bool:
    """Say whether to compute in bf16: as configured, or where its products run in hardware."""
    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _layer(name: str) -> int | None:
    """Return the number of the encoder layer that a parameter belongs to, if to one."""
    found = re.search(r"\.layers?\.(\d+)\.", name)
    return int(found.group(1)) if found else None


def device() -> torch.device:
    """Return where to compute: a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
