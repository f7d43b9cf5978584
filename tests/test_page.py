"""The page of a report is whole, asks for nothing, and shows text as text."""

import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("matplotlib")

from eventx import curve, errors, evaluate, labels, page, predictions


class Tags(HTMLParser):
    """Collects tags and what is left open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "path", "use", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page(root, tiny, tmp_path):
    articles = labels.read(root / "labels" / "seeds.jsonl")
    said = predictions.run(tiny, articles)
    report = evaluate.evaluate(articles, {"<tiny>": said}, title="a & b", samples=20, train=articles)
    worse = [predictions.Prediction(p.id, p.sha256, p.spans[::2], p.scores[::2]) for p in said]
    causes = errors.by_cause(errors.find(articles, worse, train=articles), articles, worse)
    runs = '{"documents": 10, "f1": 0.5, "by_type": {"flight": 0.4}}\n{"documents": 20, "f1": 0.6, "by_type": {}}\n'
    (tmp_path / "runs.jsonl").write_text(runs)
    made = page.render(report, causes={"<tiny>": causes}, curve=curve.read(tmp_path / "runs.jsonl"))
    reader = Tags()
    reader.feed(made)
    assert not reader.open
    assert "a &amp; b" in made
    assert "&lt;tiny&gt;" in made
    assert sum(tag == "svg" for tag, _ in reader.seen) == 3
    assert not any(tag in {"script", "img", "iframe", "link"} for tag, _ in reader.seen)
    assert not [
        v for _, a in reader.seen for n, v in a.items() if n in {"src", "href"} or (n == "style" and "url" in v)
    ]
    assert not re.findall(r"@import|url\((?!#)", made)
    assert "<u>" in made


def test_a_curve_as_a_table(tmp_path):
    lines = [
        '{"documents": 10, "f1": 0.4, "by_type": {"flight": 0.2}}',
        '{"documents": 10, "f1": 0.6, "by_type": {"flight": 0.4}}',
    ]
    (tmp_path / "runs.jsonl").write_text("\n".join(lines))
    found = curve.read(tmp_path / "runs.jsonl")
    assert found["all"] == [(10, pytest.approx(0.5), 0.4, 0.6)]
    assert "| 10 | 0.500 (0.400-0.600) | 0.300 |" in curve.table(found)
    (tmp_path / "bad.jsonl").write_text("{}")
    with pytest.raises(curve.CurveError, match="not the runs of a sweep"):
        curve.read(tmp_path / "bad.jsonl")
