"""What the tests share: the repository's files and two loaded models."""

from pathlib import Path

import pytest

import eventx
from eventx import recipe

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def seeds():
    return sorted((ROOT / "seeds").glob("*.txt"))


@pytest.fixture(scope="session")
def tiny_folder():
    return ROOT / "tests" / "data" / "tiny"


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    return eventx.load(tiny_folder, threads=1)


@pytest.fixture(scope="session")
def tagger():
    return eventx.load()


@pytest.fixture
def tiny_config(root):
    """Return the recipe of the tiny model."""
    return recipe.TrainConfig.read(root / "tests" / "data" / "tiny.toml")
