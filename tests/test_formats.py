"""Converters: there and back nothing changes; what others wrote is read; the tools' own libraries agree."""

import dataclasses
import io
import json
import re
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seqeval.scheme import IOB2, IOBES, Entities
from typer.testing import CliRunner

from eventx import brat, conll, doccano, formats, labels, labelstudio, marks, prodigy, spancsv, writing
from eventx.cli import app
from eventx.labels import Article, LabelError
from eventx.marks import Door, Mark
from eventx.schema import MODALITIES, SHIPPED, TYPES, Schema
from eventx.spans import Document, Event, Span
from eventx.text import words

ENDINGS = {
    "labels": "x.jsonl",
    "brat": "x",
    "conll": "x.conll",
    "bioes": "x.bioes",
    "labelstudio": "x.json",
    "doccano": "x.doccano.jsonl",
    "prodigy": "x.prodigy.jsonl",
    "docbin": "x.spacy",
    "xmi": "x",
    "csv": "x.csv",
}
NEEDS = {"docbin": "spacy", "xmi": "cassis"}
HOSTILE = " \n\r\t\"'#|\\,;:-=_<>&\u00a0\u2028\u0085\u200d\u00ad\u0301\ufeff😀👩🏽ß中א\u202eabcXYZ0"


def documents(xml=False):
    """Draw documents of hostile text with spans on words, some adjacent, some across line ends."""
    letters = st.one_of(st.sampled_from(HOSTILE), st.characters(exclude_categories=["Cs"]))
    if xml:
        letters = letters.filter(lambda letter: letter in "\t\n\r" or " " <= letter <= "\ufffd" or letter > "\uffff")
    pieces = st.one_of(st.text(letters, max_size=8), st.sampled_from(["fled ", "air strikes", "\r\n", "attacks, "]))

    @st.composite
    def draw_one(draw):
        text = "".join(draw(st.lists(pieces, max_size=12)))
        bounds = words(text)
        spans, at = [], 0
        while at < len(bounds):
            at += draw(st.integers(0, 3))
            size = draw(st.integers(1, 3))
            if at + size <= len(bounds):
                label, modality = draw(st.sampled_from([*TYPES])), draw(st.sampled_from([*MODALITIES]))
                spans.append(Span(bounds[at][0], bounds[at + size - 1][1], label, modality))
            at += size
        return text, tuple(spans)

    return st.lists(draw_one(), min_size=1, max_size=3)


def article(name, text, spans=()):
    triggers = tuple(text[span.start : span.end] for span in spans)
    return Article(name, labels.digest(text.encode()), len(text), tuple(spans), triggers, text)


def facts(articles):
    """Return what must not change."""
    return {each.id: (each.text, each.sha256, each.spans, each.triggers) for each in articles}


@pytest.mark.parametrize("name", formats.NAMES)
def test_there_and_back_is_the_identity(name, tmp_path_factory):
    pytest.importorskip(NEEDS.get(name, "json"))

    @given(documents(xml=name == "xmi"))
    @settings(max_examples=15 if name in NEEDS else 60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def there_and_back(drawn):
        made = [article(f"d {at}é", text, spans) for at, (text, spans) in enumerate(drawn)]
        path = tmp_path_factory.mktemp("x") / ENDINGS[name]
        formats.write(name, made, path, SHIPPED)
        again = formats.read(name, path, Door())
        assert facts(again) == facts(made)
        formats.write(name, again, path, SHIPPED)
        assert facts(formats.read(name, path, Door())) == facts(made)

    there_and_back()


@pytest.mark.parametrize("name", formats.NAMES)
def test_the_seeds_survive_and_are_recognised(name, tmp_path, root):
    pytest.importorskip(NEEDS.get(name, "json"))
    seeds = labels.read(root / "labels" / "seeds.jsonl")
    path = tmp_path / ENDINGS[name]
    formats.write(name, seeds, path, SHIPPED)
    assert formats.guess_input(path)[0] == name
    assert facts(formats.read(name, path, Door())) == facts(seeds)


def test_tagged_documents_are_written_as_labels_are(tmp_path):
    event = Event("flight", "fled", 5, 9, 0.9, "possible", (0, 10))
    document = Document("d", "They fled.", (event,))
    for write, ending in ((brat.write, "x"), (conll.write, "x.conll"), (spancsv.write, "x.csv")):
        write([document], tmp_path / ending)
    for read, ending in ((brat.read, "x"), (conll.read, "x.conll"), (spancsv.read, "x.csv")):
        assert facts(read(tmp_path / ending)) == facts([article("d", "They fled.", [event.span])])
    assert "fled" in writing.jsonl(document)


@given(documents())
@settings(max_examples=100, deadline=None)
def test_seqeval_reads_the_same_spans(drawn):
    for text, spans in drawn:
        for scheme, oracle in (("IOB2", IOB2), ("BIOES", IOBES)):
            rows = [line.split("\t") for line in conll.lines(article("d", text, spans), scheme=scheme).split("\n")]
            tags = [row[-1] for row in rows if len(row) == 4]
            found = [entity.to_tuple()[1:] for entity in Entities([tags], oracle).entities[0]]
            bounds = words(text)
            first, last = (
                {start: at for at, (start, _) in enumerate(bounds)},
                {e: at for at, (_, e) in enumerate(bounds)},
            )
            assert found == [(s.label, first[s.start], last[s.end] + 1) for s in spans]


@given(documents())
@settings(max_examples=30, deadline=None)
def test_spacy_reads_the_same_spans(drawn):
    spacy = pytest.importorskip("spacy")
    from spacy.training import biluo_to_iob, offsets_to_biluo_tags

    from eventx import docbin

    vocab = spacy.vocab.Vocab()
    for text, spans in drawn:
        doc = docbin.doc(article("d", text, spans), vocab)
        assert doc.text == text
        assert [(e.start_char, e.end_char, e.label_) for e in doc.ents] == [(s.start, s.end, s.label) for s in spans]
        biluo = offsets_to_biluo_tags(doc, [(s.start, s.end, s.label) for s in spans])
        kept = [at for at, token in enumerate(doc) if words(token.text)]
        iob = biluo_to_iob(biluo)
        assert iob == [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc]
        # Blank tokens inside a trigger are spaCy's alone; ours are the words.
        ours = [
            row.split("\t")[-1] for row in conll.lines(article("d", text, spans)).split("\n") if row.count("\t") == 3
        ]
        assert [iob[at] for at in kept] == ours


class TestBrat:
    """What brat and its users write."""

    def read(self, tmp_path, text, ann, door=None):
        (tmp_path / "a.txt").write_bytes(text.encode())
        (tmp_path / "a.ann").write_bytes(ann.encode())
        return brat.read(tmp_path, door or Door(rename={"Attack": "offensive", "Place": ""}))[0]

    def test_events_notes_and_attributes(self, tmp_path):
        ann = (
            "T1\tAttack 5 13\tattacked\nT2\tPlace 18 22\ttown\nE1\tAttack:T1 Where:T2\nA1\tNegation E1\n"
            "R1\tIn Arg1:T1 Arg2:T2\n#1\tAnnotatorNotes T1\tsure\n*\tEquiv T1 T2\n"
        )
        made = self.read(tmp_path, "They attacked the town.", ann)
        assert made.spans == (Span(5, 13, "offensive", "negated"),)

    def test_pieces_across_a_line_end_are_one_mark(self, tmp_path):
        made = self.read(tmp_path, "air\r\n strikes", "T1\tairstrike 0 3;6 13\tair strikes\n")
        assert made.triggers == ("air\r\n strikes",)
        (tmp_path / "out").mkdir()
        brat.write([made], tmp_path / "out")
        assert (tmp_path / "out" / "a.ann").read_text() == "T1\tairstrike 0 3;6 13\tair strikes\n"

    def test_crlf_counted_as_one_is_understood(self, tmp_path):
        made = self.read(tmp_path, "John\r\n\r\nfled\r\nfar", "T1\tflight 6 10\tfled\n")
        assert made.spans == (Span(8, 12, "flight"),)

    @pytest.mark.parametrize(
        ("ann", "what"),
        [
            ("T1\tflight 0 4;10 13\tThey far\n", "discontinuous"),
            ("T1\tflight 5 9\tfled\nT2\twarning 5 13\tfled far\n", "overlaps"),
            ("T1\tflight 5 99\tfled\n", "outside the text"),
            ("T1\tflight 5 9\tflew\n", "the file says 'flew'"),
            ("T1\tRiot 5 9\tfled\n", "--rename Riot=TYPE"),
            ("T1\tflight 5 9\tfled\nA1\tModality T1 likely\n", "unknown modality 'likely'"),
            ("T1\tflight five 9\tfled\n", "not a line of brat"),
        ],
    )
    def test_what_labels_cannot_hold_is_named_with_its_line(self, tmp_path, ann, what):
        with pytest.raises(LabelError, match=what) as caught:
            self.read(tmp_path, "They fled far.", ann)
        assert re.match(rf"{re.escape(str(tmp_path))}/a\.ann:\d: ", str(caught.value))

    def test_marks_can_be_left_out(self, tmp_path):
        skipped = []
        ann = "T1\tflight 0 4;10 13\tThey far\nT2\tflight 5 9\tfled\nT3\twarning 5 13\tfled far\n"
        made = self.read(tmp_path, "They fled far.", ann, Door(skip=skipped.append))
        assert made.spans == (Span(5, 9, "flight"),)
        assert ["discontinuous" in line for line in skipped] == [True, False]

    def test_a_folder_without_annotations_is_refused(self, tmp_path):
        with pytest.raises(LabelError, match=r"no \.ann files"):
            brat.read(tmp_path)


class TestConll:
    """Files of others."""

    def read(self, tmp_path, content):
        (tmp_path / "x.conll").write_bytes(content.encode())
        return conll.read(tmp_path / "x.conll")

    def test_conll_2003(self, tmp_path):
        made = self.read(
            tmp_path,
            "-DOCSTART- -X- -X- O\r\n\r\nRebels NNS B-NP O\r\nfled VBD B-VP B-flight\r\n\r\n"
            "# : : O\r\nAir NN B-NP I-airstrike\r\nstrikes NNS I-NP I-airstrike\r\n\r\n"
            "-DOCSTART- -X- -X- O\n\nQuiet JJ B-NP O\n",
        )
        assert [each.text for each in made] == ["Rebels fled\n# Air strikes", "Quiet"]
        assert [each.triggers for each in made] == [("fled", "Air strikes"), ()]
        assert [each.id for each in made] == ["x-1", "x-2"]

    @pytest.mark.parametrize(
        "tags",
        [
            "B-flight I-flight B-flight",
            "B-flight E-flight S-flight",
            "B-flight L-flight U-flight",
            "I-flight I-flight B-flight",
        ],
    )
    def test_every_scheme_is_understood(self, tmp_path, tags):
        (made,) = self.read(
            tmp_path, "".join(f"{word}\t{tag}\n" for word, tag in zip("abc", tags.split(), strict=True))
        )
        assert made.triggers == ("a b", "c")

    @pytest.mark.parametrize(
        ("content", "what"),
        [("a\tB_x\n", "is no tag"), ("a\n", "1 columns"), ("", "no words"), ("a\tB-riot\n", "unknown type 'riot'")],
    )
    def test_faults_are_named(self, tmp_path, content, what):
        with pytest.raises(LabelError, match=what):
            self.read(tmp_path, content)

    @pytest.mark.parametrize("spans", [[Span(0, 3, "flight"), Span(2, 5, "flight")], [Span(0, 5, "flight")]])
    def test_spans_that_tags_cannot_say_are_refused(self, tmp_path, spans):
        with pytest.raises(LabelError, match="which tags on words cannot say"):
            conll.lines(article("d", "abcd efg", spans))

    def test_a_cut_word_is_two_tokens(self):
        assert "\nflee\tSpaceAfter=No\tasserted\tB-flight\ning\tSpaceAfter=No" in conll.lines(
            article("d", "fleeing", [Span(0, 4, "flight")])
        )


class TestLabelStudio:
    """Exports of Label Studio."""

    def task(self, text, results, **changes):
        annotation = {"id": 9, "was_cancelled": False, "ground_truth": False, "result": results, "lead_time": 3.2}
        return {"id": 4, "data": {"text": text}, "annotations": [annotation], "predictions": []} | changes

    def region(self, start, end, said, name="r1", **value):
        value = {"start": start, "end": end, "text": said, "labels": ["flight"]} | value
        return {"id": name, "from_name": "x", "to_name": "y", "type": "labels", "origin": "manual", "value": value}

    def read(self, tmp_path, *tasks):
        (tmp_path / "p.json").write_text(json.dumps(tasks))
        return labelstudio.read(tmp_path / "p.json")

    def test_regions_and_their_choices(self, tmp_path):
        choice = {"id": "r1", "type": "choices", "from_name": "m", "to_name": "y", "value": {"choices": ["negated"]}}
        whole = {"id": "z", "type": "choices", "from_name": "about", "to_name": "y", "value": {"choices": ["war"]}}
        relation = {"type": "relation", "from_id": "r1", "to_id": "r1", "direction": "right"}
        (made,) = self.read(tmp_path, self.task("They fled.", [self.region(5, 9, "fled"), choice, whole, relation]))
        assert (made.id, made.spans) == ("p-4", (Span(5, 9, "flight", "negated"),))

    def test_utf16_offsets_and_lost_blanks_are_understood(self, tmp_path):
        (made,) = self.read(tmp_path, self.task("😀😀 They  fled far", [self.region(11, 19, "fled far")]))
        assert made.triggers == ("fled far",)
        (made,) = self.read(tmp_path, self.task("They  fled\r\nfar", [self.region(6, 14, "fled far")]))
        assert made.triggers == ("fled\r\nfar",)

    def test_what_does_not_count(self, tmp_path):
        cancelled = self.task("a b", [self.region(0, 1, "a")])
        cancelled["annotations"][0]["was_cancelled"] = True
        twice = self.task("a b", [self.region(0, 1, "a")], id=5)
        twice["annotations"] *= 2
        with pytest.raises(LabelError, match="2 people annotated it"):
            self.read(tmp_path, twice)
        twice["annotations"][1] = {**twice["annotations"][0], "ground_truth": True, "result": []}
        assert [each.spans for each in self.read(tmp_path, cancelled, twice)] == [(), ()]

    @pytest.mark.parametrize("content", ["{}", "[1]", '[{"id": 1, "text": "a", "label": []}]', "nothing"])
    def test_other_exports_are_refused(self, tmp_path, content):
        (tmp_path / "p.json").write_text(content)
        with pytest.raises(LabelError, match="export"):
            labelstudio.read(tmp_path / "p.json")

    def test_the_configuration_names_what_the_tasks_use(self):
        from xml.etree import ElementTree

        six = Schema.from_dict({"types": {**TYPES, "cease-fire": 'stops of "war" & <more>'}})
        tree = ElementTree.fromstring(labelstudio.configuration(six))
        assert [each.get("value") for each in tree.iter("Label")] == list(six.types)
        assert [each.get("value") for each in tree.iter("Choice")] == list(MODALITIES)
        controls = {each.get("name"): each.get("toName") for each in tree if each.get("toName")}
        task = labelstudio.task(article("d", "They fled.", [Span(5, 9, "flight", "negated")]))
        for result in task["annotations"][0]["result"]:
            assert controls[result["from_name"]] == result["to_name"] == tree.find("Text").get("name")
        assert tree.find("Text").get("value").removeprefix("$") in task["data"]


class TestLines:
    """doccano, Prodigy and CSV."""

    @pytest.mark.parametrize(
        "line",
        [
            {"id": 7, "text": "They fled.", "label": [[5, 9, "flight:possible"]], "Comments": []},
            {"id": 7, "text": "They fled.", "labels": [[5, 9, "flight:possible"]]},
            {
                "id": 7,
                "text": "They fled.",
                "entities": [{"id": 1, "label": "flight:possible", "start_offset": 5, "end_offset": 9}],
                "relations": [],
                "Comments": [],
            },
        ],
    )
    def test_exports_of_doccano(self, tmp_path, line):
        path = tmp_path / "all.jsonl"
        path.write_text(json.dumps(line) + "\n")
        assert formats.guess_input(path)[0] == "doccano"
        (made,) = doccano.read(path)
        assert (made.id, made.spans) == ("all-7", (Span(5, 9, "flight", "possible"),))

    def test_examples_of_prodigy(self, tmp_path):
        lines = [
            {"text": "They fled.", "_input_hash": 1, "_task_hash": 2, "answer": "accept", "_view_id": "ner_manual"}
            | {"spans": [{"start": 5, "end": 9, "token_start": 1, "token_end": 1, "label": "flight"}]},
            {"text": "They fled.", "spans": [], "answer": "reject"},
            {"text": "They flew.", "answer": "accept", "meta": {"id": "own"}},
            {"text": "They fled.", "spans": [{"start": 5, "end": 9, "label": "flight:negated"}]},
        ]
        path = tmp_path / "x.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
        assert formats.guess_input(path)[0] == "prodigy"
        made = prodigy.read(path)
        assert [each.id for each in made] == ["x-1", "own", "x-4"]
        assert [each.spans for each in made] == [(Span(5, 9, "flight"),), (), (Span(5, 9, "flight", "negated"),)]

    @given(documents())
    @settings(max_examples=50, deadline=None)
    def test_tokens_of_prodigy_give_back_the_text(self, drawn):
        for text, spans in drawn:
            record = prodigy.record(article("d", text, spans))
            assert "".join(token["text"] + " " * token["ws"] for token in record["tokens"]) == text
            for span in record["spans"]:
                first, last = record["tokens"][span["token_start"]], record["tokens"][span["token_end"]]
                assert (first["start"], last["end"]) == (span["start"], span["end"])

    def test_a_spreadsheet_in_another_order(self, tmp_path):
        (tmp_path / "x.csv").write_bytes(
            '\ufefftext,type,start,end,document,note\r\n"They fled, she said.",flight,5,9,a,sure\r\n'.encode()
            + b"Quiet.,,,,b,\r\n"
        )
        made = spancsv.read(tmp_path / "x.csv")
        assert facts(made) == facts(
            [article("a", "They fled, she said.", [Span(5, 9, "flight")]), article("b", "Quiet.")]
        )

    @pytest.mark.parametrize(
        ("read", "content", "what"),
        [
            (doccano.read, '{"text": "a"}', "expected doccano's"),
            (doccano.read, '{"text": "a", "label": [[1]]}', "expected doccano's"),
            (doccano.read, "[1]", "list instead of an object"),
            (prodigy.read, '{"text": 1}', "expected Prodigy's"),
            (prodigy.read, '{"text": "a", "spans": [{"start": 0}]}', "expected Prodigy's"),
            (prodigy.read, "{torn", "not JSON"),
            (prodigy.read, '{"text": "\\ud800"}', "half a character"),
            (spancsv.read, "document,start\n", "no column end, type, text"),
            (spancsv.read, "document,start,end,type,text\na,x,1,flight,t\n", "are no offsets"),
            (spancsv.read, "document,start,end,type,text\na,1\n", "2 fields, expected 5"),
            (spancsv.read, "", "no column document"),
        ],
    )
    def test_faults_are_named_with_their_place(self, tmp_path, read, content, what):
        (tmp_path / "x").write_text(content)
        with pytest.raises(LabelError, match=what) as caught:
            read(tmp_path / "x")
        assert str(caught.value).startswith(str(tmp_path / "x") if "half" not in what else "document")


class TestXmi:
    """What INCEpTION and WebAnno export."""

    @pytest.fixture
    def export(self, tmp_path):
        """Return a zip as INCEpTION's curation export has it: named entities, offsets in UTF-16 units."""
        cassis = pytest.importorskip("cassis")
        entity, meta = (
            "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity",
            "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData",
        )
        system = cassis.TypeSystem()
        system.create_feature(system.create_type(entity), name="value", rangeType="uima.cas.String")
        own = system.create_type(meta, supertypeName="uima.tcas.DocumentAnnotation")
        system.create_feature(own, name="documentId", rangeType="uima.cas.String")
        xmi = (
            '<?xml version="1.0" encoding="UTF-8"?><xmi:XMI xmlns:tcas="http:///uima/tcas.ecore" '
            'xmlns:xmi="http://www.omg.org/XMI" xmlns:cas="http:///uima/cas.ecore" '
            'xmlns:type2="http:///de/tudarmstadt/ukp/dkpro/core/api/metadata/type.ecore" '
            'xmlns:type3="http:///de/tudarmstadt/ukp/dkpro/core/api/ner/type.ecore" xmi:version="2.0">'
            '<cas:NULL xmi:id="0"/>'
            '<type2:DocumentMetaData xmi:id="8" sofa="1" begin="0" end="13" documentId="s.txt"/>'
            '<type3:NamedEntity xmi:id="12" sofa="1" begin="8" end="12" value="flight"/>'
            '<cas:Sofa xmi:id="1" sofaNum="1" sofaID="_InitialView" mimeType="text" sofaString="&#128522; They fled."/>'
            '<cas:View sofa="1" members="8 12"/></xmi:XMI>'
        )
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("CURATION_USER.xmi", xmi)
            archive.writestr("TypeSystem.xml", system.to_xml())
        (tmp_path / "s.zip").write_bytes(out.getvalue())
        return tmp_path

    def test_named_entities_of_an_export(self, export):
        from eventx import xmi

        for path in (export / "s.zip", export):
            (made,) = xmi.read(path)
            assert (made.id, made.text, made.spans) == ("s", "😊 They fled.", (Span(7, 11, "flight"),))
        assert formats.guess_input(export)[0] == "xmi"

    def test_cassis_reads_what_is_written(self, tmp_path):
        cassis = pytest.importorskip("cassis")
        from eventx import xmi

        text = "😊 They\r\nfled. Quiet."
        xmi.write([article("d", text, [Span(8, 12, "flight", "possible")])], tmp_path / "x")
        with (tmp_path / "x" / "TypeSystem.xml").open("rb") as file:
            system = cassis.load_typesystem(file)
        with (tmp_path / "x" / "d.xmi").open("rb") as file:
            cas = cassis.load_cas_from_xmi(file, typesystem=system)
        assert cas.sofa_string == text
        (event,) = cas.select(xmi.LAYER)
        assert (event.get_covered_text(), event.value, event.modality) == ("fled", "flight", "possible")
        assert len(cas.select("de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Token")) == len(words(text))
        raw = (tmp_path / "x" / "d.xmi").read_text()
        assert re.search(r'Event[^>]*begin="9" end="13"', raw)
        assert raw.count("DocumentMetaData ") == 1

    def test_what_xml_cannot_hold_is_refused_before_anything_is_written(self, tmp_path):
        pytest.importorskip("cassis")
        from eventx import xmi

        with pytest.raises(LabelError, match="XML cannot hold"):
            xmi.write([article("a", "fine"), article("d", "a\x00b")], tmp_path / "x")
        assert not (tmp_path / "x").exists()
        (tmp_path / "y.xmi").write_text("<a/>")
        with pytest.raises(LabelError, match=r"no TypeSystem\.xml"):
            xmi.read(tmp_path / "y.xmi")
        (tmp_path / "TypeSystem.xml").write_text("<a/>")
        with pytest.raises(LabelError, match=r"not a CAS|holds no text|neither"):
            xmi.read(tmp_path / "y.xmi")


class TestDoor:
    """The rules of the passage."""

    def test_edges_and_repetitions(self):
        mark = Mark(((4, 11),), "flight", "asserted", "x:1")
        made = Door().article("d", "They  fled  far", [mark, mark, dataclasses.replace(mark, pieces=((6, 10),))])
        assert made.triggers == ("fled",)

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", "x" * 300])
    def test_ids_that_cannot_name_a_file(self, name):
        with pytest.raises(LabelError, match="cannot name a file"):
            marks.file_name(article(name, "a"))

    @pytest.mark.parametrize("label", ["flight", "flight:possible", "a:b", "a:b:negated"])
    def test_joined_and_parted_are_inverse(self, label):
        assert marks.joined(Span(0, 1, *marks.parted(label))) == label


class TestCommand:
    """`eventx convert`."""

    def run(self, *words):
        return CliRunner().invoke(app, ["convert", *map(str, words)])

    def test_labels_to_brat_and_back(self, tmp_path, root):
        there = self.run(root / "labels" / "seeds.jsonl", tmp_path / "b")
        assert (there.exit_code, there.stdout) == (0, f"{tmp_path / 'b'}: 5 documents, 89 mentions\n")
        assert "as labels (its first line)" in there.stderr
        assert "as brat (a folder)" in there.stderr
        back = self.run(tmp_path / "b", tmp_path / "mine.jsonl")
        assert back.exit_code == 0, back.output
        assert facts(labels.read(tmp_path / "mine.jsonl")) == facts(labels.read(root / "labels" / "seeds.jsonl"))
        apart = self.run(tmp_path / "b", tmp_path / "o.jsonl", "--texts", tmp_path / "texts")
        assert apart.exit_code == 0, apart.output
        assert facts(labels.read(tmp_path / "o.jsonl", texts=tmp_path / "texts")) == facts(
            labels.read(tmp_path / "mine.jsonl")
        )

    def test_nothing_is_written_over_unasked(self, tmp_path, root):
        (tmp_path / "x.csv").write_text("mine")
        assert "--force" in self.run(root / "labels" / "seeds.jsonl", tmp_path / "x.csv").stderr
        assert (tmp_path / "x.csv").read_text() == "mine"
        assert self.run(root / "labels" / "seeds.jsonl", tmp_path / "x.csv", "--force").exit_code == 0

    def test_names_and_marks_that_labels_lack(self, tmp_path):
        (tmp_path / "x.conll").write_text("They O\nfled B-Move\nRome B-Place\n")
        refused = self.run(tmp_path / "x.conll", tmp_path / "y.csv")
        assert (refused.exit_code, "--rename Move=TYPE" in refused.stderr) == (1, True)
        assert self.run(tmp_path / "x.conll", tmp_path / "y.csv", "--rename", "Move").exit_code == 2
        named = self.run(tmp_path / "x.conll", tmp_path / "y.csv", "--rename", "Move=flight", "--rename", "Place=")
        assert (named.exit_code, named.stdout) == (0, f"{tmp_path / 'y.csv'}: 1 document, 1 mention\n")
        skipped = self.run(tmp_path / "x.conll", tmp_path / "z.csv", "--rename", "Move=flight", "--skip")
        assert (skipped.exit_code, "left out: " in skipped.stderr) == (1, True)

    @pytest.mark.parametrize(
        ("words", "code", "what"),
        [
            (["no.csv", "y.csv"], 1, "no such file or folder"),
            (["x.odd", "y.csv"], 1, "--from"),
            (["x.odd", "y.odd", "--from", "csv"], 1, "--to"),
            (["x.odd", "y.csv", "--from", "ccsv"], 2, "no such format"),
            (["odd.jsonl", "y.csv"], 1, "an object with a"),
            ([".", "y.csv"], 1, "neither .ann nor .xmi"),
        ],
    )
    def test_wrong_input_says_what_to_type(self, tmp_path, monkeypatch, words, code, what):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "x.odd").write_text("a")
        (tmp_path / "odd.jsonl").write_text('{"a": 1}\n')
        result = self.run(*words)
        assert (result.exit_code, what in result.stderr) == (code, True), result.output

    def test_a_missing_library_is_named(self, tmp_path, root, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "spacy", None)
        result = self.run(root / "labels" / "seeds.jsonl", tmp_path / "x.spacy")
        assert (result.exit_code, 'pip install "eventx[convert]"' in result.stderr) == (1, True)
