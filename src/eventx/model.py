"""Model folders: `config.json` (types, windows, calibration, digests), `model.onnx`, `tokenizer.json`.

Every file is checked against its digest before it is used; nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eventx.encode import Floats

DEFAULT = "news-small"
"""The name of the model that ships with the package."""
FORMAT = 2
"""The version of the model folder's format."""
_PLACES = (Path(__file__).parent / "models", Path(__file__).parents[2] / "models")


class ModelError(Exception):
    """A model that cannot be had or used; the message says which, what was expected and what to do."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a model folder's `config.json` says.

    Attributes:
        name: of the model.
        types, modalities: in the order of the tag and class ids.
        window, overlap, pieces, lead: see `encode.Coding`.
        transitions: (tags + 1, tags) decoding scores, None for plain BIO.
        calibration: type -> (slope, offset) from the log odds of a raw score to those of the calibrated one.
        thresholds: type -> calibrated score; events with a lower one are left out.
        precision: (precision, score) pairs, ascending: from that score on, held-out events were that precise.
        learnt: the parts of the split it was trained on.
        digests: file name -> SHA-256.
    """

    name: str
    types: tuple[str, ...]
    modalities: tuple[str, ...]
    window: int
    overlap: int
    pieces: str
    lead: int
    transitions: Floats | None
    calibration: dict[str, tuple[float, float]]
    thresholds: dict[str, float]
    precision: tuple[tuple[float, float], ...]
    learnt: tuple[str, ...]
    digests: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> ModelConfig:
        """Read a model folder's configuration.

        Raises:
            ModelError: if there is none, or it is not one this version can read.
        """
        place = folder / "config.json"
        try:
            facts = json.loads(place.read_text(encoding="utf-8"))
        except OSError:
            raise ModelError(f"{folder}: no model there (no config.json); {_offer()}") from None
        except ValueError as error:
            raise ModelError(f"{place}: not JSON ({error}); restore the model's files") from None
        try:
            if facts["format"] != FORMAT:
                raise ModelError(
                    f"{place}: model format {facts['format']!r}, this version reads {FORMAT}; update eventx"
                )
            table = facts["transitions"]
            transitions = None
            if table is not None:
                transitions = np.array([[-np.inf if v is None else v for v in row] for row in table], dtype=np.float32)
            curves, cuts = facts["calibration"], facts["thresholds"]
            return cls(
                name=str(facts["name"]),
                types=tuple(facts["types"]),
                modalities=tuple(facts["modalities"]),
                window=int(facts["window"]),
                overlap=int(facts["overlap"]),
                pieces=str(facts["pieces"]),
                lead=int(facts.get("lead", 0)),
                transitions=transitions,
                calibration={name: (float(curves[name][0]), float(curves[name][1])) for name in facts["types"]},
                thresholds={name: float(cuts[name]) for name in facts["types"]},
                precision=tuple((float(share), float(score)) for share, score in facts["precision"]),
                learnt=tuple(facts["learnt"]),
                digests=dict(facts["digests"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{place}: not a model's configuration ({error!r}); restore the model's files") from None

    @property
    def digest(self) -> str:
        """SHA-256 of all that the model is: its files, by their digests, and how they are read, calibrated and cut."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def score_for(self, precision: float) -> float:
        """Return the score from which on held-out events were at least that precise.

        Raises:
            ModelError: if the model was never that precise.
        """
        for share, score in self.precision:
            if share >= precision:
                return score
        most = (
            f"at most {self.precision[-1][0]}" if self.precision else "nothing: it was exported without held-out texts"
        )
        raise ModelError(f"{self.name}: its table of precisions tells of {most}; ask for less than {precision}")

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as it stands in `config.json`."""
        table = None
        if self.transitions is not None:
            table = [[None if math.isinf(v) else round(float(v), 6) for v in row] for row in self.transitions]
        return {
            "format": FORMAT,
            "name": self.name,
            "types": list(self.types),
            "modalities": list(self.modalities),
            "window": self.window,
            "overlap": self.overlap,
            "pieces": self.pieces,
            "lead": self.lead,
            "transitions": table,
            "calibration": {name: list(curve) for name, curve in self.calibration.items()},
            "thresholds": self.thresholds,
            "precision": [list(pair) for pair in self.precision],
            "learnt": list(self.learnt),
            "digests": self.digests,
        }


def shipped() -> list[str]:
    """Return the names of the models that ship with the package."""
    return sorted({place.parent.name for root in _PLACES for place in root.glob("*/config.json")})


def calibrated(raw: float, calibration: tuple[float, float]) -> float:
    """Turn a raw score into a probability by scaling its log odds (Platt 1999)."""
    raw = min(max(raw, 1e-6), 1 - 1e-6)
    odds = calibration[0] * math.log(raw / (1 - raw)) + calibration[1]
    return 1 / (1 + math.exp(-odds))


def find(model: str | Path | None) -> Path:
    """Return the folder of a model.

    Raises:
        ModelError: if there is no such model.
    """
    name = DEFAULT if model is None else model
    if model is not None and (Path(model) / "config.json").is_file():
        return Path(model)
    for root in _PLACES:
        if isinstance(name, str) and name and Path(name).name == name and (root / name / "config.json").is_file():
            return root / name
    if Path(name).is_dir():
        raise ModelError(f"{name}: no model there (no config.json); {_offer()}")
    raise ModelError(f"{name}: no such model; {_offer()}")


def _offer() -> str:
    """Say which models can be named."""
    names = shipped()
    return (
        f"name a model folder or one of: {', '.join(names)}" if names else "name a model folder; none is shipped here"
    )


def verified(place: Path, config: ModelConfig) -> bytes:
    """Return a model file's bytes if they are the ones that its configuration tells of."""
    try:
        data = place.read_bytes()
    except OSError:
        raise ModelError(f"{place}: missing from the model's folder; restore it") from None
    if hashlib.sha256(data).hexdigest() != config.digests.get(place.name):
        raise ModelError(f"{place}: not the file that config.json tells of (its digest differs); restore it")
    return data


def write_model(folder: Path, graph: bytes, tokenizer: bytes, config: ModelConfig) -> None:
    """Write a model folder's three files; its configuration last, since it vouches for the others."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"model.onnx": graph, "tokenizer.json": tokenizer}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    facts = replace(config, digests=digests).to_dict()
    files["config.json"] = (json.dumps(facts, indent=1) + "\n").encode()
    for name, data in files.items():
        (folder / f"{name}.writing").write_bytes(data)
    for name in files:
        os.replace(folder / f"{name}.writing", folder / name)
