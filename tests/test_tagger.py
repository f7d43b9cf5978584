"""The tagger's invariants, on the tiny model and on the shipped one."""

import itertools
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eventx
from eventx import ModelError
from eventx.model import calibrated, shipped
from eventx.text import words

SENTENCE = "Thousands of civilians fled the town after the air strikes."
FILLER = "The council met on Tuesday to discuss the price of bread and the new road to the market. "


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300))
def test_events_stand_on_whole_words_of_any_text(tiny, text):
    document = tiny.tag(text)
    edges = words(text)
    for event in document.events:
        assert text[event.start : event.end] == event.trigger
        assert event.start in {start for start, _ in edges}
        assert event.end in {end for _, end in edges}
        assert event.sentence[0] <= event.start < event.end <= event.sentence[1]
        assert 0 <= event.score <= 1
    for left, right in itertools.pairwise(document.events):
        assert left.end <= right.start
    assert document.chars_read == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "Militants fled the city\r\nafter warplanes bombed it.\r\n",
        "\ufeffMilitants fled the city.",
        "Militants 🔥fled🔥 the city 👩‍👩‍👧‍👦.",
        "Militants\u00a0fled\u00a0the city.",
        "Militants\tfled\tthe\n\n\ncity.",
        "Mili\u0301tants fled\u0301 the city.",
        "\u202eMilitants fled\u202c the city.",
        "Militants fled the city\x00 after\x07 it.",
    ],
)
def test_offsets_are_of_the_text_as_given(tagger, text):
    found = tagger.tag(text).events
    assert "flight" in {event.type for event in found}
    assert all(text[event.start : event.end] == event.trigger for event in found)


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u200b", "\x00", "...!!!"])
def test_texts_without_words_have_no_events(tagger, text):
    document = tagger.tag(text)
    assert document.events == ()
    assert document.chars_read == len(text)


def test_the_shipped_model_knows_the_five_types(tagger):
    texts = {
        "offensive": "Government troops launched an offensive and captured the town of Sirte.",
        "airstrike": "US air strikes hit positions held by the militants.",
        "flight": "Thousands of civilians fled the besieged city.",
        "surrender": "Dozens of fighters surrendered to the army.",
        "warning": "The United Nations warned that the group could move south.",
    }
    for name, text in texts.items():
        assert name in {event.type for event in tagger.tag(text).events}


def test_a_trigger_is_found_wherever_it_stands(tagger):
    alone = [(event.type, event.trigger) for event in tagger.tag(SENTENCE).events]
    assert alone == [("flight", "fled"), ("airstrike", "air strikes")]
    for before in (0, 3, 10, 40):
        lead = FILLER * before
        text = f"{lead}{SENTENCE} {FILLER * 5}"
        found = [(e.type, e.trigger, e.start) for e in tagger.tag(text).events]
        assert found == [(kind, trigger, len(lead) + SENTENCE.index(trigger)) for kind, trigger in alone]


@pytest.mark.slow
def test_a_trigger_is_found_anywhere_in_fifty_thousand_words(tagger):
    blocks = 2900
    for place in (0, 1, blocks // 2, blocks - 1, blocks):
        text = FILLER * place + SENTENCE + " " + FILLER * (blocks - place)
        document = tagger.tag(text)
        assert document.chars_read == len(text)
        start = len(FILLER) * place
        found = [(e.type, e.trigger, e.start - start) for e in document.events]
        assert found == [
            (kind, word, SENTENCE.index(word)) for kind, word in (("flight", "fled"), ("airstrike", "air strikes"))
        ]


def test_neighbours_and_order_change_nothing(tagger, seeds):
    texts = [file.read_text(encoding="utf-8") for file in seeds]
    alone = {text: tagger.tag(text).events for text in texts}
    for order in (texts, texts[::-1], [texts[0], *texts, texts[0]]):
        documents = list(tagger.pipe(order))
        assert [document.events for document in documents] == [alone[text] for text in order]
    assert [document.id for document in tagger.pipe(texts)] == ["0", "1", "2", "3", "4"]


def test_pipe_is_lazy(tiny):
    def texts():
        yield SENTENCE
        raise AssertionError("read ahead")

    assert next(tiny.pipe(texts())).text == SENTENCE


def test_pipe_reads_a_few_texts_ahead_and_fails_in_its_place(tiny_folder):
    tagger, taken = eventx.load(tiny_folder, threads=2), []

    def texts():
        for number in range(9):
            taken.append(number)
            yield f"{number}. {SENTENCE}"
        raise AssertionError("torn")

    given, tagged = [], tagger.pipe(texts())
    for document in itertools.islice(tagged, 9):
        given.append(document.text)
        assert len(taken) <= len(given) + 5
    with pytest.raises(AssertionError, match="torn"):
        next(tagged)
    assert given == [f"{number}. {SENTENCE}" for number in range(9)]
    assert next(tagger.pipe(itertools.repeat(SENTENCE))).text == SENTENCE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(tiny_folder, seeds):
    text = seeds[0].read_text(encoding="utf-8")
    tagger = eventx.load(tiny_folder, threads=2)
    wanted = len(tagger.tag(text).events)
    child = os.fork()
    if child == 0:
        os._exit(0 if len(tagger.tag(text).events) == wanted else 1)
    for _ in range(200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise AssertionError("the forked tagger hangs")
    assert os.waitstatus_to_exitcode(status) == 0


def test_threads_may_share_a_tagger(tiny, seeds):
    texts = [file.read_text(encoding="utf-8") for file in seeds] * 2
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: tiny.tag(text).events, texts)) == [tiny.tag(text).events for text in texts]


def test_what_threads_count_changes_nothing(tiny, tiny_folder, seeds):
    text = seeds[0].read_text(encoding="utf-8")
    assert eventx.load(tiny_folder, threads=2).tag(text).events == tiny.tag(text).events


def test_calibration_is_monotone_and_a_probability():
    scores = [calibrated(raw / 50, (0.7, -0.2)) for raw in range(51)]
    assert scores == sorted(scores)
    assert 0 < scores[0] < scores[-1] < 1
    assert calibrated(0.3, (1.0, 0.0)) == pytest.approx(0.3)


class TestBrokenModels:
    """A model that is not whole gives one clear line."""

    @pytest.fixture
    def broken(self, tiny_folder, tmp_path):
        return shutil.copytree(tiny_folder, tmp_path / "model")

    @pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
    def test_missing_and_changed_files(self, broken, name):
        data = (broken / name).read_bytes()
        (broken / name).write_bytes(data[:-1])
        with pytest.raises(ModelError, match="its digest differs"):
            eventx.load(broken)
        (broken / name).unlink()
        with pytest.raises(ModelError, match="missing from the model's folder"):
            eventx.load(broken)

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 99}', '{"format": 1, "types": 3}'])
    def test_bad_configuration(self, broken, text):
        (broken / "config.json").write_text(text)
        with pytest.raises(ModelError, match=r"config\.json: "):
            eventx.load(broken)

    def test_a_graph_that_is_none(self, broken):
        import hashlib

        (broken / "model.onnx").write_bytes(b"not a graph")
        facts = json.loads((broken / "config.json").read_text())
        facts["digests"]["model.onnx"] = hashlib.sha256(b"not a graph").hexdigest()
        (broken / "config.json").write_text(json.dumps(facts))
        with pytest.raises(ModelError, match="cannot be loaded"):
            eventx.load(broken)

    @pytest.mark.parametrize("name", ["no-such-model", "../models", "/nowhere", ""])
    def test_no_model(self, name):
        with pytest.raises(ModelError, match="name a model folder or one of: news-small"):
            eventx.load(name)

    def test_shipped_models(self):
        assert "news-small" in shipped()


def test_a_tagger_is_shared_between_threads_and_sent_to_processes(tiny, seeds):
    import pickle
    from concurrent.futures import ThreadPoolExecutor

    texts = [path.read_text("utf-8") for path in seeds] * 4
    wanted = [tiny.tag(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(tiny.tag, texts)) == wanted
    again = pickle.loads(pickle.dumps(tiny))
    assert again.tag(texts[0]) == wanted[0]


def test_a_dataset_gets_a_column_of_events(tiny, seeds):
    datasets = pytest.importorskip("datasets")
    texts = [path.read_text("utf-8") for path in seeds]
    made = datasets.Dataset.from_dict({"body": texts}).map(tiny.mapper("body"), batched=True, batch_size=2)
    for text, events in zip(texts, made["events"], strict=True):
        assert [(e["start"], e["trigger"]) for e in events] == [(e.start, e.trigger) for e in tiny.tag(text).events]


def test_a_name_tells_of_calibration_too(tiny, tiny_folder, tmp_path):
    """The same network, cut or read otherwise, gives other events: it has another name."""
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    assert eventx.load(folder, threads=1).name == tiny.name
    facts = json.loads((folder / "config.json").read_text())
    for key, value in (("overlap", facts["overlap"] - 1), ("thresholds", {**facts["thresholds"], "flight": 0.99})):
        (folder / "config.json").write_text(json.dumps({**facts, key: value}))
        assert eventx.load(folder, threads=1).name.split("@")[0] == tiny.name.split("@")[0]
        assert eventx.load(folder, threads=1).name != tiny.name
