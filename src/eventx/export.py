"""A trained run -> model folders: fused float ONNX, then int8. Refuses to write an int8 model that reads worse.

The graph takes one input, `ids` (batch, tokens), windows of equal length; it gives `tags` and `modalities`, both
(batch, tokens, classes). Attention becomes ONNX Runtime's fused operator. Matrix products are of activations in 8 bits
and weights in 7, which any processor sums exactly: a scale a column of weights, one for all activations of a run, of
which a few channels would take the most part; before the products that suffer from it, channels are brought closer
together and the weights apart (SmoothQuant, Xiao et al. 2023). Word embeddings are quantised a row at a time. Sums and
normalisation stay apart: ONNX Runtime's operator for both together takes four times as long as the two on a CPU.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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

from eventx import calibrate, network, train
from eventx.encode import Floats, Ints, WordScores, decode, encode, window_ids
from eventx.labels import Article
from eventx.metrics import count, expected_calibration_error
from eventx.recipe import TrainConfig
from eventx.spans import Span
from eventx.tagger import ModelConfig, Tagger, calibrated, load

_ATTENTION = "eventx_fused"
_OPSET = 20
_SMOOTHING = 0.8
"""How much of the spread of activations moves into the weights, from 0 to 1."""
_SMOOTHED = 48
"""Windows that tell the spread of activations."""
_APART = 0.01
"""How far a float graph's logits may be from the network's."""


class ExportError(RuntimeError):
    """A run that cannot become a model; the message says why."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What the exported models score on held-out articles: exact micro-F1, and calibration errors of the int8 model."""

    float_f1: float
    int8_f1: float
    error_before: float
    error_after: float


def export(
    run: Path,
    out: Path,
    held_out: Sequence[Article],
    *,
    name: str,
    calibrating: bool = True,
    max_loss: float = 0.005,
    report: Callable[[str], None] = lambda line: None,
) -> Quality:
    """Write the float model to `run/float` and the int8 model to `out`, calibrated on held-out articles.

    Args:
        run: a run folder that training finished.
        out: the model folder to write.
        held_out: labelled articles; the run must not have learnt from them if they are to calibrate it.
        name: of the model.
        calibrating: fit the calibration on `held_out`; False where the run did learn from these articles.
        max_loss: how much exact micro-F1 int8 may lose against float on `held_out`.
        report: called with a line at each step.

    Raises:
        ExportError: if the run is unfinished, its encoder cannot be exported, or int8 loses more than `max_loss`; then
            `out` is left as it was.
    """
    if not (run / "network.safetensors").is_file():
        raise ExportError(f"{run}: no trained network there; finish the run with eventx train")
    facts = train.read_run(run)
    net = network.load(run)
    if tuple(net.types) != facts.schema.types:
        raise ExportError(
            f"{run}: its network has the types {', '.join(net.types)}, its recipe (run.json) says "
            f"{', '.join(facts.schema.types)}; train it again"
        )
    config = ModelConfig(
        name=name,
        types=tuple(net.types),
        modalities=tuple(net.modalities),
        window=facts.window,
        overlap=facts.overlap,
        pieces=facts.pieces,
        lead=facts.lead,
        transitions=net.transitions() if net.crf is not None else None,
        calibration=dict.fromkeys(net.types, (1.0, 0.0)),
        thresholds=dict.fromkeys(net.types, 0.0),
        precision=(),
        learnt=facts.train,
        digests={},
    )
    tokenizer = (run / "tokenizer.json").read_bytes()
    if calibrating:
        bias = _settle_outside(net, facts, held_out)
        report(f"logit of words outside events raised by {bias:g} for the highest F1 on {len(held_out)} articles")
    with tempfile.TemporaryDirectory() as place:
        fused = Path(place) / "float.onnx"
        to_onnx(net, fused)
        windows = _windows(held_out, facts)
        _agree(net, fused, windows[:4])
        _write_model(run / "float", fused.read_bytes(), tokenizer, replace(config, name=f"{name}-float"))
        report(f"float model written to {run / 'float'}")
        small = Path(place) / "int8.onnx"
        quantise(fused, small, windows)
        trial = Path(place) / "model"
        _write_model(trial, small.read_bytes(), tokenizer, config)
        report(f"comparing int8 with float on {len(held_out)} articles")
        float_spans = _spans(load(run / "float"), held_out)
        int8_spans = _spans(load(trial), held_out)
        gold = [article.spans for article in held_out]
        float_f1 = count(gold, [[span for span, _ in found] for found in float_spans]).f1
        int8_f1 = count(gold, [[span for span, _ in found] for found in int8_spans]).f1
        if int8_f1 < float_f1 - max_loss:
            raise ExportError(
                f"int8 scores {int8_f1:.4f}, float {float_f1:.4f}: it loses more than {max_loss}; not written"
            )
        config, before, after = _calibrated(config, gold, int8_spans, calibrating)
        _write_model(out, small.read_bytes(), tokenizer, config)
    report(f"int8 model written to {out}: F1 {int8_f1:.4f}, float {float_f1:.4f}, before thresholds")
    return Quality(float_f1, int8_f1, before, after)


def recalibrate(
    model: Path,
    out: Path,
    held_out: Sequence[Article],
    *,
    window: int | None = None,
    overlap: int | None = None,
) -> Quality:
    """Write a model folder with another calibration, thresholds and table of precisions; the network stays as it is.

    Args:
        model: the model folder to begin with.
        out: the folder to write; may be the same.
        held_out: labelled articles that the model has not learnt from.
        window: token ids in a window; as it was if None.
        overlap: tokens that neighbouring windows share; as it was if None.

    Raises:
        ModelError: if there is no such model.
        ExportError: if the overlap does not fit the window, or the window not the encoder.
    """
    config = load(model).config
    config = replace(
        config,
        window=config.window if window is None else window,
        overlap=config.overlap if overlap is None else overlap,
        calibration=dict.fromkeys(config.types, (1.0, 0.0)),
        thresholds=dict.fromkeys(config.types, 0.0),
    )
    if not 0 <= config.overlap < config.window - 2 - (config.lead + 1 if config.lead else 0):
        raise ExportError(f"an overlap of {config.overlap} does not fit windows of {config.window}; name others")
    graph, tokenizer = (model / "model.onnx").read_bytes(), (model / "tokenizer.json").read_bytes()
    gold = [article.spans for article in held_out]
    with tempfile.TemporaryDirectory() as place:
        _write_model(Path(place), graph, tokenizer, config)
        tagger = load(Path(place))
        try:
            tagger.spans("word " * config.window)
        except Exception as error:  # the runtime's own, of many kinds
            raise ExportError(f"windows of {config.window} are longer than the model's encoder reads") from error
        spans = _spans(tagger, held_out)
    f1 = count(gold, [[span for span, _ in found] for found in spans]).f1
    config, before, after = _calibrated(config, gold, spans, True)
    _write_model(out, graph, tokenizer, config)
    return Quality(f1, f1, before, after)


def _calibrated(
    config: ModelConfig,
    gold: Sequence[Sequence[Span]],
    spans: Sequence[Sequence[tuple[Span, float]]],
    calibrating: bool,
) -> tuple[ModelConfig, float, float]:
    """Return a configuration fitted on held-out spans with raw scores, and calibration errors before and after."""
    exact = [{(span.start, span.end, span.label) for span in wanted} for wanted in gold]
    raw = [
        calibrate.Marked(span.label, score, (span.start, span.end, span.label) in right)
        for right, found in zip(exact, spans, strict=True)
        for span, score in found
    ]
    sure = raw
    if calibrating:
        curves = calibrate.fit(raw, config.types)
        sure = [replace(span, score=calibrated(span.score, curves[span.label])) for span in raw]
        cuts = calibrate.thresholds(sure, config.types, sum(map(len, gold)))
        table = calibrate.precision_table(sure)
        config = replace(config, calibration=curves, thresholds=cuts, precision=tuple(table))
    before, after = (
        expected_calibration_error([span.score for span in found], [span.right for span in found]) if found else 0.0
        for found in (raw, sure)
    )
    return config, before, after


def _settle_outside(net: network.Network, facts: TrainConfig, held_out: Sequence[Article]) -> float:
    """Shift the logit of O so that the network marks as much as serves F1 on held-out articles; return the shift."""
    coding = train.coding_of(facts)
    said = train.predict_all(net, coding, [encode(article.text or "", coding) for article in held_out])
    gold = [article.spans for article in held_out]

    def f1(bias: float) -> float:
        found = []
        for _, scores in said:
            shifted = scores.tags.copy()
            if shifted.size:
                shifted[:, 0] += bias
            moved = WordScores(scores.words, shifted, scores.modalities)
            found.append([span for span, _ in decode(moved, net.types, net.modalities, net.transitions())])
        return count(gold, found).f1

    bias = calibrate.outside_bias(f1)
    with torch.no_grad():
        net.tag_head.bias[0] += bias
    return bias


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


def _agree(net: network.Network, place: Path, windows: Sequence[Ints]) -> None:
    """Make sure that a float graph says what the network does.

    Raises:
        ExportError: if it cannot be run or says otherwise: the exporter knows encoders that attend as BERT does.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    kind = net.encoder.config.model_type  # type: ignore[union-attr]
    try:
        session = onnxruntime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])
        said = [session.run(None, {"ids": ids[None]})[0][0] for ids in windows]
    except Exception as error:  # the runtime's own, of many kinds
        raise ExportError(f"an encoder of the kind {kind} cannot be exported: {str(error).splitlines()[0]}") from error
    for (tags, _), graph in zip(network.runner(net)(list(windows)), said, strict=True):
        apart = float(np.abs(np.asarray(graph) - tags).max())
        if not apart < _APART:
            raise ExportError(f"an encoder of the kind {kind} cannot be exported: its logits part by {apart:.2g}")


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


def _windows(articles: Sequence[Article], facts: TrainConfig) -> list[Ints]:
    """Return windows of some articles, spread over all of them."""
    coding = train.coding_of(facts)
    found = [ids for article in articles for ids in window_ids(encode(article.text or "", coding), coding)]
    return [found[at] for at in sorted({int(at) for at in np.linspace(0, len(found) - 1, _SMOOTHED)})] if found else []


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
    """Turn each large float table that is only gathered from into int8 rows with a scale a row."""
    graph = model.graph
    tables = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for at, node in reversed(list(enumerate(graph.node))):
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < 1000:
            continue
        values = numpy_helper.to_array(table)
        scale = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / 127
        rows = np.rint(values / scale).astype(np.int8)
        name, indices, result = table.name, node.input[1], node.output[0]
        graph.initializer.remove(table)
        graph.initializer.append(numpy_helper.from_array(rows, f"{name}_int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        graph.node.remove(node)
        for offset, made in enumerate(
            (
                helper.make_node("Gather", [f"{name}_int8", indices], [f"{name}_row"]),
                helper.make_node("Gather", [f"{name}_scale", indices], [f"{name}_row_scale"]),
                helper.make_node("Cast", [f"{name}_row"], [f"{name}_float"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}_float", f"{name}_row_scale"], [result]),
            )
        ):
            graph.node.insert(at + offset, made)


def _write_model(folder: Path, graph: bytes, tokenizer: bytes, config: ModelConfig) -> None:
    """Write a model folder's three files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"model.onnx": graph, "tokenizer.json": tokenizer}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    facts = replace(config, digests=digests).to_dict()
    files["config.json"] = (json.dumps(facts, indent=1) + "\n").encode()  # last, since it vouches for the others
    for name, data in files.items():
        (folder / f"{name}.writing").write_bytes(data)
    for name in files:
        os.replace(folder / f"{name}.writing", folder / name)


def _spans(tagger: Tagger, articles: Sequence[Article]) -> list[list[tuple[Span, float]]]:
    """Return each article's spans with raw scores."""
    return [tagger.spans(article.text or "") for article in articles]
