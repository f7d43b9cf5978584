"""The cue: the word that says so is found, whatever stands around it, and never outside the sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventx import cue
from eventx.schema import MODALITIES
from eventx.text import words


def found(marked: str, modality: str) -> str | None:
    """Return the cue of the trigger in square brackets; a bar parts sentences."""
    text = marked.replace("[", "").replace("]", "").replace("|", " ")
    start = marked.index("[")
    end = marked.index("]") - 1
    low = marked.rfind("|", 0, start) + 1
    high = marked.find("|", end)
    where = cue.find(text, (start, end), (low, len(text) if high < 0 else high - 2), modality)
    return None if where is None else text[slice(*where)]


@pytest.mark.parametrize(
    ("marked", "modality", "wanted"),
    [
        ("The troops refused to [surrender].", "negated", "refused"),
        ("He said no [attack] had taken place.", "negated", "no"),
        ("They did not [attack] the town.", "negated", "not"),
        ("They didn't [attack] the town.", "negated", "didn't"),
        ("NATO could [strike] within days.", "possible", "could"),
        ("If Russia [invades], they will answer.", "possible", "If"),
        ("Officials warned of an imminent [attack].", "possible", "imminent"),
        ("The army is planning an [offensive] in the north.", "possible", "planning"),
        ("They launched an operation to [recapture] the town.", "possible", "to"),
        ("A [strike] is possible, he said.", "possible", "possible"),
        ("Warplanes [bombed] the town.", "possible", None),
        ("They could [attack] the town.", "asserted", None),
        ("They would not go.| Warplanes [bombed] it.", "negated", None),
    ],
)
def test_the_word_that_says_so(marked, modality, wanted):
    assert found(marked, modality) == wanted


@given(st.text(alphabet="to no if could attack.,;\u0301é\n ", max_size=80), st.data())
def test_a_cue_is_a_word_of_the_sentence_outside_the_trigger(text, data):
    places = words(text)
    if not places:
        return
    start, end = data.draw(st.sampled_from(places))
    low = data.draw(st.integers(0, start))
    high = data.draw(st.integers(end, len(text)))
    where = cue.find(text, (start, end), (low, high), data.draw(st.sampled_from(list(MODALITIES))))
    if where:
        assert low <= where[0] < where[1] <= high
        assert where[1] <= start or where[0] >= end
        assert text[slice(*where)].strip()
