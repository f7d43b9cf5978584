"""Continued masked-language pre-training of an encoder on unlabelled text (Devlin et al. 2019; Gururangan et al. 2020).

The result is an encoder folder (`config.json`, `model.safetensors`, `tokenizer.json`) that a training recipe can name
as its `encoder`. Labels are not known here.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import AutoConfig, AutoModel, Trainer, TrainerCallback, set_seed
from transformers.utils import logging

from eventx import batches, callbacks, runs, train
from eventx.encode import Coding, Ints
from eventx.network import IGNORE, attention
from eventx.recipe import PretrainConfig, RecipeError
from eventx.unlabelled import SHORTEST, Corpus


class Guesser(nn.Module):
    """An encoder with a head that guesses masked tokens, by its own word embeddings (Press and Wolf 2017)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        table = encoder.get_input_embeddings().weight  # type: ignore[operator]
        self.transform = nn.Sequential(
            nn.Linear(table.shape[1], table.shape[1]), nn.GELU(), nn.LayerNorm(table.shape[1])
        )
        self.bias = nn.Parameter(torch.zeros(table.shape[0]))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the loss over the tokens whose label, (batch, tokens), is not IGNORE."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        asked = labels != IGNORE
        table = self.encoder.get_input_embeddings().weight  # type: ignore[operator]
        logits = self.transform(hidden[asked]) @ table.T + self.bias
        return {"loss": nn.functional.cross_entropy(logits.float(), labels[asked])}


class _Windows(Dataset[Ints]):
    """The windows of a corpus."""

    def __init__(self, corpus: Corpus, coding: Coding) -> None:
        self.rows = [ids.astype(np.uint16) for ids in corpus.windows(coding, shortest=SHORTEST)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> Ints:
        return self.rows[at].astype(np.int64)


class _Mask:
    """Pads windows into a batch and hides tokens by BERT's rule: of those asked, 80% masked, 10% other, 10% kept."""

    def __init__(self, coding: Coding, share: float) -> None:
        token = coding.tokenizer.token_to_id("[MASK]")
        if token is None:
            raise RecipeError("the encoder's tokenizer has no [MASK]; masked-language pre-training needs one")
        self.mask, self.size, self.share = token, coding.tokenizer.get_vocab_size(), share
        self.special = (coding.first, coding.last)

    def __call__(self, rows: Sequence[Ints]) -> dict[str, Tensor]:
        """Return `input_ids`, `attention_mask` and `labels`, each (batch, tokens)."""
        ids, mask = batches.pad(rows)
        plain = mask.bool()
        for token in self.special:
            plain &= ids != token
        asked = plain & (torch.rand(ids.shape) < self.share)
        labels = torch.where(asked, ids, torch.full_like(ids, IGNORE))
        fate = torch.rand(ids.shape)
        ids = torch.where(asked & (fate < 0.8), torch.full_like(ids, self.mask), ids)
        ids = torch.where(asked & (fate >= 0.9), torch.randint(self.size, ids.shape), ids)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


class _Lines(TrainerCallback):
    """Reports the loss as it is logged."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report, self.started = report, time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Report a line."""
        if logs and "loss" in logs:
            seconds = time.monotonic() - self.started
            self.report(
                f"epoch {state.epoch:.2f}/{args.num_train_epochs:g}  loss {float(logs['loss']):.4f}  {seconds:.0f} s"
            )


def pretrain(
    config: PretrainConfig,
    corpus: Corpus,
    out: Path,
    *,
    resume: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Go on pre-training an encoder and write its folder.

    Args:
        config: what to do.
        corpus: unlabelled text, tokenised by `coding_of(config)`.
        out: the encoder folder to write; checkpoints stand in it meanwhile.
        resume: go on from the last checkpoint in `out`.
        report: called with a line now and then.

    Returns:
        The history: recipe, documents, tokens, losses, seconds. It also stands in `out`, as `history.json`.

    Raises:
        RecipeError: if the encoder cannot be had, there is no checkpoint to resume from, or `out` holds another run.
    """
    checkpoint = runs.last_checkpoint(out)
    if resume and checkpoint is None:
        raise RecipeError(f"{out}: no checkpoint to resume from; pre-train without --resume")
    if checkpoint is not None and not resume:
        raise RecipeError(f"{out}: holds an unfinished run; go on with --resume, or remove the folder")
    runs.settle(config.to_dict(), out / "pretrain.json", config.defaults())
    started = time.monotonic()
    set_seed(config.seed)
    coding = coding_of(config)
    place = batches.encoder_place(config.encoder)
    facts = AutoConfig.from_pretrained(place, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    body = AutoModel.from_pretrained(place, config=facts, attn_implementation=attention(), dtype=torch.float32)
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
    if config.freeze_embeddings:
        body.get_input_embeddings().requires_grad_(False)
    model = Guesser(body)
    rows = _Windows(corpus, coding)
    trainer = Trainer(
        model=model,
        args=train.arguments(
            config,
            out,
            seed=config.seed,
            dataloader_num_workers=4 if torch.cuda.is_available() else 0,
            remove_unused_columns=False,
            logging_steps=max(1, len(rows) // config.batch // 5),
        ),
        train_dataset=rows,
        data_collator=_Mask(coding, config.masked),
        callbacks=[_Lines(report)],
    )
    callbacks.quiet(trainer)
    trainer.train(resume_from_checkpoint=checkpoint if resume else None)
    body.to("cpu").save_pretrained(out)
    coding.tokenizer.save(str(out / "tokenizer.json"))
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    history = {
        "config": config.to_dict(),
        "documents": len(corpus),
        "tokens": int(corpus.bounds[-1]),
        "losses": [
            {"epoch": entry["epoch"], "loss": entry["loss"]} for entry in trainer.state.log_history if "loss" in entry
        ],
        "seconds": round(time.monotonic() - started, 1),
    }
    (out / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    return history


def coding_of(config: PretrainConfig) -> Coding:
    """Return how a recipe turns text into windows: no token twice."""
    return batches.coding_for(config.encoder, window=config.window, overlap=0)
