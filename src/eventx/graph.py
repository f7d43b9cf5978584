"""A torch network -> ONNX graphs, float and 8-bit.

The graph takes one input, `ids` (batch, tokens), windows of equal length; it gives `tags` and `modalities`, both
(batch, tokens, classes). Attention becomes ONNX Runtime's fused operator. Matrix products are of activations in 8 bits
and weights in 7, which any processor sums exactly: a scale a column of weights, one for all activations of a run, of
which a few channels would take the most part; before the products that suffer from it, channels are brought closer
together and the weights apart (SmoothQuant, Xiao et al. 2023). Word embeddings are in 4 bits, a scale a block of
channels. Sums and normalisation stay apart: ONNX Runtime's operator for both together takes four times as long as the
two on a CPU.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from eventx import inference, network
from eventx.encode import Floats, Ints

_ATTENTION = "eventx_fused"
_OPSET = 20
_SMOOTHING = 0.8
"""How much of the spread of activations moves into the weights, from 0 to 1."""
_APART = 0.01
"""How far a float graph's logits may be from the network's."""


class GraphError(RuntimeError):
    """A network that no graph can stand for; the message says why."""


class _Inference(nn.Module):
    """A network as the exported graph has it: ids in, logits out, no mask."""

    def __init__(self, net: network.Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return tag and modality logits."""
        hidden = self.net.encoder(input_ids=ids, attention_mask=None).last_hidden_state
        return self.net.tag_head(hidden), self.net.modality_head(hidden)


def to_onnx(net: network.Network, place: Path) -> None:
    """Write a network as a float ONNX graph with fused attention, normalisation and GELU."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    AttentionInterface.register(_ATTENTION, _attention)
    AttentionMaskInterface.register(_ATTENTION, lambda *_, **__: None)
    before = net.encoder.config._attn_implementation  # type: ignore[union-attr]
    net.encoder.set_attn_implementation(_ATTENTION)  # type: ignore[operator]
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own internals
            torch.onnx.export(
                _Inference(net).eval(),
                (torch.randint(5, 100, (2, 40)),),
                str(place),
                input_names=["ids"],
                output_names=["tags", "modalities"],
                dynamo=True,
                dynamic_shapes=(
                    {0: torch.export.Dim("batch", min=1, max=1024), 1: torch.export.Dim("tokens", min=2, max=512)},
                ),
                external_data=False,
                opset_version=_OPSET,
                verbose=False,
            )
    finally:
        net.encoder.set_attn_implementation(before)  # type: ignore[operator]
    config = net.encoder.config
    options = FusionOptions("bert")
    options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = options.enable_embed_layer_norm = False
    graph = optimizer.optimize_model(
        str(place),
        model_type="bert",
        num_heads=config.num_attention_heads,  # type: ignore[union-attr]
        hidden_size=config.hidden_size,  # type: ignore[union-attr]
        opt_level=0,
        optimization_options=options,
    )
    _straighten(graph.model)
    graph.save_model_to_file(str(place))


def agree(net: network.Network, place: Path, windows: Sequence[Ints]) -> None:
    """Make sure that a float graph says what the network does.

    Raises:
        GraphError: if it cannot be run or says otherwise: the exporter knows encoders that attend as BERT does.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    kind = net.encoder.config.model_type  # type: ignore[union-attr]
    try:
        session = onnxruntime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])
        said = [session.run(None, {"ids": ids[None]})[0][0] for ids in windows]
    except Exception as error:  # the runtime's own, of many kinds
        raise GraphError(f"an encoder of the kind {kind} cannot be exported: {str(error).splitlines()[0]}") from error
    for (tags, _), graph in zip(inference.runner(net)(list(windows)), said, strict=True):
        apart = float(np.abs(np.asarray(graph) - tags).max())
        if not apart < _APART:
            raise GraphError(f"an encoder of the kind {kind} cannot be exported: its logits part by {apart:.2g}")


def quantise(source: Path, target: Path, windows: Sequence[Ints]) -> None:
    """Write the int8 version of a float graph, with ONNX Runtime's own fusions already made.

    Args:
        source: the float graph.
        target: the file to write.
        windows: token ids of some text, which tell the spread of activations; without any it is left as it is.
    """
    with tempfile.TemporaryDirectory() as place:
        smooth, step = Path(place) / "smooth.onnx", Path(place) / "step.onnx"
        model = onnx.load(str(source))
        if windows:
            _smooth(model, _spread(model, windows))
        onnx.save(model, str(smooth))
        root = logging.getLogger()
        before = root.level, list(root.handlers)
        logging.disable(logging.WARNING)  # advice to preprocess, which is done
        try:
            # Imported here, since the module sets up the logging of the whole process.
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantize_dynamic(
                smooth,
                step,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                reduce_range=True,  # processors without VNNI sum pairs of products in 16 bits, where 8 + 7 bits fit
            )
        finally:
            logging.disable(logging.NOTSET)
            root.level, root.handlers = before
        model = onnx.load(str(step))
        _quantise_embeddings(model)
        onnx.save(model, str(step))
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(
            str(step), options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
        )


def _straighten(model: onnx.ModelProto) -> None:
    """Take out the pairs of reshapes around attention, which come to nothing together."""
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type != "MultiHeadAttention":
            continue
        for at, given in enumerate(node.input[:3]):
            name = given
            while made_by[name].op_type == "Reshape":
                name = made_by[name].input[0]
            node.input[at] = name
        end = node.output[0]
        while [each.op_type for each in _users(graph, end)] == ["Reshape"]:
            end = _users(graph, end)[0].output[0]
        for user in _users(graph, end):
            for at, name in enumerate(user.input):
                if name == end:
                    user.input[at] = node.output[0]
    wanted = {each.name for each in graph.output}
    while True:
        wanted |= {name for node in graph.node for name in node.input}
        idle = [node for node in graph.node if not wanted.intersection(node.output)]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
        wanted = {each.name for each in graph.output}
    for tensor in [each for each in graph.initializer if each.name not in wanted]:
        graph.initializer.remove(tensor)


def _users(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """Return the nodes that take a value."""
    return [node for node in graph.node if name in node.input]


def _products(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, onnx.TensorProto]]:
    """Yield the two products of each feed-forward layer, before and behind its GELU, and their weights.

    Rounding their activations is what costs: plainly quantised, the first gives a fifth of the divergence from the
    float model and the second nearly all the rest.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    around = {name for node in graph.node if "Gelu" in node.op_type for name in (*node.input[:1], *node.output)}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights and around & {node.input[0], node.output[0]}:
            yield node, weights[node.input[1]]


def _spread(model: onnx.ModelProto, windows: Sequence[Ints]) -> dict[str, Floats]:
    """Return the largest magnitude of each channel of the activations that `_products` names."""
    asked = onnx.ModelProto.FromString(model.SerializeToString())
    names = sorted({node.input[0] for node, _ in _products(asked.graph)})
    asked.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(asked.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: dict[str, Floats] = {}
    for ids in windows:
        for name, value in zip(names, session.run(names, {"ids": ids[None]}), strict=True):
            largest = np.abs(np.asarray(value)).reshape(-1, np.asarray(value).shape[-1]).max(axis=0)
            found[name] = np.maximum(found.get(name, np.zeros_like(largest)), largest)
    return found


def _smooth(model: onnx.ModelProto, spread: Mapping[str, Floats]) -> None:
    """Divide activations by a factor a channel and multiply the weights by it: the same product, easier to round."""
    graph = model.graph
    for node, weights in list(_products(graph)):
        table = numpy_helper.to_array(weights)
        wide, deep = np.maximum(spread[node.input[0]], 1e-5), np.maximum(np.abs(table).max(axis=1), 1e-5)
        factor = wide**_SMOOTHING / deep ** (1 - _SMOOTHING)
        factor = (factor / np.exp(np.log(factor).mean())).astype(np.float32)
        weights.CopyFrom(numpy_helper.from_array((table * factor[:, None]).astype(np.float32), weights.name))
        divisor, smoothed = f"{weights.name}_smooth", f"{weights.name}_smoothed"
        graph.initializer.append(numpy_helper.from_array(1 / factor, divisor))
        at = list(graph.node).index(node)
        graph.node.insert(at, helper.make_node("Mul", [node.input[0], divisor], [smoothed]))
        node.input[0] = smoothed


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Stand for attention over (batch, heads, tokens, width) by ONNX Runtime's MultiHeadAttention operator."""
    batch, heads, tokens, width = query.shape
    flat = [part.transpose(1, 2).reshape(batch, tokens, heads * width) for part in (query, key, value)]
    attributes: dict[str, Any] = {"num_heads": heads}
    if options.get("scaling") is not None:
        attributes["scale"] = float(options["scaling"])
    result = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        flat,
        attributes,
        dtype=query.dtype,
        shape=(batch, tokens, heads * width),
        version=1,
    )
    return result.view(batch, tokens, heads, width), None


def _quantise_embeddings(model: onnx.ModelProto) -> None:
    """Turn each large float table that is only gathered from into blocks of 4-bit numbers with a scale a block."""
    graph = model.graph
    tables = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for at, node in reversed(list(enumerate(graph.node))):
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < 1000:
            continue
        numbers, scales = network.in_blocks(numpy_helper.to_array(table))
        rows, width = table.dims
        wide = numbers.shape[1] * numbers.shape[2]
        pairs = numbers.astype(np.uint8).reshape(-1, 2) & 15
        packed = (pairs[:, 0] | pairs[:, 1] << 4).tobytes()
        name, indices, result = table.name, node.input[1], node.output[0]
        graph.initializer.remove(table)
        graph.initializer.append(helper.make_tensor(f"{name}_int4", TensorProto.INT4, [rows, wide], packed, raw=True))
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scale"))
        graph.node.remove(node)
        made = [
            helper.make_node(
                "GatherBlockQuantized",
                [f"{name}_int4", indices, f"{name}_scale"],
                [f"{name}_rows"],
                domain="com.microsoft",
                gather_axis=0,
                quantize_axis=1,
                block_size=numbers.shape[2],
            ),
            helper.make_node(
                "Cast", [f"{name}_rows"], [f"{name}_wide" if wide > width else result], to=TensorProto.FLOAT
            ),
        ]
        if wide > width:
            for part, value in (("first", 0), ("last", width), ("axis", -1)):
                graph.initializer.append(numpy_helper.from_array(np.array([value]), f"{name}_{part}"))
            ends = [f"{name}_{part}" for part in ("first", "last", "axis")]
            made.append(helper.make_node("Slice", [f"{name}_wide", *ends], [result]))
        for offset, each in enumerate(made):
            graph.node.insert(at + offset, each)
