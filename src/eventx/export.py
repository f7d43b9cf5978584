"""A trained run -> model folders: fused float ONNX, then int8. Refuses to write an int8 model that reads worse."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from eventx import batches, calibrate, inference, network, runs
from eventx.encode import Ints, WordScores, decode, encode, window_ids
from eventx.graph import agree, quantise, to_onnx
from eventx.labels import Article
from eventx.metrics import count, expected_calibration_error
from eventx.model import ModelConfig, calibrated, write_model
from eventx.recipe import TrainConfig
from eventx.spans import Span
from eventx.tagger import Tagger, load

_SMOOTHED = 48
"""Windows that tell the spread of activations."""


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
        ExportError: if the run is unfinished, or int8 loses more than `max_loss`; then `out` is left as it was.
        GraphError: if its encoder cannot be exported.
    """
    if not (run / "network.safetensors").is_file():
        raise ExportError(f"{run}: no trained network there; finish the run with eventx train")
    facts = runs.read_run(run)
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
        agree(net, fused, windows[:4])
        write_model(run / "float", fused.read_bytes(), tokenizer, replace(config, name=f"{name}-float"))
        report(f"float model written to {run / 'float'}")
        small = Path(place) / "int8.onnx"
        quantise(fused, small, windows)
        trial = Path(place) / "model"
        write_model(trial, small.read_bytes(), tokenizer, config)
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
        write_model(out, small.read_bytes(), tokenizer, config)
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
        write_model(Path(place), graph, tokenizer, config)
        tagger = load(Path(place))
        try:
            tagger.spans("word " * config.window)
        except Exception as error:  # the runtime's own, of many kinds
            raise ExportError(f"windows of {config.window} are longer than the model's encoder reads") from error
        spans = _spans(tagger, held_out)
    f1 = count(gold, [[span for span, _ in found] for found in spans]).f1
    config, before, after = _calibrated(config, gold, spans, True)
    write_model(out, graph, tokenizer, config)
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
    coding = batches.coding_of(facts)
    said = inference.predict_all(net, coding, [encode(article.text or "", coding) for article in held_out])
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


def _windows(articles: Sequence[Article], facts: TrainConfig) -> list[Ints]:
    """Return windows of some articles, spread over all of them."""
    coding = batches.coding_of(facts)
    found = [ids for article in articles for ids in window_ids(encode(article.text or "", coding), coding)]
    return [found[at] for at in sorted({int(at) for at in np.linspace(0, len(found) - 1, _SMOOTHED)})] if found else []


def _spans(tagger: Tagger, articles: Sequence[Article]) -> list[list[tuple[Span, float]]]:
    """Return each article's spans with raw scores."""
    return [tagger.spans(article.text or "") for article in articles]
