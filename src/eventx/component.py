"""A spaCy component: `nlp.add_pipe("eventx")` marks events in every `Doc`. spaCy finds it by its entry point.

Events stand in `doc.spans["events"]`, whose labels are the types; each event's modality, score and exact offsets stand
in `doc._.events`, as `eventx.Event`. A span of spaCy covers the tokens that hold the trigger.

>>> import spacy
>>> nlp = spacy.blank("en")
>>> _ = nlp.add_pipe("eventx")
>>> doc = nlp("Troops stormed the town; families fled.")
>>> [(span.text, span.label_) for span in doc.spans["events"]]
[('stormed', 'offensive'), ('fled', 'flight')]
>>> doc._.events[0].modality
'asserted'
"""

from __future__ import annotations

from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from eventx.tagger import Tagger, load

KEY = "events"
"""The key of `doc.spans` and the name of the extension of `doc`."""


@Language.factory("eventx", default_config={"model": None, "threads": 0})
def make(nlp: Language, name: str, model: str | None, threads: int) -> Component:
    """Return the component.

    Args:
        nlp: the pipeline.
        name: of the component in it.
        model: as `eventx.load` takes it.
        threads: likewise.

    Raises:
        ModelError: as `eventx.load` does.
    """
    return Component(load(model, threads=threads))


class Component:
    """Marks the events of a `Doc`."""

    def __init__(self, tagger: Tagger) -> None:
        self.tagger = tagger
        if not Doc.has_extension(KEY):
            Doc.set_extension(KEY, default=())

    def __call__(self, doc: Any) -> Any:
        """Mark the events of one `Doc` and return it."""
        document = self.tagger.tag(doc.text)
        spans = [doc.char_span(e.start, e.end, label=e.type, alignment_mode="expand") for e in document.events]
        doc.spans[KEY] = [span for span in spans if span is not None]
        doc._.events = document.events
        return doc

    def to_disk(self, path: Any, exclude: Any = ()) -> None:
        """Write nothing: the model stands where it was loaded from."""

    def from_disk(self, path: Any, exclude: Any = ()) -> Component:
        """Read nothing."""
        return self

    def to_bytes(self, exclude: Any = ()) -> bytes:
        """Return nothing."""
        return b""

    def from_bytes(self, data: bytes, exclude: Any = ()) -> Component:
        """Read nothing."""
        return self
