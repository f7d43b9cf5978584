"""The baselines on a handful of made-up articles: what they learn, what they refuse, that they repeat."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest

from eventx.baselines import Entry, Lexicon, Linear
from eventx.labels import Article, LabelError, digest
from eventx.metrics import count, modality
from eventx.schema import MODALITIES, TYPES
from eventx.spans import Span


def article(name: str, marked: str) -> Article:
    """Build an article from text in which triggers stand as `[trigger|type]` or `[trigger|type|modality]`."""
    text, spans = "", []
    for piece in marked.split("["):
        inside, closed, after = piece.rpartition("]")
        if closed:
            trigger, *labels = inside.split("|")
            spans.append(Span(len(text), len(text) + len(trigger), *labels))
            text += trigger
        text += after
    triggers = tuple(text[span.start : span.end] for span in spans)
    return Article(name, digest(text.encode()), len(text), tuple(spans), triggers, text)


ARTICLES = [
    article(
        "a", "Rebels began an [offensive|offensive] at dawn. [Air strikes|airstrike] hit the port. They [fled|flight]."
    ),
    article(
        "b", "The army [surrendered|surrender] on Monday. The UN [warned|warning] of an [offensive|offensive|possible]."
    ),
    article("c", "Residents [fled|flight] the town. They could [flee|flight|possible] south, the UN [warned|warning]."),
    article("d", "Jets carried out [air strikes|airstrike]. The militia denied any [air strikes|airstrike|negated]."),
    article("e", "Miners began strikes over pay. The film was offensive, critics said. Two strikes ended."),
    article(
        "f", "A new [offensive|offensive] may start. The men [laid down their arms|surrender] and [fled|flight] north."
    ),
]
GOLD = [each.spans for each in ARTICLES]


@pytest.fixture(scope="module")
def linear() -> Linear:
    """A linear tagger of the six articles."""
    return Linear.fit(ARTICLES)


def texts() -> list[str]:
    """Return the texts of the articles."""
    return [each.text for each in ARTICLES if each.text is not None]


def test_lexicon_counts_what_is_marked_and_what_stands_there() -> None:
    """`offensive` is marked three times of four; occurrences are found in any case, at word boundaries."""
    entries = Lexicon.fit(ARTICLES).entries
    assert entries["offensive",] == Entry("offensive", "asserted", marked=3, seen=4)
    assert entries["air", "strikes"] == Entry("airstrike", "asserted", marked=3, seen=3)
    assert entries["flee",] == Entry("flight", "possible", marked=1, seen=1)


def test_lexicon_keeps_what_is_marked_often_enough() -> None:
    """The share is of all occurrences, and the bound itself is inside."""
    assert ("offensive",) in Lexicon.fit(ARTICLES, min_share=0.75).entries
    assert ("offensive",) not in Lexicon.fit(ARTICLES, min_share=0.76).entries


def test_lexicon_takes_the_majority_type() -> None:
    """Where a phrase bears several types, the most common one counts, and only its own marks and modalities."""
    mixed = [
        article(
            "a", "[strikes|airstrike|possible], [strikes|airstrike|possible], [strikes|airstrike], [strikes|offensive]."
        ),
        article("b", "[strikes|offensive], strikes"),
    ]
    assert Lexicon.fit(mixed).entries["strikes",] == Entry("airstrike", "possible", marked=3, seen=6)
    assert Lexicon.fit(mixed, min_share=0.6).entries == {}


def test_lexicon_prefers_left_and_long() -> None:
    """Of the phrases that begin at a word the longest is taken, and nothing inside it again."""
    known = [article("a", "[air strikes|airstrike]. [strikes|offensive]! [strikes on|warning]? [on|flight] on")]
    lexicon = Lexicon.fit(known, min_share=0.0)
    text = "AIR  STRIKES on strikes on airstrikes"
    assert lexicon.predict(text) == [
        Span(0, 12, "airstrike"),
        Span(13, 15, "flight"),
        Span(16, 26, "warning"),
    ]


def test_lexicon_offsets_are_those_of_the_given_text() -> None:
    """CRLF, emoji, a no-break space and combining marks shift nothing."""
    text = "\ufeff😀 They fled.\r\n\r\nAir\u00a0strikes, cafe\u0301, they\tfled"
    spans = Lexicon.fit(ARTICLES).predict(text)
    assert [text[span.start : span.end] for span in spans] == ["fled", "Air\u00a0strikes", "fled"]


def test_lexicon_of_nothing_marks_nothing() -> None:
    """No article, or no event, is a lexicon without entries; an empty text holds no span."""
    assert Lexicon.fit([]).predict("They fled.") == []
    assert Lexicon.fit([ARTICLES[4]]).predict("They fled.") == []
    assert Lexicon.fit(ARTICLES).predict("") == []


def test_linear_learns_what_it_was_shown(linear: Linear) -> None:
    """Spans, types and modalities of the training articles come back."""
    predicted = [linear.predict(text) for text in texts()]
    assert count(GOLD, predicted).f1 == 1.0
    right, found = modality(GOLD, predicted)
    assert right == found


def test_linear_reads_context(linear: Linear) -> None:
    """A word that triggers in one sentence and not in another is told apart; a known trigger is found elsewhere."""
    text = "The film was offensive. Soldiers fled the city."
    found = linear.predict(text)
    assert [(text[span.start : span.end], span.label) for span in found] == [("fled", "flight")]


def test_linear_predicts_valid_spans_of_any_text(linear: Linear) -> None:
    """Whatever the text, spans are in order, without overlap, on its words, with known types and modalities."""
    strange = [
        "",
        " \r\n",
        "\ufeff😀…",
        "fled " * 50,
        "Air\u00a0strikes\r\n\r\nfle\u0301d [MASK] _",
        "fled\nsurrendered offensive",
    ]
    for text in strange:
        spans = linear.predict(text)
        assert all(left.end <= right.start for left, right in pairwise(spans))
        for span in spans:
            assert text[span.start : span.end].strip() == text[span.start : span.end] != ""
            assert span.label in TYPES
            assert span.modality in MODALITIES
    assert len(linear.predict("fled " * 50)) > 0


def test_linear_repeats_for_a_seed(linear: Linear) -> None:
    """The same seed gives the same probabilities to the last bit; another does not."""
    text = texts()[0]
    again, other = Linear.fit(ARTICLES), Linear.fit(ARTICLES, seed=1)
    assert [again.predict(each) for each in texts()] == [linear.predict(each) for each in texts()]
    assert (vars(again.tagger)["coef_"] == vars(linear.tagger)["coef_"]).all()
    assert (vars(other.tagger)["coef_"] != vars(linear.tagger)["coef_"]).any()
    assert other.predict(text) == linear.predict(text)


def test_linear_of_one_modality_and_one_type() -> None:
    """Labels that hold a single modality, or two tags in all, are learnt like any others."""
    few = [
        article("a", "They [fled|flight|possible]."),
        article("b", "They stayed. They [fled|flight|possible] again."),
    ]
    assert Linear.fit(few).predict("They fled again.") == [Span(5, 9, "flight", "possible")]
    whole = [article("a", "[Fled|flight]")]
    assert Linear.fit(whole).predict("Fled") == [Span(0, 4, "flight")]


def test_errors_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing text, missing events, a share beyond 1 and a missing scikit-learn are refused by name."""
    bare = Article("bare", "", 4, (Span(0, 4, "flight"),), ("fled",))
    with pytest.raises(LabelError, match="'bare': its text is needed"):
        Lexicon.fit([bare])
    with pytest.raises(LabelError, match="'bare': its text is needed"):
        Linear.fit([bare])
    with pytest.raises(LabelError, match="none of the 1 articles holds an event"):
        Linear.fit([ARTICLES[4]])
    with pytest.raises(ValueError, match="min_share is 50"):
        Lexicon.fit(ARTICLES, min_share=50)
    for name in [name for name in sys.modules if name == "sklearn" or name.startswith("sklearn.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(RuntimeError, match=r'pip install "eventx\[train\]"'):
        Linear.fit(ARTICLES)
