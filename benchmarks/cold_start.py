"""How long one article takes from a cold start: `eventx tag` beside the same by hand, and beside transformers.pipeline.

    python benchmarks/cold_start.py [--run RUN] [--repeat 7]

Each is a whole process, repeated in turn; the table gives medians. By hand: import onnxruntime and tokenizers, load the
model's two files, tokenise the article and run it once, cut at 512 tokens. The pipeline reads a float checkpoint of the
same encoder with a token-classification head; RUN is a run folder that training wrote, for its real weights (random
heads otherwise).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARTICLE = sorted((ROOT / "seeds").glob("*.txt"))[0]
MODEL = ROOT / "models" / "news-small"

BY_HAND = f"""
import numpy, onnxruntime, tokenizers
session = onnxruntime.InferenceSession({str(MODEL / "model.onnx")!r}, providers=["CPUExecutionProvider"])
tokenizer = tokenizers.Tokenizer.from_file({str(MODEL / "tokenizer.json")!r})
tokenizer.no_truncation(); tokenizer.no_padding()
ids = tokenizer.encode(open({str(ARTICLE)!r}, encoding="utf-8").read()).ids[:512]
session.run(None, {{"ids": numpy.array([ids])}})
"""

PIPELINE = """
from transformers import pipeline
tagger = pipeline("token-classification", model={folder!r}, aggregation_strategy="simple", stride=64, device="cpu")
tagger(open({article!r}, encoding="utf-8").read())
"""


def make_checkpoint(folder: Path, run: Path | None) -> None:
    """Write a token-classification checkpoint of the same encoder for the pipeline."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from eventx import network, recipe, train

    place = train.encoder_place(recipe.ENCODER_PACKAGE)
    model = AutoModelForTokenClassification.from_pretrained(place, num_labels=11)
    if run is not None:
        trained = network.load(run)
        model.base_model.load_state_dict(trained.encoder.state_dict(), strict=False)
        model.classifier.load_state_dict(trained.tag_head.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(place, model_max_length=256).save_pretrained(folder)


def seconds(command: list[str]) -> float:
    """Return how long a command takes, as a whole process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Time the three in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_checkpoint(Path(folder), options.run)
        eventx = str(Path(sys.executable).parent / "eventx")
        commands = {
            "eventx tag, view": [eventx, "tag", str(ARTICLE)],
            "eventx tag, jsonl": [eventx, "tag", str(ARTICLE), "--format", "jsonl"],
            "by hand": [sys.executable, "-c", BY_HAND],
            "transformers.pipeline": [sys.executable, "-c", PIPELINE.format(folder=folder, article=str(ARTICLE))],
            "eventx --help": [eventx, "--help"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            seconds(command)
        for _ in range(options.repeat):
            for name, command in commands.items():
                times[name].append(seconds(command))
    middle = {name: statistics.median(values) for name, values in times.items()}
    print("| process | median s | range | against by hand |\n|---|---|---|---|")
    for name, value in middle.items():
        low, high = min(times[name]), max(times[name])
        print(f"| {name} | {value:.2f} | {low:.2f}-{high:.2f} | {value / middle['by hand']:.2f}x |")
    ratio = middle["transformers.pipeline"] / middle["eventx tag, jsonl"]
    print(f"\neventx tag (jsonl) is {ratio:.1f}x as fast as transformers.pipeline; view: ", end="")
    print(f"{middle['transformers.pipeline'] / middle['eventx tag, view']:.1f}x")


if __name__ == "__main__":
    main()
