"""The score floor fails on a drop, on another model and on other labels, and is not lowered by accident."""

import copy
import importlib.util

import pytest


@pytest.fixture(scope="module")
def floor(root):
    spec = importlib.util.spec_from_file_location("floor", root / "benchmarks" / "floor.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KNOWN = {"model": "m", "parts": {"seeds": {"f1": 0.9, "labels": "l"}}}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda now: now.update(model="n"), "another model"),
        (lambda now: now["parts"]["seeds"].update(labels="k"), "other labels"),
        (lambda now: now["parts"]["seeds"].update(f1=0.89), "find out what broke"),
        (lambda now: now["parts"].update(dev={"f1": 0.8, "labels": "d"}), "there is no floor"),
    ],
)
def test_what_fails(floor, change, what):
    now = copy.deepcopy(KNOWN)
    assert floor.faults(KNOWN, now) == []
    change(now)
    (fault,) = floor.faults(KNOWN, now)
    assert what in fault


def test_a_fall_is_named(floor):
    now = copy.deepcopy(KNOWN)
    now["parts"]["seeds"]["f1"] = 0.95
    assert floor.lowered(KNOWN, now) == []
    now["parts"]["seeds"]["f1"] = 0.8
    assert floor.lowered(KNOWN, now) == ["seeds"]


def test_a_new_model_does_not_lose_a_part_unnoticed(floor):
    old = copy.deepcopy(KNOWN)
    old["parts"]["dev"] = {"f1": 0.8, "labels": "d"}
    now = copy.deepcopy(KNOWN)
    assert floor.lowered(old, now) == [], "the same model keeps what was measured before"
    now["model"] = "n"
    assert floor.lowered(old, now) == ["dev"]
    now["parts"]["dev"] = {"f1": 0.8, "labels": "d"}
    assert floor.lowered(old, now) == []


def test_the_seeds_hold_their_floor(floor, tagger):
    import json

    known = json.loads(floor.PLACE.read_text())
    now = {
        "model": tagger.config.digest,
        "parts": {"seeds": floor.measure(floor.parts(None)["seeds"], tagger)},
    }
    assert floor.faults(known, now) == []
