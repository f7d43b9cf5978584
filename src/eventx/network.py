"""The torch network: a pre-trained encoder with a head for BIO tags and a head for modality.

It knows tensors only: no text, no label files, no training loop. torch and transformers are imported here, so only
training and export may import this room.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AttentionInterface, AutoConfig, AutoModel
from transformers.masking_utils import AttentionMaskInterface, eager_mask
from transformers.utils import logging

from eventx.encode import Floats, allowed

IGNORE = -100
"""The label of a token that no loss counts."""
_PLAIN = "eventx_plain"
_BLOCK = 32
"""Channels of a word embedding that share a scale."""


class Network(nn.Module):
    """An encoder with two linear heads over its last hidden states, and optionally a CRF over the tags.

    Args:
        encoder: a transformers encoder that takes `input_ids` and `attention_mask`.
        types: event types in the order of their tag ids.
        modalities: in the order of their class ids.
        dropout: on the hidden states before the heads.
        tag_weights: (tags,) weights of the tag loss.
        label_smoothing: of the tag loss, in [0, 1).
        modality_weight: of the modality loss beside the tag loss.
        crf: learn transition scores between the tags of successive words (Lafferty et al. 2001).
    """

    def __init__(
        self,
        encoder: nn.Module,
        types: list[str],
        modalities: list[str],
        *,
        dropout: float = 0.1,
        tag_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        modality_weight: float = 0.3,
        crf: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.types, self.modalities = types, modalities
        self.dropout = nn.Dropout(dropout)
        self.tag_head = nn.Linear(width, 2 * len(types) + 1)
        self.modality_head = nn.Linear(width, len(modalities))
        self.tag_loss = nn.CrossEntropyLoss(weight=tag_weights, ignore_index=IGNORE, label_smoothing=label_smoothing)
        self.modality_loss = nn.CrossEntropyLoss(ignore_index=IGNORE, reduction="sum")
        self.modality_weight = modality_weight
        self.crf = Crf(types) if crf else None

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        modality_labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return tag and modality logits, (batch, tokens, classes), and the loss where labels are given."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        hidden = self.dropout(hidden)
        tags, modalities = self.tag_head(hidden), self.modality_head(hidden)
        result = {"tags": tags, "modalities": modalities}
        if labels is not None and modality_labels is not None:
            if self.crf is not None:
                loss = self.crf.loss(tags.float(), labels)
            else:
                loss = self.tag_loss(tags.float().flatten(0, 1), labels.flatten())
            told = (modality_labels != IGNORE).sum().clamp(min=1)
            modality = self.modality_loss(modalities.float().flatten(0, 1), modality_labels.flatten()) / told
            result = {"loss": loss + self.modality_weight * modality, **result}
        return result

    def transitions(self) -> Floats:
        """Return the (tags + 1, tags) scores that decoding adds: learned by the CRF, or only what BIO allows."""
        table = allowed(self.types)
        return table if self.crf is None else table + self.crf.scores.detach().float().cpu().numpy()


class SharedDropout(nn.Module):
    """Dropout of whole channels of a sequence: one draw a window and channel, shared by its tokens (Gal 2016).

    Drawing for every token takes a third of a training step on a CPU; this takes nothing that can be measured.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, hidden: Tensor) -> Tensor:
        """Drop channels of (batch, tokens, width) while training."""
        if not self.training or self.p == 0:
            return hidden
        kept = torch.rand(hidden.shape[0], 1, hidden.shape[-1], device=hidden.device) >= self.p
        return hidden * (kept / (1 - self.p)).to(hidden.dtype)


class Crf(nn.Module):
    """A linear-chain CRF over BIO tags: (tags + 1, tags) transition scores, the last row for the start."""

    def __init__(self, types: list[str]) -> None:
        super().__init__()
        valid = torch.from_numpy(allowed(types))
        self.scores = nn.Parameter(torch.zeros_like(valid))
        self.barred: Tensor
        self.register_buffer("barred", torch.where(torch.isinf(valid), -1e4, 0.0), persistent=False)

    def loss(self, emissions: Tensor, labels: Tensor) -> Tensor:
        """Return the negative log likelihood a token of `labels` (batch, tokens), `IGNORE` where a token has none."""
        told = labels != IGNORE
        order = torch.argsort((~told).to(torch.int8), dim=1, stable=True)
        steps = int(told.sum(1).max())
        gold = labels.gather(1, order)[:, :steps].clamp(min=0)
        mask = told.gather(1, order)[:, :steps]
        emissions = emissions.gather(1, order[..., None].expand_as(emissions))[:, :steps]
        table = self.scores + self.barred
        alpha = table[-1] + emissions[:, 0]
        path = alpha.gather(1, gold[:, :1]).squeeze(1)
        for at in range(1, steps):
            here = mask[:, at]
            moved = torch.logsumexp(alpha[:, :, None] + table[:-1], dim=1) + emissions[:, at]
            alpha = torch.where(here[:, None], moved, alpha)
            step = table[gold[:, at - 1], gold[:, at]] + emissions[:, at].gather(1, gold[:, at : at + 1]).squeeze(1)
            path = path + torch.where(here, step, torch.zeros_like(step))
        return (torch.logsumexp(alpha, dim=1) - path).sum() / told.sum().clamp(min=1)


def build(encoder: str, types: list[str], modalities: list[str], *, encoder_dropout: float, **options: Any) -> Network:
    """Return a network on the pre-trained encoder at a local folder or of a hub name, its heads untrained.

    `encoder_dropout` is that of the encoder's hidden states, shared along a window. Attention weights are never
    dropped.
    """
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = AutoConfig.from_pretrained(encoder)
    for name in ("attention_probs_dropout_prob", "attention_dropout"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    body = AutoModel.from_pretrained(encoder, config=config, attn_implementation=attention(), dtype=torch.float32)
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
    for module in list(body.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout) and child.p > 0:
                setattr(module, name, SharedDropout(encoder_dropout))
    return Network(body, types, modalities, **options)


def attention() -> str:
    """Return the attention to train with: fused on a GPU; on a CPU, where that is slow backwards, `_plain`."""
    return "sdpa" if torch.cuda.is_available() else _PLAIN


def _plain(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attend from (batch, heads, tokens, width) to (batch, tokens, heads, width), product by product.

    It scales the queries, not the scores, and adds the mask in the precision of the scores: transformers' own ("eager")
    computes all that follows in the mask's 32 bits, and a step of training in bf16 takes almost twice as long by it.
    """
    scaling = options.get("scaling") or query.shape[-1] ** -0.5
    scores = (query * scaling) @ key.transpose(-1, -2)
    if mask is not None:  # its least value is none of bf16, and a row of minus infinity would have no softmax
        scores += mask.clamp(min=torch.finfo(scores.dtype).min).to(scores.dtype)
    shares = nn.functional.dropout(scores.softmax(-1), options.get("dropout", 0.0), module.training)
    return (shares @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(_PLAIN, _plain)
AttentionMaskInterface.register(_PLAIN, eager_mask)


def in_blocks(table: Floats) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Round a (rows, width) table to 4 bits, as exported models hold word embeddings.

    A block's largest value would stand at -8; of scales down from that, each block takes the one of least square error.
    A table that has been rounded stays as it is.

    Returns:
        (rows, blocks, 32) numbers from -8 to 7, and the (rows, blocks) scales to multiply them by; rows that 32 does
        not part are filled up with zeros.
    """
    blocks = np.pad(table, ((0, 0), (0, -table.shape[1] % _BLOCK))).reshape(len(table), -1, _BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1, keepdims=True), axis=-1)
    best, numbers, scales = np.full(largest.shape, np.inf), np.zeros(blocks.shape, np.int8), np.zeros_like(largest)
    for share in (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7):
        scale = (largest * (share / -8)).astype(np.float16).astype(np.float32)
        rounded = np.clip(np.rint(blocks / np.where(scale == 0, 1, scale)), -8, 7)
        error = np.square(rounded * scale - blocks).sum(axis=-1, keepdims=True)
        better = error < best
        best = np.where(better, error, best)
        numbers = np.where(better, rounded, numbers).astype(np.int8)
        scales = np.where(better, scale, scales)
    return numbers, scales[..., 0].astype(np.float16)


def from_blocks(numbers: NDArray[Any], scales: NDArray[Any], width: int) -> Floats:
    """Return the (rows, width) table that `in_blocks` rounded to."""
    blocks = numbers.astype(np.float32) * scales.astype(np.float32)[..., None]
    return blocks.reshape(len(numbers), -1)[:, :width]


def freeze_embeddings(network: Network) -> None:
    """Keep word embeddings from learning, rounded as an exported model holds them: what learns, learns with these."""
    table = network.encoder.get_input_embeddings().weight  # type: ignore[operator]
    table.requires_grad_(False)
    rounded = from_blocks(*in_blocks(table.detach().cpu().numpy()), table.shape[1])
    table.copy_(torch.from_numpy(rounded))


def save(network: Network, folder: Path) -> None:
    """Write a network into a folder: `encoder.json`, `network.json`, `network.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encoder.json").write_text(network.encoder.config.to_json_string(), encoding="utf-8")  # type: ignore[union-attr, operator]
    facts = {"types": network.types, "modalities": network.modalities, "crf": network.crf is not None}
    (folder / "network.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    beside = folder / "network.safetensors.writing"  # that the file is there says that it is whole
    save_file(_weights(network), beside)
    os.replace(beside, folder / "network.safetensors")


def load(folder: Path) -> Network:
    """Read a network that `save` wrote, ready for inference.

    Raises:
        FileNotFoundError: if the folder holds no network.
    """
    facts = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    facts_of_encoder = json.loads((folder / "encoder.json").read_text("utf-8"))
    body = AutoModel.from_config(AutoConfig.for_model(**facts_of_encoder))  # type: ignore[no-untyped-call]
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
    network = Network(body, facts["types"], facts["modalities"], crf=facts["crf"])
    network.load_state_dict(load_file(folder / "network.safetensors"), strict=True)
    return network.eval()


def _weights(network: Network) -> dict[str, Tensor]:
    """Return a network's weights without the class weights of its losses, which are the recipe's."""
    return {name: value.contiguous() for name, value in network.state_dict().items() if "loss" not in name}


def average(networks: Sequence[Network], shares: Sequence[float] | None = None) -> Network:
    """Return the first network with the mean of all their weights (a soup, Wortsman et al. 2022).

    Args:
        networks: of one shape, from one start.
        shares: of each in the mean, summing to 1; equal ones if None.
    """
    states = [_weights(network) for network in networks]
    shares = [1 / len(states)] * len(states) if shares is None else shares
    mean = {name: sum(share * state[name] for share, state in zip(shares, states, strict=True)) for name in states[0]}
    networks[0].load_state_dict(mean, strict=False)
    return networks[0]
