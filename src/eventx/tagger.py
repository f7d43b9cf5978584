"""Inference with ONNX Runtime: `load()`, `Tagger.tag(text)`, `Tagger.pipe(texts)`. No torch, no network."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from eventx import cue
from eventx.encode import Coding, Encoded, Floats, Ints, decode, encode, owned, read
from eventx.model import ModelConfig, ModelError, calibrated, find, verified
from eventx.spans import Document, Event, Span
from eventx.text import sentences

if TYPE_CHECKING:
    import onnxruntime

Item = TypeVar("Item")
Result = TypeVar("Result")


class Tagger:
    """A loaded model that marks events in texts. One may be shared between threads, and sent to other processes.

    Args:
        config: the model's configuration.
        coding: its tokenizer and windows.
        session: its network, as an ONNX Runtime session of one thread.
        threads: how many windows the network reads at a time.
        place: the folder it was loaded from, by which other processes load it.

    Attributes:
        name: the model's name and the first digits of the digest of all that it is.

    >>> tagger = load()
    >>> [(event.type, event.trigger) for event in tagger.tag("Troops stormed the town; families fled.").events]
    [('offensive', 'stormed'), ('flight', 'fled')]
    """

    def __init__(
        self,
        config: ModelConfig,
        coding: Coding,
        session: onnxruntime.InferenceSession,
        threads: int = 1,
        place: Path | None = None,
    ) -> None:
        self.config = config
        self.name = f"{config.name}@{config.digest[:8]}"
        self.threads = threads
        self._coding = coding
        self._session = session
        self._place = place
        self._pools: dict[int, ThreadPoolExecutor] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the way to load the same model again: a network's session cannot be sent."""
        if self._place is None:
            raise TypeError("only a tagger that eventx.load made can be sent to another process")
        return _load_again, (self._place, self.threads)

    @property
    def cuts(self) -> bool:
        """Whether a threshold may leave out what the network marks."""
        return any(cut > 0 for cut in self.config.thresholds.values())

    def tag(self, text: str, *, id: str = "", source: str = "") -> Document:
        """Mark the events of a text, all of it, whatever its length.

        Args:
            text: of any length; offsets are characters of this very string.
            id: handed on to the document.
            source: likewise.

        Returns:
            The document; its events are in text order and never overlap, each on whole words.
        """
        encoded = encode(text, self._coding)
        scores = read(encoded, self._run, self._coding)
        bounds = sentences(text)
        starts = [start for start, _ in bounds]
        events = []
        for span, raw in decode(scores, self.config.types, self.config.modalities, self.config.transitions):
            score = calibrated(raw, self.config.calibration[span.label])
            if score < self.config.thresholds[span.label]:
                continue
            low, high = bounds[bisect_right(starts, span.start) - 1]
            sentence = (low, max(high, span.end))
            events.append(
                Event(
                    type=span.label,
                    trigger=text[span.start : span.end],
                    start=span.start,
                    end=span.end,
                    score=round(score, 4),
                    modality=span.modality,
                    sentence=sentence,
                    cue=cue.find(text, (span.start, span.end), sentence, span.modality),
                )
            )
        return Document(id, text, tuple(events), source, self.name, _chars_read(text, encoded))

    def pipe(self, texts: Iterable[str]) -> Iterator[Document]:
        """Mark the events of each text, lazily and in order; a document's id is its position from 0.

        Texts are taken a few ahead of the document that is given, so that all threads have work.

        >>> [len(document.events) for document in load().pipe(["Families fled.", "It rained."])]
        [1, 0]
        """
        return self.in_order(lambda numbered: self.tag(numbered[1], id=str(numbered[0])), enumerate(texts))

    def in_order(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield what `work` makes of each item with `tag`, in order, a few items at a time.

        While the network reads the windows of one text, others are tokenised and decoded.

        Args:
            work: what it raises is raised where its result would come.
            items: taken lazily, a few ahead of the result that is given; what they raise comes after the results of
                those before.
        """
        if self.threads == 1:
            yield from map(work, items)
            return
        source = iter(items)
        broken: list[BaseException] = []
        waiting: deque[Future[Result]] = deque()

        def fill(pool: ThreadPoolExecutor) -> None:
            try:
                while not broken and len(waiting) < 2 * self.threads:
                    waiting.append(pool.submit(work, next(source)))
            except BaseException as error:  # also StopIteration, the usual one
                broken.append(error)

        with ThreadPoolExecutor(self.threads + 1, thread_name_prefix="eventx-texts") as pool:
            try:
                fill(pool)
                while waiting:
                    yield waiting.popleft().result()
                    fill(pool)
            finally:
                for each in waiting:
                    each.cancel()
        if not isinstance(broken[0], StopIteration):
            raise broken[0]

    def mapper(self, column: str = "text") -> _Mapper:
        """Return a function for `datasets.Dataset.map(..., batched=True)`: it adds a column `events`.

        Args:
            column: that holds the texts.

        >>> load().mapper()({"text": ["Troops stormed the town.", "It rained."]})["events"][0][0]["trigger"]
        'stormed'
        """
        return _Mapper(self, column)

    def spans(self, text: str) -> list[tuple[Span, float]]:
        """Return all spans of a text with raw scores, neither calibrated nor cut: what calibration is fitted on."""
        scores = read(encode(text, self._coding), self._run, self._coding)
        return decode(scores, self.config.types, self.config.modalities, self.config.transitions)

    def _run(self, windows: Sequence[Ints]) -> list[tuple[Floats, Floats]]:
        """Run the network, a window a thread."""
        return list((map if self.threads == 1 else self._threads.map)(self._one, windows))

    def _one(self, window: Ints) -> tuple[Floats, Floats]:
        """Run the network on a window by itself: it depends on no neighbour, and no time goes into padding."""
        tags, modalities = self._session.run(["tags", "modalities"], {"ids": window[None]})
        return np.asarray(tags)[0], np.asarray(modalities)[0]

    @property
    def _threads(self) -> ThreadPoolExecutor:
        """The threads; new ones in a process that was forked, where the old ones are gone."""
        if os.getpid() not in self._pools:  # of two threads that come first, one's idle pool goes unused
            self._pools.setdefault(os.getpid(), ThreadPoolExecutor(self.threads, thread_name_prefix="eventx-windows"))
        return self._pools[os.getpid()]


@dataclass(frozen=True, slots=True)
class _Mapper:
    """Tags the texts of a batch."""

    tagger: Tagger
    column: str

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[list[dict[str, Any]]]]:
        """Return the events of each text of a batch, as plain values."""
        documents = self.tagger.pipe(batch[self.column])
        return {"events": [[event.to_dict() for event in document.events] for document in documents]}


def _load_again(folder: Path, threads: int) -> Tagger:
    """Load a model in another process."""
    return load(folder, threads=threads)


def load(model: str | Path | None = None, *, threads: int = 0) -> Tagger:
    """Load a model.

    Args:
        model: the name of a shipped model, or a model folder; the default model if None.
        threads: that read at a time; 0 for as many as there are cores.

    Raises:
        ModelError: if there is no such model, or a file of it is missing or not the one its digest tells of.
    """
    import onnxruntime
    from tokenizers import Tokenizer

    onnxruntime.disable_telemetry_events()  # where the environment variable of __init__ is not looked at: Windows
    folder = find(model)
    config = ModelConfig.read(folder)
    data = {name: verified(folder / name, config) for name in ("model.onnx", "tokenizer.json")}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a window a thread: nobody waits for another within an operator
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # export made the others
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(data["model.onnx"], options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_str(data["tokenizer.json"].decode("utf-8"))
    except Exception as error:  # ONNX Runtime and tokenizers raise classes of their own, and bare Exception
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{folder}: the model cannot be loaded ({first}); update onnxruntime and tokenizers") from None
    coding = Coding.of(tokenizer, window=config.window, overlap=config.overlap, pieces=config.pieces, lead=config.lead)
    return Tagger(config, coding, session, threads or _cores(), folder.resolve())


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chars_read(text: str, encoded: Encoded) -> int:
    """Return how many characters from the start stand in windows: all of them, or up to the first gap."""
    at = 0
    for low, high in owned(encoded.windows):
        if low != at:
            return encoded.words[int(encoded.word_of[at])][0]
        at = high
    return len(text) if at == len(encoded.ids) else encoded.words[int(encoded.word_of[at])][0]
