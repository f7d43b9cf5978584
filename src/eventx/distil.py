"""Distillation: what several teachers say of each token of unlabelled text, learnt by one network (Hinton et al. 2015).

The teachers are the members of finished runs. The first run's recipe is the student's: encoder, windows, labels. The
teachers of other runs may have another, larger encoder and wider windows, as long as its vocabulary has the same word
pieces, under whatever ids. What they say of each token of the unlabelled text is computed once and kept in the run
folder; the student learns from it and from the labelled windows side by side. The result is a run folder like any
other: export and evaluation take it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, set_seed

from eventx import batches, callbacks, inference, labels, network, runs, train, warmstart
from eventx.encode import Coding, Ints
from eventx.labels import Article
from eventx.recipe import DistilConfig, RecipeError, TrainConfig
from eventx.schema import MODALITIES, tags
from eventx.unlabelled import SHORTEST, Corpus

Targets = NDArray[np.float16]
"""(tokens, tags + modalities) probabilities; a row of zeros is a token that is not learnt."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """A network that teaches: its folder, the recipe it was trained by, and its share in what all teachers say."""

    place: Path
    recipe: TrainConfig
    share: float


class _Rows(Dataset[tuple[Ints, Targets]]):
    """Windows of token ids, each with its targets."""

    def __init__(self, corpus: Corpus, coding: Coding, said: Targets, hard: Sequence[tuple[Ints, Targets]]) -> None:
        self.views = [view for view in corpus.views(coding) if len(view.ids) >= SHORTEST]
        self.said, self.hard = said, hard

    def __len__(self) -> int:
        return len(self.views) + len(self.hard)

    def __getitem__(self, at: int) -> tuple[Ints, Targets]:
        if at >= len(self.views):
            return self.hard[at - len(self.views)]
        view = self.views[at]
        targets = np.zeros((len(view.ids), self.said.shape[1]), dtype=np.float16)
        targets[view.low : view.high] = self.said[view.start : view.start + view.high - view.low]
        return view.ids.astype(np.int64), targets


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
    """Distil the members of runs into one network and write its run folder.

    Args:
        config: what to do.
        articles: the labelled texts that the teachers learnt from.
        dev: labelled texts to score after each epoch; may be empty.
        corpus: unlabelled text, tokenised by the coding of the first run.
        run: the run folder to write.
        report: called with a line now and then.

    Returns:
        The history, as `train.train` gives it.

    Raises:
        RecipeError: if the teachers are not finished runs, have other word pieces than the student, or `run` was begun
            with other teachers, labels or text.
    """
    teachers = teachers_of(config)
    recipe = student_recipe(config)
    started = time.monotonic()
    start = _start(config, teachers, recipe)
    net = _student(config, recipe, start)
    recipe = dataclasses.replace(recipe, layers=warmstart.depth(net))
    runs.settle(
        {
            **config.to_dict(),
            "networks": [_digest(each.place) for each in teachers],
            "start_network": None if config.start in ("encoder", "average") else _digest(Path(config.start)),
            "labels": runs.label_digest(articles),
            "corpus": labels.digest(corpus.ids.tobytes()),
        },
        run / "distil.json",
        config.defaults(),
    )
    if (run / "history.json").is_file():
        report(f"{run}: finished already")
        known: dict[str, Any] = json.loads((run / "history.json").read_text(encoding="utf-8"))
        return known
    coding = batches.coding_of(recipe)
    place = run / "targets.npy"
    if not place.is_file():
        ask(teachers, corpus, coding, place, bf16=inference.use_bf16(config.precision), report=report)
    rows = _Rows(
        corpus,
        dataclasses.replace(coding, overlap=0),
        np.load(place, mmap_mode="r"),
        _hard(articles, recipe) * config.repeat,
    )
    follow = callbacks.Follow(recipe, net, coding, dev, report, epochs=config.epochs)
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
    callbacks.quiet(trainer)
    trainer.train(resume_from_checkpoint=runs.last_checkpoint(run))
    if config.keep:
        net = network.average([net.to("cpu"), cast(network.Network, start)], [1 - config.keep, config.keep])
    network.save(net, run)
    coding.tokenizer.save(str(run / "tokenizer.json"))
    (run / "run.json").write_text(json.dumps(recipe.to_dict(), indent=1) + "\n", encoding="utf-8")
    history = {
        "config": recipe.to_dict(),
        "distilled": config.to_dict(),
        "teachers": sum(teacher.share > 0 for teacher in teachers),
        "train_documents": len(articles),
        "unlabelled_documents": len(corpus),
        "unlabelled_tokens": int(corpus.bounds[-1]),
        "label_digest": runs.label_digest(articles),
        "members": [follow.epochs_of(trainer.state.log_history)],
        "seconds": round(time.monotonic() - started, 1),
    }
    (run / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    place.unlink()
    return history


def _digest(run: Path) -> str:
    """Return the digest of a run's weights."""
    return labels.digest((run / "network.safetensors").read_bytes())


def teachers_of(config: DistilConfig) -> list[Teacher]:
    """Return the teachers, run by run; each run has the share that the configuration gives it, parted by its members.

    Raises:
        RecipeError: if there is no finished run, or its networks decode with a CRF, whose tags are no probabilities.
    """
    teachers = []
    weights = config.weights or tuple(1.0 for _ in config.teachers)
    windows = config.teacher_windows or tuple(0 for _ in config.teachers)
    for run, weight, window in zip(config.teachers, weights, windows, strict=True):
        recipe = _in_windows(runs.read_run(run), window)
        places = sorted(place.parent for place in run.glob("member-*/network.safetensors"))
        finished = (run / "network.safetensors").is_file()
        if not places and finished:
            places = [run]
        if len(places) < recipe.members and not finished:
            raise RecipeError(f"{run}: not a finished run; train it first")
        if recipe.crf or recipe.pieces != "all":
            raise RecipeError(f'{run}: teachers need crf = false and pieces = "all"')
        if recipe.schema != runs.read_run(config.teachers[0]).schema:
            raise RecipeError(f"{run}: its types are not those of {config.teachers[0]}; teachers must agree on them")
        teachers += [Teacher(place, recipe, weight / sum(weights) / len(places)) for place in places]
    return teachers


def student_recipe(config: DistilConfig) -> TrainConfig:
    """Return the recipe of the student's run: the first run's, in the student's windows and layers."""
    first = _in_windows(runs.read_run(config.teachers[0]), config.window)
    return dataclasses.replace(first, layers=config.layers or first.layers)


def _in_windows(recipe: TrainConfig, window: int) -> TrainConfig:
    """Return a recipe with windows of so many word pieces, its own for 0."""
    return dataclasses.replace(recipe, window=window or recipe.window)


def ask(
    teachers: Sequence[Teacher],
    corpus: Corpus,
    coding: Coding,
    place: Path,
    *,
    bf16: bool,
    batch: int = 8192,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Write the mean of the teachers' probabilities of each token of a corpus, (tokens, classes), to an `.npy` file.

    Args:
        teachers: each is asked in its own windows; a token's answer is that of the window that speaks for it. Those
            without a share are not asked.
        corpus: tokenised by `coding`.
        coding: the student's.
        place: the file.
        bf16: whether to compute in it.
        batch: word pieces at a time.
        report: called with a line a teacher.

    Raises:
        RecipeError: if a teacher's vocabulary lacks a piece of the corpus, or its encoder positions for its windows.
    """
    shape = network.load(teachers[0].place)
    teachers = [teacher for teacher in teachers if teacher.share]
    width = len(tags(shape.types)) + len(shape.modalities)
    total = np.zeros((len(corpus.ids), width), dtype=np.float32)
    device = inference.device()
    started = time.monotonic()
    for number, teacher in enumerate(teachers, 1):
        own = batches.coding_of(teacher.recipe)
        views = list(_translated(corpus, coding, own, teacher.place).views(own))
        order = sorted(range(len(views)), key=lambda at: -len(views[at].ids))
        net = network.load(teacher.place).to(device)
        train.check_window(net, own.window)
        at = 0
        while at < len(order):
            chosen = [views[each] for each in order[at : at + max(1, batch // len(views[order[at]].ids))]]
            at += len(chosen)
            ids, mask = batches.pad([view.ids.astype(np.int64) for view in chosen])
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                output = net(ids.to(device), mask.to(device))
                both = torch.cat([output["tags"].float().softmax(-1), output["modalities"].float().softmax(-1)], dim=-1)
            said = both.cpu().numpy() * teacher.share
            for row, view in enumerate(chosen):
                total[view.start : view.start + view.high - view.low] += said[row, view.low : view.high]
        report(f"teacher {number}/{len(teachers)} asked  {time.monotonic() - started:.0f} s")
    beside = place.with_name(f"{place.name}.writing")
    with beside.open("wb") as file:
        np.save(file, total.astype(np.float16))
    os.replace(beside, place)


def _translated(corpus: Corpus, coding: Coding, own: Coding, place: Path) -> Corpus:
    """Return a corpus in the ids that a teacher's vocabulary has for the same word pieces."""
    mine, theirs = coding.tokenizer.get_vocab(), own.tokenizer.get_vocab()
    if mine == theirs:
        return corpus
    table = np.full(max(mine.values()) + 1, -1, dtype=np.int64)
    for piece, number in mine.items():
        table[number] = theirs.get(piece, -1)
    ids = table[corpus.ids]
    if (ids < 0).any():
        lacking = coding.tokenizer.id_to_token(int(corpus.ids[int((ids < 0).argmax())]))
        raise RecipeError(f"{place}: its encoder has no word piece {lacking!r}; a teacher needs all of the student's")
    return Corpus(ids.astype(np.uint16), corpus.bounds)


def _start(config: DistilConfig, teachers: Sequence[Teacher], recipe: TrainConfig) -> network.Network | None:
    """Return the network that the student begins with, as deep as that will be, None for the bare encoder."""
    if config.start == "encoder":
        return None
    if config.start == "average":
        first = config.teachers[0]
        folds = [each.place for each in teachers if first in (each.place, each.place.parent)]
        start = network.average([network.load(place) for place in folds])
    else:
        try:
            start = network.load(Path(config.start))
        except FileNotFoundError:
            raise RecipeError(f"{config.start}: no trained network there to start from; name a finished run") from None
    if (start.types, start.modalities) != (list(recipe.schema.types), list(MODALITIES)):
        raise RecipeError(f"{config.start}: its types are not those of {config.teachers[0]}; they must agree")
    try:
        warmstart.grow(start, config.layers or warmstart.depth(start))
    except warmstart.BaseError as error:
        raise RecipeError(f"{config.start}: {error}") from None
    if recipe.freeze_embeddings:
        network.freeze_embeddings(start)
    return start


def _hard(articles: Sequence[Article], recipe: TrainConfig) -> list[tuple[Ints, Targets]]:
    """Return the labelled windows with targets of probability one."""
    made = []
    count = len(tags(recipe.schema.types))
    for row in batches.dataset(articles, batches.coding_of(recipe), recipe.schema.types):
        targets = np.zeros((len(row["input_ids"]), count + len(MODALITIES)), dtype=np.float16)
        told = np.flatnonzero(row["labels"] != network.IGNORE)
        targets[told, row["labels"][told]] = 1
        manner = np.flatnonzero(row["modality_labels"] != network.IGNORE)
        targets[manner, count + row["modality_labels"][manner]] = 1
        made.append((row["input_ids"].astype(np.int64), targets))
    return made


def _student(config: DistilConfig, recipe: TrainConfig, start: network.Network | None) -> network.Network:
    """Return the network that will learn."""
    set_seed(config.seed)
    shape = dataclasses.replace(recipe, encoder_dropout=config.encoder_dropout, dropout=0.0)
    if start is None:
        net = train.new_network(shape)
    else:
        net = train.new_network(dataclasses.replace(shape, base="", layers=warmstart.depth(start)))
        sizes = [{n: v.shape for n, v in each.state_dict().items() if "loss" not in n} for each in (start, net)]
        if sizes[0] != sizes[1]:
            raise RecipeError(
                f"{config.start}: made of another encoder than {config.teachers[0]}, whose recipe it follows"
            )
        net.load_state_dict(start.state_dict(), strict=False)
    if recipe.freeze_embeddings:
        network.freeze_embeddings(net)
    return net


def _collate(rows: Sequence[tuple[Ints, Targets]]) -> dict[str, Tensor]:
    """Pad windows and their targets into a batch."""
    ids, mask = batches.pad([ids for ids, _ in rows])
    targets = np.zeros((*ids.shape, rows[0][1].shape[1]), dtype=np.float16)
    for at, (_, wanted) in enumerate(rows):
        targets[at, : len(wanted)] = wanted
    return {"input_ids": ids, "attention_mask": mask, "targets": torch.from_numpy(targets)}
