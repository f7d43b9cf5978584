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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import Trainer, TrainingArguments, set_seed

from eventx import batches, callbacks, inference, labels, network, warmstart
from eventx.labels import Article
from eventx.recipe import DistilConfig, PretrainConfig, RecipeError, TrainConfig
from eventx.runs import label_digest, last_checkpoint, settle_training
from eventx.schema import MODALITIES, tags


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
    average = callbacks.Average(net, config.average) if config.average else None
    follow = callbacks.Follow(config, net, coding, dev, report, epochs=config.epochs, average=average)
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
    callbacks.quiet(trainer)
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
        bf16=inference.use_bf16(config.precision),
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


def _layer(name: str) -> int | None:
    """Return the number of the encoder layer that a parameter belongs to, if to one."""
    found = re.search(r"\.layers?\.(\d+)\.", name)
    return int(found.group(1)) if found else None
