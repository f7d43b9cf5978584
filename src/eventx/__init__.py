"""eventx: offensives, airstrikes, flight, surrender and warnings in English conflict news, with exact offsets.

>>> import eventx
>>> tagger = eventx.load()
>>> [event.type for event in tagger.tag("Air strikes hit the town as families fled.").events]
['airstrike', 'flight']
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from eventx.spans import Document, Event, Span

if TYPE_CHECKING:
    from eventx.model import ModelError
    from eventx.tagger import Tagger, load

    __version__: str

# From 1.29 on onnxruntime reports each process and model to its makers, and keeps a device number in the user's home,
# unless this stands before it is loaded. What eventx reads stays where it is read.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__all__ = ["Document", "Event", "ModelError", "Span", "Tagger", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the tagger and look up the version when first asked for: commands that need neither start faster."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("eventx")
        except PackageNotFoundError:
            return "0+unknown"
    if name in ("Tagger", "load"):
        from eventx import tagger

        return getattr(tagger, name)
    if name == "ModelError":
        from eventx.model import ModelError

        return ModelError
    raise AttributeError(f"module 'eventx' has no attribute {name!r}")
