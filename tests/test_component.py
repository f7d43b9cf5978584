"""The spaCy component marks what the tagger marks, and is found by its name."""

import pytest

spacy = pytest.importorskip("spacy")


def test_it_marks_what_the_tagger_marks(seeds, tiny, tiny_folder):
    nlp = spacy.blank("en")
    nlp.add_pipe("eventx", config={"model": str(tiny_folder), "threads": 1})
    texts = [path.read_text("utf-8") for path in seeds]
    for doc, text in zip(nlp.pipe(texts), texts, strict=True):
        events = tiny.tag(text).events
        assert doc._.events == events
        assert [span.label_ for span in doc.spans["events"]] == [event.type for event in events]
        for span, event in zip(doc.spans["events"], events, strict=True):
            assert span.start_char <= event.start
            assert event.end <= span.end_char


def test_a_pipeline_with_it_is_saved_and_loaded(tmp_path, tiny_folder):
    nlp = spacy.blank("en")
    nlp.add_pipe("eventx", config={"model": str(tiny_folder)})
    nlp.to_disk(tmp_path / "nlp")
    doc = spacy.load(tmp_path / "nlp")("Families fled.")
    assert doc._.events == nlp("Families fled.")._.events
