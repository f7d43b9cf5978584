"""HTML of marked texts: the text is all there, and nothing in it is taken for HTML."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from eventx import markup
from eventx.spans import Document, Event


def plain(fragment: str) -> str:
    """Return the text of a fragment without the labels of marks."""
    return html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"<sub.*?</sub>", "", fragment)))


@given(
    st.text(max_size=60), st.lists(st.integers(0, 60), max_size=6), st.sampled_from(["asserted", "possible", "negated"])
)
def test_the_text_is_all_there(words, cuts, modality):
    edges = sorted({min(cut, len(words)) for cut in cuts})
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    cue = (0, edges[0]) if edges and edges[0] else None
    places = [markup.Place(start, end, "flight", modality, "<b>", cue) for start, end in pairs]
    assert plain(markup.text(words, places)) == words


def test_a_document_in_a_notebook():
    text = "If they <fled> & hid"
    event = Event("flight", "<fled>", 8, 14, 0.9, "possible", (0, 20), (0, 2))
    shown = Document("a<b", text, (event,), chars_read=20)._repr_html_()
    assert "<fled>" not in shown
    assert "flight?" in shown
    assert "<u>If</u>" in shown
    assert "a&lt;b" in shown
    assert "1 event, 20 characters read" in plain(shown)
    assert "0 events" in Document("a", text, ())._repr_html_()


def test_one_of_a_thing_is_singular():
    told = [markup.counted(number, "label file") for number in (0, 1, 2, 1000)]
    assert told == ["0 label files", "1 label file", "2 label files", "1,000 label files"]
