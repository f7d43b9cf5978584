"""How fast eventx reads, beside peers on the same articles in the same run.

    pip install -c constraints.txt -e ".[train]" -r benchmarks/speed/requirements.txt
    python benchmarks/speed/speed.py --texts DIR                       # the whole table
    python benchmarks/speed/speed.py --texts DIR --peers eventx spaCy  # some of it
    python benchmarks/speed/speed.py --texts DIR --profile             # only where eventx's time goes

Each figure is a process of its own: it loads, tags one article to warm up, and is then timed over 1, 100, 10,000
articles, for at most --seconds; rounds take the peers in turn, and the table gives medians. One core means one thread
on one core, all cores what each peer does to use them. Words are what blanks part; peak memory is that of the largest
process. Without --texts the articles are the seeds and the written ones, again and again.

The ceiling is what ONNX Runtime's own 8-bit matrix product reaches on large matrices in this run, on as many cores; a
share of it counts each word piece of an article once, and only the encoder's weight products (no attention, no
overlap). Peers: spaCy's CNN with `ner`, and GLiNER's smallest architecture, have random weights: time does not depend
on them much. transformers.pipeline reads the same encoder in float.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TYPES = ("offensive", "airstrike", "flight", "surrender", "warning")
CORES = len(os.sched_getaffinity(0))
Tag = Callable[[Iterable[str]], Iterator[Any]]
"""Texts -> something a text, lazily."""


def eventx_tagger(cores: int, folder: Path) -> Tag:
    """Return what the package does."""
    import eventx

    return eventx.load(threads=cores).pipe


def spacy_tagger(cores: int, folder: Path) -> Tag:
    """Return spaCy's blank English pipeline with a CNN `ner`, a process a core."""
    import spacy
    from spacy.training import Example

    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner")
    for name in TYPES:
        ner.add_label(name)
    text = "Troops stormed the town."
    nlp.initialize(lambda: [Example.from_dict(nlp.make_doc(text), {"entities": [(7, 14, "offensive")]})])
    if cores == 1:
        return nlp.pipe
    return lambda texts: nlp.pipe(texts, n_process=cores, batch_size=32)


def pipeline_tagger(cores: int, folder: Path) -> Tag:
    """Return transformers.pipeline on the same encoder in float, windows of 256 that share 64 tokens."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(cores)
    tag = pipeline(
        "token-classification", model=str(folder / "float"), aggregation_strategy="simple", stride=64, device="cpu"
    )
    return lambda texts: (tag(text) for text in texts)


def gliner_tagger(cores: int, folder: Path) -> Tag:
    """Return GLiNER's smallest architecture (DeBERTa-v3-small) with random weights, a call a paragraph."""
    import torch
    from gliner import GLiNER

    torch.set_num_threads(cores)
    model = GLiNER.from_pretrained(str(folder / "gliner"), local_files_only=True)
    return lambda texts: (
        model.inference([part for part in text.split("\n") if part.strip()], list(TYPES), batch_size=8, threshold=0.95)
        for text in texts
    )


PEERS: dict[str, Callable[[int, Path], Tag]] = {
    "eventx": eventx_tagger,
    "spaCy CNN ner": spacy_tagger,
    "transformers.pipeline": pipeline_tagger,
    "GLiNER small": gliner_tagger,
}


def measure(peer: str, cores: int, count: int, seconds: float, articles: Sequence[str], folder: Path) -> dict[str, Any]:
    """Load a peer in this process, warm it up, and time it over `count` articles for at most `seconds`."""
    started = time.perf_counter()
    tag = PEERS[peer](cores, folder)
    for _ in tag(articles[:1]):
        pass
    loaded = time.perf_counter() - started
    given: list[int] = []
    started = time.perf_counter()

    def texts() -> Iterator[str]:
        for text in islice(cycle(articles), count):
            if time.perf_counter() - started > seconds:
                return
            given.append(len(text.split()))
            yield text

    done = sum(1 for _ in tag(texts()))
    took = time.perf_counter() - started
    peak = max(_peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    return {
        "documents": done,
        "words": sum(given),
        "seconds": took,
        "words_per_second": sum(given) / took,
        "load_seconds": loaded,
        "peak_mb": peak / 1024,
    }


def _peak() -> int:
    """Return this process's largest resident size in KiB: since its program began, where the system tells."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def ceiling(cores: int) -> float:
    """Return what ONNX Runtime's product of 8-bit matrices reaches at its best shape, in 1e9 operations a second."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    best = 0.0
    for rows, inner, columns in ((2048, 1536, 384), (2048, 1024, 1024), (4096, 2048, 2048)):
        weights = np.random.default_rng(0).integers(-127, 127, (inner, columns), dtype=np.int8)
        graph = helper.make_graph(
            [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
            "ceiling",
            [helper.make_tensor_value_info("a", TensorProto.UINT8, [rows, inner])],
            [helper.make_tensor_value_info("c", TensorProto.INT32, [rows, columns])],
            [helper.make_tensor("b", TensorProto.INT8, [inner, columns], weights.tobytes(), raw=True)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        value = np.random.default_rng(1).integers(0, 255, (rows, inner), dtype=np.uint8)
        times = []
        for _ in range(12):
            started = time.perf_counter()
            session.run(None, {"a": value})
            times.append(time.perf_counter() - started)
        best = max(best, 2 * rows * inner * columns / statistics.median(times[2:]) / 1e9)
    return best


def operations_a_piece() -> float:
    """Return the operations of the shipped encoder's weight products for one word piece, in 1e9."""
    import onnx

    graph = onnx.load(str(ROOT / "models" / "news-small" / "model.onnx")).graph
    shapes = {each.name: each.dims for each in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm", "FusedMatMul", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"):
            rows, columns = shapes[node.input[1]]
            total += 2 * rows * columns
    return total / 1e9


def profile(articles: Sequence[str], count: int = 40) -> list[tuple[str, float]]:
    """Return where eventx's time goes on one core: (stage or operator, share of all), stages first."""
    import onnxruntime

    import eventx
    from eventx import cue, encode, model, text

    with tempfile.TemporaryDirectory() as place:
        folder = model.find(None)
        mine = eventx.load(threads=1)
        coding, config = mine._coding, mine.config
        options = mine._session.get_session_options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(place) / "profile")
        traced = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        spent: dict[str, float] = {}

        def clock(stage: str, work: Callable[[], Any]) -> Any:
            started = time.perf_counter()
            result = work()
            spent[stage] = spent.get(stage, 0.0) + time.perf_counter() - started
            return result

        mine.tag(articles[0])
        for article in articles[:count]:
            encoded = clock("tokenise", lambda article=article: encode.encode(article, coding))
            rows = encode.window_ids(encoded, coding)
            outputs = clock("network", lambda rows=rows: mine._run(rows))
            scores = clock(
                "gather words", lambda encoded=encoded, outputs=outputs: encode.gather(encoded, outputs, coding)
            )
            found = clock(
                "decode", lambda s=scores: encode.decode(s, config.types, config.modalities, config.transitions)
            )
            bounds = clock("sentences", lambda article=article: text.sentences(article))
            around = [(s, b) for s, _ in found for b in bounds if b[0] <= s.start < b[1]]
            clock(
                "cues",
                lambda a=article, around=around: [cue.find(a, (s.start, s.end), b, s.modality) for s, b in around],
            )
            for ids in rows:
                traced.run(None, {"ids": ids[None]})
        operators: dict[str, float] = {}
        for event in json.loads(Path(traced.end_profiling()).read_text(encoding="utf-8")):
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                name = event["args"]["op_name"]
                operators[name] = operators.get(name, 0.0) + event["dur"]
    whole, inside = sum(spent.values()), sum(operators.values())
    network = spent["network"] / whole
    stages = sorted(((name, value / whole) for name, value in spent.items()), key=lambda pair: -pair[1])
    parts = sorted(((f"network: {n}", v / inside * network) for n, v in operators.items()), key=lambda pair: -pair[1])
    return stages + [part for part in parts if part[1] >= 0.005]


def make_peers(folder: Path, peers: Sequence[str]) -> None:
    """Write the checkpoints that the peers read: the same encoder in float, and GLiNER's architecture."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer, DebertaV2Config, DebertaV2Model

    from eventx import batches, recipe

    place = batches.encoder_place(recipe.ENCODER_PACKAGE)
    tokenizer = AutoTokenizer.from_pretrained(place, model_max_length=256)
    if "transformers.pipeline" in peers:
        AutoModelForTokenClassification.from_pretrained(place, num_labels=11).save_pretrained(folder / "float")
        tokenizer.save_pretrained(folder / "float")
    if "GLiNER small" in peers:
        from gliner import GLiNER, GLiNERConfig

        # microsoft/deberta-v3-small's published configuration, with this encoder's smaller vocabulary.
        encoder = DebertaV2Config(
            vocab_size=len(tokenizer) + 8,
            hidden_size=768,
            num_hidden_layers=6,
            num_attention_heads=12,
            intermediate_size=3072,
            relative_attention=True,
            position_buckets=256,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type="p2c|c2p",
            position_biased_input=False,
            max_relative_positions=-1,
            type_vocab_size=0,
            pad_token_id=0,
        )
        DebertaV2Model(encoder).save_pretrained(folder / "encoder")
        tokenizer.save_pretrained(folder / "encoder")
        config = GLiNERConfig(model_name=str(folder / "encoder"), max_width=12, hidden_size=512, max_len=384)
        GLiNER.from_config(config).save_pretrained(folder / "gliner")


def articles_of(texts: Path | None) -> list[str]:
    """Return the articles to read."""
    if texts is not None:
        found = [place.read_text(encoding="utf-8") for place in sorted(texts.glob("*.txt"))]
        if not found:
            sys.exit(f"{texts}: no .txt files; name a folder of articles")
        return found
    written = (ROOT / "labels" / "written").glob("*.txt")
    return [place.read_text(encoding="utf-8") for place in sorted([*(ROOT / "seeds").glob("*.txt"), *written])]


def child(arguments: Sequence[str], cores: int) -> dict[str, Any]:
    """Run this file in a process of its own, on `cores` cores, and return what it printed."""
    environment = os.environ | {"OMP_NUM_THREADS": str(cores), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}

    def pin() -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=environment,
        preexec_fn=pin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no word of why"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


BY_HAND = """
import numpy, onnxruntime, tokenizers
session = onnxruntime.InferenceSession({model!r} + "/model.onnx", providers=["CPUExecutionProvider"])
tokenizer = tokenizers.Tokenizer.from_file({model!r} + "/tokenizer.json")
tokenizer.no_truncation(); tokenizer.no_padding()
ids = tokenizer.encode(open({article!r}, encoding="utf-8").read()).ids[:512]
session.run(None, {{"ids": numpy.array([ids])}})
"""
SPACY = """
import spacy
nlp = spacy.load({folder!r})
print([(entity.text, entity.label_) for entity in nlp(open({article!r}, encoding="utf-8").read()).ents])
"""
PIPELINE = """
from transformers import pipeline
tagger = pipeline("token-classification", model={folder!r}, aggregation_strategy="simple", stride=64, device="cpu")
print(tagger(open({article!r}, encoding="utf-8").read()))
"""


def cold_starts(folder: Path, peers: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Time whole processes from start to the events of one article, in turn: the cost of `eventx tag` and of others."""
    article = str(sorted((ROOT / "seeds").glob("*.txt"))[0])
    command = str(Path(sys.executable).parent / "eventx")
    python = [sys.executable, "-c"]
    model = str(ROOT / "models" / "news-small")
    processes = {
        "eventx tag, view": [command, "tag", article],
        "eventx tag, jsonl": [command, "tag", article, "--format", "jsonl"],
        "onnxruntime and tokenizers by hand, 512 tokens": [*python, BY_HAND.format(model=model, article=article)],
    }
    if "spaCy CNN ner" in peers:
        import spacy

        nlp = spacy.blank("en")
        nlp.add_pipe("ner").add_label("offensive")
        nlp.initialize()
        nlp.to_disk(folder / "spacy")
        processes["spaCy CNN ner"] = [*python, SPACY.format(folder=str(folder / "spacy"), article=article)]
    if "transformers.pipeline" in peers:
        processes["transformers.pipeline"] = [
            *python,
            PIPELINE.format(folder=str(folder / "float"), article=article),
        ]
    times: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(rounds + 1):
        for name, process in processes.items():
            started = time.perf_counter()
            subprocess.run(process, check=True, capture_output=True)
            if number:
                times[name].append(time.perf_counter() - started)
    return times


def tables(record: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report."""
    rows = [(tuple(key), results) for key, results in record["rows"]]
    yield f"{record['machine']}; {record['cores']} cores; {', '.join(record['versions'])}; {record['date']}"
    yield ""
    yield "| peer | cores | documents | words | words/s (range) | of eventx | load s | peak MB |"
    yield "|---|---|---|---|---|---|---|---|"
    for (peer, cores, count), results in rows:
        good = [each for each in results if "failed" not in each]
        if not good:
            yield f"| {peer} | {cores} | {count:,} | failed: {results[0]['failed']} | | | | |"
            continue
        speeds = sorted(each["words_per_second"] for each in good)
        own = _speed(rows, "eventx", cores, count)
        speed = statistics.median(speeds)
        done = good[0]["documents"]
        yield (
            f"| {peer} | {cores} | {count:,}{'' if done == count else f' ({done:,} in time)'} | {good[0]['words']:,} | "
            f"{speed:,.0f} ({speeds[0]:,.0f}-{speeds[-1]:,.0f}) | {f'{speed / own:.2f}' if own else '-'} | "
            f"{statistics.median(e['load_seconds'] for e in good):.2f} | {max(e['peak_mb'] for e in good):,.0f} |"
        )
    yield ""
    yield "| 8-bit matrix product | 1e9 operations/s | word pieces/s it would allow | eventx's share, end to end |"
    yield "|---|---|---|---|"
    sizes = [number for (_, _, number), _ in rows]
    count = max([size for size in sizes if size <= 100] or sizes)
    for cores, reached in record["ceiling"]:
        most = reached / record["operations_a_piece"]
        speed = _speed(rows, "eventx", cores, count)
        share = f"{speed * record['pieces_a_word'] / most:.0%}" if speed else "-"
        yield f"| {cores} cores | {reached:,.0f} | {most:,.0f} | {share} |"
    yield ""
    yield "| whole process, one article | median s | range | against spaCy |"
    yield "|---|---|---|---|"
    spacy = record["cold"].get("spaCy CNN ner")
    for name, times in record["cold"].items():
        against = f"{statistics.median(times) / statistics.median(spacy):.2f}" if spacy else "-"
        yield f"| {name} | {statistics.median(times):.2f} | {min(times):.2f}-{max(times):.2f} | {against} |"
    yield ""
    yield "| where eventx's time goes, one core | share |"
    yield "|---|---|"
    for name, share in record["profile"]:
        yield f"| {name} | {share:.1%} |"


def _speed(rows: Sequence[tuple[tuple[str, int, int], Sequence[dict[str, Any]]]], *wanted: Any) -> float | None:
    """Return a row's median words a second."""
    for key, results in rows:
        speeds = [each["words_per_second"] for each in results if "failed" not in each]
        if tuple(key) == wanted and speeds:
            return statistics.median(speeds)
    return None


def main() -> None:
    """Measure, print the tables, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="folder of articles as .txt")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--documents", nargs="+", type=int, default=[1, 100, 10_000])
    parser.add_argument("--cores", nargs="+", type=int, default=sorted({1, CORES}))
    parser.add_argument("--seconds", type=float, default=120.0, help="at most, for each figure")
    parser.add_argument("--rounds", type=int, default=3, help="of 100 documents and fewer, and of cold starts")
    parser.add_argument("--output", type=Path, default=Path("runs/speed.json"))
    parser.add_argument("--profile", action="store_true", help="only where eventx's time goes")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--ceiling", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ceiling:
        print(json.dumps({"operations": ceiling(options.ceiling)}))
        return
    if options.child:
        peer, cores, count, seconds, folder = options.child
        texts = json.loads((Path(folder) / "articles.json").read_text(encoding="utf-8"))
        print(json.dumps(measure(peer, int(cores), int(count), float(seconds), texts, Path(folder))))
        return
    articles = articles_of(options.texts)
    if options.profile:
        for name, share in profile(articles):
            print(f"{share:6.1%}  {name}")
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "articles.json").write_text(json.dumps(articles), encoding="utf-8")
        make_peers(folder, options.peers)
        found: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
        ceilings: dict[int, list[float]] = {cores: [] for cores in options.cores}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        for count in options.documents:
            for _ in range(options.rounds if count <= 100 else 1):
                for cores in options.cores:
                    reached = child(["--ceiling", str(cores)], cores)
                    if "failed" in reached:
                        sys.exit(f"the ceiling on {cores} cores: {reached['failed']}")
                    ceilings[cores].append(reached["operations"])
                    for peer in options.peers:
                        arguments = ["--child", peer, str(cores), str(count), str(options.seconds), place]
                        result = child(arguments, cores)
                        found.setdefault((peer, cores, count), []).append(result)
                        with options.output.with_suffix(".jsonl").open("a", encoding="utf-8") as lines:
                            lines.write(json.dumps([peer, cores, count, result]) + "\n")
                        print(peer, cores, count, result, file=sys.stderr, flush=True)
        cold = cold_starts(folder, options.peers, options.rounds)
    record = {
        "machine": f"{platform.machine()}, {_processor()}",
        "cores": CORES,
        "date": time.strftime("%Y-%m-%d"),
        "versions": [f"{n} {importlib.metadata.version(n)}" for n in _PACKAGES if _there(n)],
        "rows": [[list(key), value] for key, value in found.items()],
        "ceiling": [[cores, max(values)] for cores, values in ceilings.items()],
        "operations_a_piece": operations_a_piece(),
        "pieces_a_word": _pieces_a_word(articles[:200]),
        "cold": cold,
        "profile": profile(articles),
    }
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("\n".join(tables(record)))


_PACKAGES = ("eventx", "onnxruntime", "tokenizers", "spacy", "transformers", "torch", "gliner")


def _there(name: str) -> bool:
    """Say whether a package is installed."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    """Return the processor's name and the instructions that 8-bit products use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = [name for name in ("avx2", "avx512_vnni", "amx_int8") if name in facts.get("flags", "").split()]
    return f"{facts.get('model name', 'unknown processor')} ({', '.join(flags)})"


def _pieces_a_word(articles: Sequence[str]) -> float:
    """Return how many word pieces of the shipped model stand for what blanks part."""
    import eventx
    from eventx.encode import encode

    coding = eventx.load(threads=1)._coding
    return sum(len(encode(a, coding).ids) for a in articles) / sum(len(a.split()) for a in articles)


if __name__ == "__main__":
    main()
