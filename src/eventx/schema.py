"""The event types and modalities: their names, their tag ids, their definitions in a line.

A model carries its own list of types in its `config.json`; this list is what label files may use and what
training starts from. Nothing here knows about text.
"""

from __future__ import annotations

from collections.abc import Sequence

TYPES: dict[str, str] = {
    "offensive": "armed action on the ground or at sea, and what it wins or loses",
    "airstrike": "an attack delivered from the air: by aircraft, helicopter, drone, guided or ballistic missile",
    "flight": "people leaving or driven from a place because of the conflict",
    "surrender": "an armed side or person gives up itself, its weapons or its position",
    "warning": "somebody says that harm or danger may come",
}
"""Event type -> its definition in a line, in the order of the tag ids."""

MODALITIES: dict[str, str] = {
    "asserted": "it happened or is happening, by the writer or anyone quoted",
    "possible": "future, planned, ordered, feared, conditional, asked for or intended",
    "negated": "it did not or will not happen",
}
"""Modality -> when it applies, in the order of the class ids."""

OUTSIDE = "O"
"""The tag of a word outside every event."""


def tags(types: Sequence[str]) -> list[str]:
    """Return the BIO tags of `types` in id order: `O`, then `B-` and `I-` of each type."""
    return [OUTSIDE, *(f"{prefix}-{name}" for name in types for prefix in "BI")]
