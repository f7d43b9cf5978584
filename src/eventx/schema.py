"""The event types and modalities: their names, their tag ids, their definitions in a line.

`SHIPPED` holds the five types of the shipped labels and model. Types of one's own stand in a schema file, which recipes
name and the commands that read labels take with `--schema`:

    [types]
    offensive = "armed action on the ground or at sea, and what it wins or loses"
    ceasefire = "the sides agree to stop fighting, or stop"

A trained model carries its own list of types in its `config.json`. Nothing here knows about text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TYPES: dict[str, str] = {
    "offensive": "armed action on the ground or at sea, and what it wins or loses",
    "airstrike": "an attack delivered from the air: by aircraft, helicopter, drone, guided or ballistic missile",
    "flight": "people leaving or driven from a place because of the conflict",
    "surrender": "an armed side or person gives up itself, its weapons or its position",
    "warning": "somebody says that harm or danger may come",
}
"""Shipped event type -> its definition in a line, in the order of the tag ids."""

MODALITIES: dict[str, str] = {
    "asserted": "it happened or is happening, by the writer or anyone quoted",
    "possible": "future, planned, ordered, feared, conditional, asked for or intended",
    "negated": "it did not or will not happen",
}
"""Modality -> when it applies, in the order of the class ids."""

OUTSIDE = "O"
"""The tag of a word outside every event."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class SchemaError(ValueError):
    """A schema file that cannot be used; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The event types that label files may use and that training starts from.

    Two schemas are equal if their names are, in the same order.

    Attributes:
        types: names in the order of the tag ids.
        definitions: name -> its definition in a line.
    """

    types: tuple[str, ...]
    definitions: Mapping[str, str] = field(compare=False)

    @classmethod
    def read(cls, path: Path) -> Schema:
        """Read a schema file: TOML with a table `types`, name = "definition".

        Raises:
            SchemaError: if the file is missing or no TOML, or its types are no names with a definition each.
        """
        import tomllib  # 20 ms, which `eventx tag` need not wait for

        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SchemaError(f"{path}: no such schema file; see configs/schema.toml for one") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
            raise SchemaError(f"{path}: not a TOML file: {error}") from None
        try:
            return cls.from_dict(values)
        except SchemaError as error:
            raise SchemaError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """Build a schema from what `to_dict` gave.

        Raises:
            SchemaError: if it is not one table `types`, or a type has another name or value than it may.
        """
        types = values.get("types")
        if set(values) != {"types"} or not isinstance(types, dict) or not types:
            found = ", ".join(values) or "nothing"
            raise SchemaError(f'holds {found}, expected one table [types] with lines like ceasefire = "what it is"')
        for name, definition in types.items():
            if not _NAME.fullmatch(name):
                raise SchemaError(f"{name!r} cannot name a type; use letters, digits, - and _, a letter first")
            if not isinstance(definition, str) or not definition.strip():
                raise SchemaError(f'{name} is {definition!r}, expected its definition in a line: {name} = "what it is"')
        return cls(tuple(types), dict(types))

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as plain JSON values, as they stand in a schema file."""
        return {"types": {name: self.definitions[name] for name in self.types}}

    def to_toml(self) -> str:
        """Return the schema as the text of a schema file."""
        lines = [f"{name} = {json.dumps(self.definitions[name], ensure_ascii=False)}" for name in self.types]
        return "\n".join(["[types]", *lines, ""])

    def with_types(self, names: Iterable[str]) -> Schema:
        """Return the schema with those types behind its own that it lacks."""
        more = {name: "a type of the model" for name in names if name not in self.definitions}
        return Schema((*self.types, *more), {**self.definitions, **more})


SHIPPED = Schema(tuple(TYPES), TYPES)
"""The types of the shipped labels and model."""


def tags(types: Sequence[str]) -> list[str]:
    """Return the BIO tags of `types` in id order: `O`, then `B-` and `I-` of each type."""
    return [OUTSIDE, *(f"{prefix}-{name}" for name in types for prefix in "BI")]
