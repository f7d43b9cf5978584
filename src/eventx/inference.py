"""The torch network on text: windows in padded batches, spans and scores, in bf16 where that runs in hardware.

For training, distillation, cross-fitting and export; users' inference is `tagger`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from eventx.encode import Coding, Encoded, Floats, WordScores, decode, encode, gather, window_ids
from eventx.network import Network
from eventx.spans import Span


def predict(net: Network, coding: Coding, text: str, *, bf16: bool = False) -> list[Span]:
    """Return the spans that a torch network marks in a text."""
    return predict_all(net, coding, [encode(text, coding)], bf16=bf16)[0][0]


def predict_all(
    net: Network, coding: Coding, texts: Sequence[Encoded], *, bf16: bool = False
) -> list[tuple[list[Span], WordScores]]:
    """Return the spans that a torch network marks in each encoded text, and what it says of each word."""
    rows = [window_ids(encoded, coding) for encoded in texts]
    outputs = runner(net, bf16=bf16)([ids for windows in rows for ids in windows])
    found, at = [], 0
    for encoded, windows in zip(texts, rows, strict=True):
        scores = gather(encoded, outputs[at : at + len(windows)], coding)
        at += len(windows)
        found.append(([span for span, _ in decode(scores, net.types, net.modalities, net.transitions())], scores))
    return found


def runner(net: Network, *, batch: int = 32, bf16: bool = False) -> Any:
    """Return an `encode.Runner` that runs a network over windows in padded batches, in bf16 where that is enough."""

    def run(windows: Any) -> list[tuple[Floats, Floats]]:
        device = next(net.parameters()).device
        results: list[tuple[Floats, Floats]] = [(np.zeros((0, 0), np.float32),) * 2] * len(windows)
        order = sorted(range(len(windows)), key=lambda at: len(windows[at]))
        for low in range(0, len(order), batch):
            chosen = order[low : low + batch]
            longest = max(len(windows[at]) for at in chosen)
            ids = torch.zeros(len(chosen), longest, dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, at in enumerate(chosen):
                ids[row, : len(windows[at])] = torch.from_numpy(windows[at])
                mask[row, : len(windows[at])] = 1
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                output = net(ids.to(device), mask.to(device))
            tags, modalities = output["tags"].float().cpu().numpy(), output["modalities"].float().cpu().numpy()
            for row, at in enumerate(chosen):
                size = len(windows[at])
                results[at] = (tags[row, :size], modalities[row, :size])
        return results

    return run


def use_bf16(precision: str) -> bool:
    """Say whether to compute in bf16: as configured, or where its products run in hardware."""
    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def device() -> torch.device:
    """Return where to compute: a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
