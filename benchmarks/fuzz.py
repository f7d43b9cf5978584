"""Fuzz what reads strangers' bytes, guided by coverage: files of every kind, and texts for the tagger.

    pip install atheris
    python benchmarks/fuzz.py -max_total_time=600 [CORPUS]

Whatever the bytes, `inputs.walk` must give texts and failures of one printable line, and the tagger events whose
trigger stands at their offsets. Anything else is a finding: atheris writes the bytes into a file and stops.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["eventx", "csv", "json", "gzip", "lzma", "charset_normalizer"]):
    import eventx
    from eventx import inputs
    from eventx.reading import Input

warnings.simplefilter("ignore")
ENDINGS = (".txt", ".jsonl", ".csv", ".tsv", ".html", ".parquet", ".txt.gz", ".csv.gz", ".xz", ".zst", "")
TINY = Path(__file__).parents[1] / "tests" / "data" / "tiny"
TAGGER = eventx.load(TINY, threads=1)
PLACE = Path(tempfile.mkdtemp())


def one(data: bytes) -> None:
    """Read bytes as a file whose ending the first byte chooses, and tag what is in it."""
    if not data:
        return
    path = PLACE / f"a{ENDINGS[data[0] % len(ENDINGS)]}"
    path.write_bytes(data[1:])
    for item in inputs.walk([str(path)]):
        if not isinstance(item, Input):
            assert item.reason
            assert item.reason.isprintable(), repr(item.reason)
            continue
        assert item.text.strip()
        document = TAGGER.tag(item.text[:4000])
        assert document.chars_read == len(document.text)
        for event in document.events:
            assert document.text[event.start : event.end] == event.trigger


def main() -> None:
    """Run the fuzzer, begun with one file of each kind unless a corpus is named."""
    arguments = list(sys.argv)
    if not any(not word.startswith("-") for word in arguments[1:]):
        corpus = Path(tempfile.mkdtemp())
        seeds = {
            0: b"Rebels fled the town.\r\n",
            1: b'{"id": "a", "text": "Rebels fled."}\n{"text": 5}\n',
            2: b'id,text\n1,"Rebels, fled"\n',
            3: b"id\ttext\n1\tRebels fled\n",
            4: b"<html><head><title>T</title></head><body><article><p>Rebels fled.</p></article></body></html>",
        }
        for number, body in seeds.items():
            (corpus / str(number)).write_bytes(bytes([number]) + body)
        arguments.append(str(corpus))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
