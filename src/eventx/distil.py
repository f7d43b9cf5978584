"""Distillation: what several teachers say of each token of unlabelled text, learnt by one network (Hinton et al. 2015).

The teachers are the members of a finished run. What they say of each token of the unlabelled windows is computed once
and kept in the run folder; the student learns from it and from the teachers' own labelled windows side by side. The
result is a run folder like any other: export and evaluation take it.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, set_seed

from eventx import labels, network, train
from eventx.encode import Ints
from eventx.labels import Article
from eventx.recipe import DistilConfig, RecipeError, TrainConfig
from eventx.schema import MODALITIES, tags
from eventx.unlabelled import SHORTEST, Corpus

Targets = NDArray[np.float16]
"""(tokens, tags + modalities) probabilities; a row of zeros is a token that is not learnt."""


class _Rows(Dataset[tuple[Ints, Targets]]):
    """Windows of token ids, each with its targets."""

    def __init__(self, windows: Sequence[NDArray[np.uint16]], targets: Sequence[Targets]) -> None:
        self.windows, self.targets = windows, targets

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, at: int) -> tuple[Ints, Targets]:
        return self.windows[at].astype(np.int64), self.targets[at]


class _Trainer(Trainer):
    """transformers' Trainer with the cross-entropy to soft targets as its loss."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the cross-entropy of tags over all learnt tokens, and of modality weighted by how sure an event is."""
        config: DistilConfig = self.args.eventx  # type: ignore[attr-defined]
        targets = inputs["targets"].float()
        output = model(inputs["input_ids"], inputs["attention_mask"])
        loss = soft_loss(output, targets, config.event_weight, config.modality_weight)
        return (loss, output) if return_outputs else loss


def soft_loss(output: Mapping[str, Tensor], targets: Tensor, event_weight: float, modality_weight: float) -> Tensor:
    """Return the loss of logits against (batch, tokens, tags + modalities) target probabilities."""
    count = output["tags"].shape[-1]
    wanted, manner = targets[..., :count], targets[..., count:]
    learnt = wanted.sum(-1)
    event = learnt - wanted[..., 0]
    weight = wanted[..., 0] + event_weight * event
    apart = -(wanted * torch.log_softmax(output["tags"].float(), -1)).sum(-1)
    loss = (apart * weight).sum() / weight.sum().clamp(min=1e-6)
    astray = -(manner * torch.log_softmax(output["modalities"].float(), -1)).sum(-1)
    return loss + modality_weight * (astray * event).sum() / event.sum().clamp(min=1.0)


def distil(
    config: DistilConfig,
    articles: Sequence[Article],
    dev: Sequence[Article],
    corpus: Corpus,
    run: Path,
    *,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Distil a run's members into one network and write its run folder.

    Args:
        config: what to do.
        articles: the labelled texts that the teachers learnt from.
        dev: labelled texts to score after each epoch; may be empty.
        corpus: unlabelled text, tokenised by the teachers' coding.
        run: the run folder to write.
        report: called with a line now and then.

    Returns:
        The history, as `train.train` gives it.

    Raises:
        RecipeError: if the teachers are not a finished run, or `run` was begun with other teachers, labels or text.
    """
    teachers, recipe = teachers_of(config)
    started = time.monotonic()
    train.settle(
        {
            **config.to_dict(),
            "networks": [labels.digest((place / "network.safetensors").read_bytes()) for place in teachers],
            "labels": train.label_digest(articles),
            "corpus": labels.digest(corpus.ids.tobytes()),
        },
        run / "distil.json",
    )
    coding = train.coding_of(recipe)
    apart = dataclasses.replace(coding, overlap=0)
    windows = [ids.astype(np.uint16) for ids in corpus.windows(apart, shortest=SHORTEST)]
    place = run / "targets.npy"
    if not place.is_file():
        ask(teachers, windows, place, bf16=train.use_bf16(config.precision), report=report)
    kept = np.load(place, mmap_mode="r")
    ends = np.cumsum([len(ids) for ids in windows])
    targets = [kept[end - len(ids) : end] for end, ids in zip(ends, windows, strict=True)]
    hard = _hard(articles, recipe)
    rows = _Rows(
        windows + [ids for ids, _ in hard] * config.repeat, targets + [wanted for _, wanted in hard] * config.repeat
    )
    net = _student(config, recipe, teachers)
    follow = train.Follow(recipe, net, coding, dev, report, epochs=config.epochs)
    trainer = _Trainer(
        model=net,
        args=train.arguments(
            config,
            run,
            seed=config.seed,
            dataloader_num_workers=4 if torch.cuda.is_available() else 0,
            remove_unused_columns=False,
            logging_strategy="epoch",
        ),
        train_dataset=rows,
        data_collator=_collate,
        callbacks=[follow],
    )
    train.quiet(trainer)
    trainer.train(resume_from_checkpoint=train.last_checkpoint(run))
    if config.keep:
        mean = network.average([network.load(teacher) for teacher in teachers])
        net = network.average([net.to("cpu"), mean], [1 - config.keep, config.keep])
    network.save(net, run)
    coding.tokenizer.save(str(run / "tokenizer.json"))
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    place.unlink()
    (run / "run.json").write_text(json.dumps(recipe.to_dict(), indent=1) + "\n", encoding="utf-8")
    history = {
        "config": recipe.to_dict(),
        "distilled": config.to_dict(),
        "teachers": len(teachers),
        "train_documents": len(articles),
        "unlabelled_documents": len(corpus),
        "unlabelled_tokens": int(corpus.bounds[-1]),
        "label_digest": train.label_digest(articles),
        "members": [follow.epochs_of(trainer.state.log_history)],
        "seconds": round(time.monotonic() - started, 1),
    }
    (run / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    return history


def teachers_of(config: DistilConfig) -> tuple[list[Path], TrainConfig]:
    """Return the folders of the teachers and the recipe they were trained by.

    Raises:
        RecipeError: if there is no finished run, or its networks decode with a CRF, whose tags are no probabilities.
    """
    recipe = train.read_run(config.teachers)
    places = sorted(place.parent for place in config.teachers.glob("member-*/network.safetensors"))
    if not places and (config.teachers / "network.safetensors").is_file():
        places = [config.teachers]
    if len(places) < recipe.members:
        raise RecipeError(f"{config.teachers}: not a finished run; train it first")
    if recipe.crf or recipe.pieces != "all":
        raise RecipeError(f'{config.teachers}: teachers need crf = false and pieces = "all"')
    return places, recipe


def ask(
    teachers: Sequence[Path],
    windows: Sequence[NDArray[np.uint16]],
    place: Path,
    *,
    bf16: bool,
    batch: int = 64,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Write the mean of the teachers' probabilities of each token of all windows, in their order, to an `.npy` file."""
    sizes = np.array([len(ids) for ids in windows])
    starts = np.concatenate(([0], np.cumsum(sizes)))
    shape = network.load(teachers[0])
    width = len(tags(shape.types)) + len(shape.modalities)
    total = np.zeros((int(starts[-1]), width), dtype=np.float16)
    order = np.argsort(sizes, kind="stable")
    device = train.device()
    started = time.monotonic()
    for number, teacher in enumerate(teachers, 1):
        net = network.load(teacher).to(device)
        for low in range(0, len(order), batch):
            chosen = order[low : low + batch]
            ids, mask = train.pad([windows[at].astype(np.int64) for at in chosen])
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                output = net(ids.to(device), mask.to(device))
                both = torch.cat([output["tags"].float().softmax(-1), output["modalities"].float().softmax(-1)], dim=-1)
            said = (both / len(teachers)).half().cpu().numpy()
            for row, at in enumerate(chosen):
                total[starts[at] : starts[at + 1]] += said[row, : sizes[at]]
        report(f"teacher {number}/{len(teachers)} asked  {time.monotonic() - started:.0f} s")
    edges = np.concatenate([starts[:-1], starts[1:] - 1])
    total[edges] = 0
    np.save(place, total)


def _hard(articles: Sequence[Article], recipe: TrainConfig) -> list[tuple[NDArray[np.uint16], Targets]]:
    """Return the labelled windows with targets of probability one."""
    made = []
    count = len(tags(recipe.schema.types))
    for row in train.dataset(articles, train.coding_of(recipe), recipe.schema.types):
        targets = np.zeros((len(row["input_ids"]), count + len(MODALITIES)), dtype=np.float16)
        told = np.flatnonzero(row["labels"] != network.IGNORE)
        targets[told, row["labels"][told]] = 1
        manner = np.flatnonzero(row["modality_labels"] != network.IGNORE)
        targets[manner, count + row["modality_labels"][manner]] = 1
        made.append((row["input_ids"].astype(np.uint16), targets))
    return made


def _student(config: DistilConfig, recipe: TrainConfig, teachers: Sequence[Path]) -> network.Network:
    """Return the network that will learn."""
    set_seed(config.seed)
    shape = dataclasses.replace(recipe, encoder_dropout=config.encoder_dropout, dropout=0.0)
    net = train.new_network(shape)
    if config.start == "average":
        net.load_state_dict(network.average([network.load(place) for place in teachers]).state_dict(), strict=False)
    if recipe.freeze_embeddings:
        net.encoder.get_input_embeddings().requires_grad_(False)  # type: ignore[operator]
    return net


def _collate(rows: Sequence[tuple[Ints, Targets]]) -> dict[str, Tensor]:
    """Pad windows and their targets into a batch."""
    ids, mask = train.pad([ids for ids, _ in rows])
    targets = np.zeros((*ids.shape, rows[0][1].shape[1]), dtype=np.float16)
    for at, (_, wanted) in enumerate(rows):
        targets[at, : len(wanted)] = wanted
    return {"input_ids": ids, "attention_mask": mask, "targets": torch.from_numpy(targets)}
