"""Warm starts: a network goes on from another's weights, also deeper than it was; model files become weights again."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from eventx import schema
from eventx.network import Network, from_blocks


class BaseError(ValueError):
    """A network to go on from that cannot be used; the message says why."""


def depth(network: Network) -> int:
    """Return the number of layers of a network's encoder."""
    return int(network.encoder.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]


def grow(network: Network, layers: int) -> None:
    """Make an encoder deeper, by layers that hardly change what passes through them until they learn.

    The new layers are spread evenly. Each is a copy of the one that it follows with nothing of its own added to its
    input (block expansion, Wu et al. 2024), and with normalisations that restore the mean and spread that the one
    before it gives: the identity but for how much the spread of single tokens differs.

    Raises:
        BaseError: if the encoder is deeper already, or not built of BERT's layers.
    """
    have = depth(network)
    if layers == have:
        return
    if layers < have:
        raise BaseError(f"layers is {layers}; this encoder has {have} already")
    config: Any = network.encoder.config
    stack: Any = getattr(getattr(network.encoder, "encoder", None), "layer", None)
    if stack is None or not all(_is_berts(each) for each in stack):
        raise BaseError(f"an encoder of the kind {config.model_type} cannot be made deeper; only one built as BERT can")
    more = layers - have
    after = Counter(-(-(number + 1) * have // more) - 1 for number in range(more))
    grown: list[nn.Module] = []
    for at, layer in enumerate(stack):
        grown += [layer, *(_passing(layer, config) for _ in range(after[at]))]
    network.encoder.encoder.layer = nn.ModuleList(grown)  # type: ignore[union-attr]
    config.num_hidden_layers = layers


def _is_berts(layer: Any) -> bool:
    """Say whether a layer adds and normalises where BERT's does, and nowhere else."""
    parts = {name for name, _ in layer.named_children()}
    if parts != {"attention", "intermediate", "output"}:
        return False
    sums = [getattr(layer.attention, "output", None), layer.output]
    return all(
        isinstance(getattr(each, name, None), kind)
        for each in sums
        for name, kind in (("dense", nn.Linear), ("LayerNorm", nn.LayerNorm))
    )


def _passing(layer: Any, config: Any) -> Any:
    """Return a copy of a BERT layer that passes on what the layer gives; `config` is shared, not copied."""
    given = layer.output.LayerNorm
    made = copy.deepcopy(layer, {id(config): config})
    with torch.no_grad():
        spread = float((given.weight.pow(2).mean() + given.bias.var(correction=0)).sqrt())
        for part in (made.attention.output, made.output):
            part.dense.weight.zero_()
            part.dense.bias.zero_()
            part.LayerNorm.weight.fill_(spread)
            part.LayerNorm.bias.fill_(float(given.bias.mean()))
    return made


def begin_with(network: Network, folder: Path) -> None:
    """Give a network the weights of a run folder or of an exported model folder, head rows by their names.

    A base with more layers makes the network as deep (`grow`). Types that it does not have keep the heads they were
    drawn with. An exported model's weights come back from 8 bits and fewer: they part from those that were exported by
    what rounding took.

    Raises:
        BaseError: if the folder holds neither, or its encoder has another shape.
    """
    if (folder / "network.safetensors").is_file():
        facts = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        state = load_file(folder / "network.safetensors")
    elif (folder / "model.onnx").is_file():
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        state = _exported(folder / "model.onnx")
    else:
        raise BaseError(f"{folder}: neither a run nor a model; name a folder that eventx train or export wrote")
    layers = {found[1] for name in state if (found := re.match(r"encoder\.encoder\.layer\.(\d+)\.", name))}
    if len(layers) > depth(network):
        grow(network, len(layers))
    own = network.state_dict()
    body = {name for name in own.keys() | state if name.startswith("encoder.") and "position_ids" not in name}
    wrong = sorted(n for n in body if n not in state or n not in own or state[n].shape != own[n].shape)
    if wrong:
        raise BaseError(f"{folder}: made of another encoder ({wrong[0]} differs); name the same in the recipe")
    old, new = schema.tags(facts["types"]), schema.tags(network.types)
    for head, had, has in (
        ("tag_head", old, new),
        ("modality_head", facts["modalities"], network.modalities),
    ):
        for part in ("weight", "bias"):
            rows = own[f"{head}.{part}"].clone()
            for at, name in enumerate(has):
                if name in had:
                    rows[at] = state[f"{head}.{part}"][had.index(name)]
            state[f"{head}.{part}"] = rows
    kept = {n: value for n, value in state.items() if n in own and (old == new or not n.startswith("crf."))}
    network.load_state_dict(kept, strict=False)


def _exported(place: Path) -> dict[str, Tensor]:
    """Return the weights of an exported graph in float, by the names they have in a network.

    The graph keeps the names of all but its matrix products (8-bit weights with a scale a column, divided beforehand
    where activations were smoothed); these are named by the bias that is added to them. Word embeddings have a scale a
    block.

    Raises:
        BaseError: if the graph does not hold what the network needs.
    """
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(str(place)).graph
    held = {each.name: to_array(each) for each in graph.initializer}
    floats = {name.removeprefix("net."): value for name, value in held.items() if value.dtype == np.float32}
    state = {name: torch.from_numpy(np.array(value)) for name, value in floats.items()}
    table = "encoder.embeddings.word_embeddings.weight"
    if f"net.{table}_int4" in held:
        numbers, scales = held[f"net.{table}_int4"], held[f"net.{table}_scale"]
        width = state["encoder.embeddings.LayerNorm.weight"].shape[0]
        rows = from_blocks(numbers.astype(np.int8).reshape(*scales.shape, -1), scales, width)
        state[table] = torch.from_numpy(np.ascontiguousarray(rows))
    elif f"net.{table}_int8" in held:  # as models were exported before
        rows = held[f"net.{table}_int8"].astype(np.float32) * state.pop(f"{table}_scale").numpy().reshape(-1, 1)
        state[table] = torch.from_numpy(rows)
    elif table not in state:
        raise BaseError(f"{place}: not a model of this version; name its run folder instead")
    scale_at = {"DynamicQuantizeMatMul": 2, "MatMulIntegerToFloat": 3}
    divisors = {n.output[0]: held[n.input[1]] for n in graph.node if n.op_type == "Mul" and n.input[1] in held}
    for node in graph.node:
        if node.op_type not in scale_at:
            continue
        weight = (held[node.input[1]].astype(np.float32) * held[node.input[scale_at[node.op_type]]]).T
        weight = weight * divisors.get(node.input[0], np.float32(1))
        # Its bias stands beside it, or in the operator that was fused with what follows it.
        after = [name for other in graph.node if node.output[0] in other.input for name in other.input]
        near = [name for name in [*node.input, *after] if name.endswith(".bias") and "LayerNorm" not in name]
        if not near:
            raise BaseError(f"{place}: holds a matrix product without a name; name its run folder instead")
        name = near[0].removeprefix("net.").removesuffix("bias")
        state[f"{name}weight"] = torch.from_numpy(np.ascontiguousarray(weight))
    if "tag_head.weight" not in state:
        raise BaseError(f"{place}: its weights are kept in another way; name its run folder instead")
    return state
