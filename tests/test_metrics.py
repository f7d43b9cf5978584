"""The scores against an oracle (seqeval, strict mode), brute force, and what must not change them."""

from __future__ import annotations

import importlib
import random
from dataclasses import replace
from itertools import permutations, product

import pytest

from eventx import metrics
from eventx.metrics import (
    Counts,
    Match,
    agreement,
    by_type,
    count,
    expected_calibration_error,
    false_alarms_per_1000_words,
    interval,
    modality,
    modality_confusion,
    permutation_p,
    reliability,
)
from eventx.schema import MODALITIES, TYPES
from eventx.spans import Span, bio_to_spans, spans_to_bio

MATCHES: tuple[Match, ...] = ("exact", "span", "overlap")
SEEDS = range(5)
EXACT = 1e-12


def words(count: int) -> list[tuple[int, int]]:
    """Return the offsets of `count` three-letter words, a blank between them."""
    return [(4 * at, 4 * at + 3) for at in range(count)]


def random_spans(rng: random.Random, size: int, density: float = 0.3) -> list[Span]:
    """Return spans over `size` words, without overlap, some of them back to back."""
    bounds, spans, at = words(size), [], 0
    while at < size:
        end = min(size, at + rng.randint(1, 3))
        if rng.random() < density:
            span = Span(bounds[at][0], bounds[end - 1][1], rng.choice([*TYPES]), rng.choice([*MODALITIES]))
            spans.append(span)
        at = end
    return spans


def disturbed(rng: random.Random, spans: list[Span], size: int) -> list[Span]:
    """Return spans as a middling system would mark them: some missed, retyped, cut short, invented."""
    bounds, kept = words(size), []
    for span in spans:
        fate = rng.random()
        if fate < 0.5:
            kept.append(replace(span, modality=rng.choice([*MODALITIES])))
        elif fate < 0.65:
            kept.append(replace(span, label=rng.choice([*TYPES])))
        elif fate < 0.8:
            kept.append(replace(span, end=next(end for _, end in bounds if end > span.start)))
    taken = {at for span in spans for at, (start, end) in enumerate(bounds) if start < span.end and end > span.start}
    kept += [Span(*bounds[at], rng.choice([*TYPES])) for at in range(size) if at not in taken and rng.random() < 0.05]
    return sorted(kept)


def corpus(seed: int, documents: int = 60) -> tuple[list[list[Span]], list[list[Span]], list[int]]:
    """Return gold and predicted spans of random documents, some empty, and how many words each has."""
    rng = random.Random(seed)
    sizes = [rng.randint(0, 40) for _ in range(documents)]
    gold = [random_spans(rng, size, rng.choice([0.0, 0.3])) for size in sizes]
    return gold, [disturbed(rng, spans, size) for spans, size in zip(gold, sizes, strict=True)], sizes


def assert_equals_seqeval(gold: list[list[str]], predicted: list[list[str]], sizes: list[int]) -> None:
    """Compare micro and per-type P, R and F1 of tagged documents with seqeval's strict mode."""
    seqeval = importlib.import_module("seqeval.metrics.v1")
    scheme = importlib.import_module("seqeval.scheme").IOB2
    left = [bio_to_spans(tags, words(size)) for tags, size in zip(gold, sizes, strict=True)]
    right = [bio_to_spans(tags, words(size)) for tags, size in zip(predicted, sizes, strict=True)]

    def theirs(average: str | None) -> tuple[object, ...]:
        result = seqeval.precision_recall_fscore_support(
            gold, predicted, average=average, scheme=scheme, zero_division=0
        )
        return tuple(result[:3])

    micro = count(left, right)
    assert (micro.precision, micro.recall, micro.f1) == pytest.approx(theirs("micro"), abs=EXACT)
    ours = [counts for _, counts in sorted(by_type(left, right).items())]
    for name, column in zip(("precision", "recall", "f1"), theirs(None), strict=True):
        assert [getattr(counts, name) for counts in ours] == pytest.approx(column, abs=EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_of_spans_equal_seqeval(seed: int) -> None:
    """Random spans, tagged by `spans_to_bio`, score as in seqeval."""
    gold, predicted, sizes = corpus(seed)
    left = [spans_to_bio(spans, words(size)) for spans, size in zip(gold, sizes, strict=True)]
    right = [spans_to_bio(spans, words(size)) for spans, size in zip(predicted, sizes, strict=True)]
    assert_equals_seqeval(left, right, sizes)
    plain = [[replace(span, modality="asserted") for span in spans] for spans in predicted]
    assert [bio_to_spans(tags, words(size)) for tags, size in zip(right, sizes, strict=True)] == plain


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_of_valid_tags_equal_seqeval(seed: int) -> None:
    """Random valid BIO tags score as in seqeval; two types, so that chance hits are many."""
    rng = random.Random(seed)
    sizes = [rng.randint(1, 30) for _ in range(60)]

    def tags(size: int) -> list[str]:
        drawn: list[str] = []
        for _ in range(size):
            before = drawn[-1][2:] if drawn and drawn[-1] != "O" else ""
            drawn.append(rng.choice(["O", "O", "B-flight", "B-warning", *([f"I-{before}"] if before else [])]))
        return drawn

    assert_equals_seqeval([tags(size) for size in sizes], [tags(size) for size in sizes], sizes)


@pytest.mark.parametrize("match", MATCHES)
def test_order_and_cutting_of_documents_do_not_matter(match: Match) -> None:
    """Shuffling, joining and splitting documents leave micro counts alone; doubling them leaves F1 alone."""
    gold, predicted, sizes = corpus(1)
    whole = count(gold, predicted, match)
    order = random.Random(0).sample(range(len(gold)), len(gold))
    assert count([gold[at] for at in order], [predicted[at] for at in order], match) == whole

    shifts = [sum(4 * size for size in sizes[:at]) for at in range(len(sizes))]

    def joined(documents: list[list[Span]]) -> list[list[Span]]:
        moved = [
            replace(span, start=span.start + shift, end=span.end + shift)
            for spans, shift in zip(documents, shifts, strict=True)
            for span in spans
        ]
        return [moved]

    assert count(joined(gold), joined(predicted), match) == whole
    assert count(gold * 2, predicted * 2, match) == whole + whole
    assert count(gold * 2, predicted * 2, match).f1 == pytest.approx(whole.f1, abs=EXACT)


@pytest.mark.parametrize("match", MATCHES)
def test_names_of_types_do_not_matter(match: Match) -> None:
    """Giving the types each other's names moves their scores and leaves micro counts alone."""
    gold, predicted, _ = corpus(2)
    new = dict(zip(TYPES, [*TYPES][1:] + [*TYPES][:1], strict=True))

    def renamed(documents: list[list[Span]]) -> list[list[Span]]:
        return [[replace(span, label=new[span.label]) for span in spans] for spans in documents]

    assert count(renamed(gold), renamed(predicted), match) == count(gold, predicted, match)
    before, after = by_type(gold, predicted), by_type(renamed(gold), renamed(predicted))
    assert after == {new[name]: counts for name, counts in before.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_types_add_up_and_looser_rules_find_more(seed: int) -> None:
    """Counts by type sum to the micro counts; an exact hit is a hit by any rule; sides may change places."""
    gold, predicted, _ = corpus(seed)
    exact, span, overlap = (count(gold, predicted, match) for match in MATCHES)
    assert sum(by_type(gold, predicted).values(), start=Counts()) == exact
    assert exact.hits <= min(span.hits, overlap.hits)
    for match in MATCHES:
        assert count(predicted, gold, match).f1 == count(gold, predicted, match).f1
        assert count(gold, gold, match).f1 == 1.0


def test_by_type_names_the_types_in_schema_order_and_strangers_last() -> None:
    """A type of a model's own comes behind those of the schema; unused types are left out."""
    gold = [[Span(0, 1, "zeal"), Span(1, 2, "warning"), Span(2, 3, "arrest"), Span(3, 4, "offensive")]]
    assert [*by_type(gold, [[]])] == ["offensive", "warning", "arrest", "zeal"]


@pytest.mark.parametrize("seed", range(60))
def test_overlap_is_a_maximum_matching(seed: int) -> None:
    """The sweep finds as many pairs as trying every one-to-one pairing does."""
    rng = random.Random(seed)

    def side() -> list[Span]:
        cuts = sorted(rng.sample(range(24), 2 * rng.randint(0, 4)))
        return [Span(*pair, rng.choice(["flight", "warning"])) for pair in zip(cuts[::2], cuts[1::2], strict=True)]

    def touch(one: Span, two: Span) -> bool:
        return one.label == two.label and any(one.start <= at < one.end for at in range(two.start, two.end))

    for _ in range(20):
        short, long = sorted((side(), side()), key=len)
        best = max(
            sum(touch(one, two) for one, two in zip(short, chosen, strict=True))
            for chosen in permutations(long, len(short))
        )
        assert count([short], [long], "overlap").hits == count([long], [short], "overlap").hits == best


def test_touching_spans_do_not_overlap() -> None:
    """Offsets are half-open: a span that begins where another ends shares no character with it."""
    assert count([[Span(0, 4, "flight")]], [[Span(4, 8, "flight")]], "overlap").hits == 0
    assert count([[Span(0, 5, "flight")]], [[Span(4, 8, "flight")]], "overlap").hits == 1


def test_one_long_span_hits_once() -> None:
    """A prediction over a whole sentence is one hit, however many gold spans lie in it."""
    gold = [[Span(0, 2, "flight"), Span(3, 5, "flight"), Span(6, 8, "flight")]]
    assert count(gold, [[Span(0, 8, "flight")]], "overlap") == Counts(hits=1, predicted=1, gold=3)


def test_nothing_to_find_and_nothing_found_is_zero() -> None:
    """A share of nothing is 0.0, as in seqeval with `zero_division=0`."""
    nothing: list[list[list[Span]]] = [[], [[]], [[], []]]
    for documents in nothing:
        empty = count(documents, documents)
        assert (empty.precision, empty.recall, empty.f1) == (0.0, 0.0, 0.0)
    assert by_type([[]], [[]]) == {}


def test_modality_counts_exact_hits_only() -> None:
    """Modality is judged where offsets and type are right, and the confusion says which became which."""
    gold = [[Span(0, 4, "flight", "possible"), Span(5, 9, "warning"), Span(10, 14, "flight", "negated")], []]
    found = [[Span(0, 4, "flight"), Span(5, 9, "warning"), Span(10, 14, "warning", "negated")], [Span(0, 1, "flight")]]
    assert modality(gold, found) == (1, 2)
    assert modality_confusion(gold, found) == {("asserted", "asserted"): 1, ("possible", "asserted"): 1}


@pytest.mark.parametrize("seed", SEEDS)
def test_modality_confusion_adds_up(seed: int) -> None:
    """The confusion holds every exact hit once, the right ones on its diagonal."""
    gold, predicted, _ = corpus(seed)
    confusion = modality_confusion(gold, predicted)
    right = sum(confusion.get((name, name), 0) for name in MODALITIES)
    assert modality(gold, predicted) == (right, count(gold, predicted).hits)


def test_false_alarms_are_those_of_quiet_documents() -> None:
    """Documents with gold events neither add alarms nor words."""
    gold = [[], [Span(0, 4, "flight")], []]
    predicted = [[Span(0, 4, "flight"), Span(5, 9, "warning")], [Span(9, 12, "flight")], []]
    assert false_alarms_per_1000_words(gold, predicted, [300, 5000, 200]) == 4.0
    with pytest.raises(ValueError, match="no rate of false alarms"):
        false_alarms_per_1000_words(gold[1:2], predicted[1:2], [5000])
    with pytest.raises(ValueError, match="one count a document"):
        false_alarms_per_1000_words(gold, predicted, [300])


@pytest.mark.parametrize("match", MATCHES)
def test_interval_holds_the_estimate_and_repeats(match: Match) -> None:
    """The bounds stand around the point estimate, are the same for a seed, and widen with the level."""
    gold, predicted, _ = corpus(3)
    low, high = interval(gold, predicted, match=match)
    assert low < count(gold, predicted, match).f1 < high
    assert interval(gold, predicted, match=match) == (low, high) != interval(gold, predicted, seed=1, match=match)
    narrow = interval(gold, predicted, level=0.5, match=match)
    assert low < narrow[0] < narrow[1] < high


def test_interval_is_that_of_plain_resampling() -> None:
    """Drawing documents one by one and scoring each draw afresh gives the same bounds, up to the draw."""
    gold, predicted, _ = corpus(4)
    rng = random.Random(0)
    draws = [rng.choices(range(len(gold)), k=len(gold)) for _ in range(400)]
    scores = sorted(count([gold[at] for at in draw], [predicted[at] for at in draw]).f1 for draw in draws)
    assert interval(gold, predicted, samples=4000) == pytest.approx((scores[10], scores[-11]), abs=0.02)


def test_interval_shrinks_with_more_documents() -> None:
    """Four times the documents, half the width."""
    gold, predicted, _ = corpus(5)
    low, high = interval(gold, predicted, samples=4000)
    inner, outer = interval(gold * 4, predicted * 4, samples=4000)
    assert (outer - inner) / (high - low) == pytest.approx(0.5, abs=0.1)


def test_draws_in_chunks_are_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many samples fit into memory at a time changes no bound and no p."""
    gold, predicted, _ = corpus(6)
    other = corpus(7)[0]
    bounds, p = interval(gold, predicted, samples=100), permutation_p(gold, predicted, other, samples=100)
    monkeypatch.setattr(metrics, "_CELLS", 7 * len(gold))
    assert interval(gold, predicted, samples=100) == bounds
    assert permutation_p(gold, predicted, other, samples=100) == p


def test_p_of_identical_systems_is_one() -> None:
    """Nothing tells a system from itself."""
    gold, predicted, _ = corpus(8)
    assert permutation_p(gold, predicted, predicted) == 1.0


def test_p_is_symmetric_and_small_for_a_clear_difference() -> None:
    """The test is two-sided, repeats for a seed, and its smallest value is 1 / (samples + 1)."""
    gold, predicted, _ = corpus(9)
    nothing: list[list[Span]] = [[] for _ in gold]
    assert permutation_p(gold, gold, nothing, samples=999) == 1 / 1000
    weaker = [spans[: len(spans) // 2] for spans in predicted]
    p = permutation_p(gold, predicted, weaker)
    assert 0 < p < 0.05
    assert permutation_p(gold, weaker, predicted) == pytest.approx(p, abs=0.01)
    assert permutation_p(gold, predicted, weaker) == p


def test_p_is_that_of_all_swaps() -> None:
    """With few documents the estimate comes near the share of all 2^n swaps that are as far apart."""
    gold, predicted, _ = corpus(10, documents=9)
    other = [spans[1:] for spans in gold]

    def apart(swaps: tuple[bool, ...]) -> float:
        one = [right if swap else left for left, right, swap in zip(predicted, other, swaps, strict=True)]
        two = [left if swap else right for left, right, swap in zip(predicted, other, swaps, strict=True)]
        return abs(count(gold, one).f1 - count(gold, two).f1)

    swaps = [*product((False, True), repeat=len(gold))]
    share = sum(apart(each) >= apart(swaps[0]) - EXACT for each in swaps) / len(swaps)
    assert 0.01 < share < 0.99
    assert permutation_p(gold, predicted, other) == pytest.approx(share, abs=0.02)


def test_calibration_error_by_hand() -> None:
    """Two bins of two: |0.2 - 1/2| and |0.9 - 1| on average, whatever the order."""
    scores, right = [0.8, 0.1, 1.0, 0.3], [True, False, True, True]
    assert reliability(scores, right, bins=2) == [pytest.approx((0.2, 0.5, 2)), pytest.approx((0.9, 1.0, 2))]
    assert expected_calibration_error(scores, right, bins=2) == pytest.approx((0.3 + 0.1) / 2)
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0.0


def test_equal_scores_share_a_bin() -> None:
    """Ties are never parted, so that the order of documents does not show; every score is in one bin."""
    rng = random.Random(0)
    scores = [rng.choice([0.1, 0.5, 0.5, 0.9, 0.95]) for _ in range(200)]
    right = [rng.random() < score for score in scores]
    points = reliability(scores, right)
    assert [mean for mean, _, _ in points] == pytest.approx([0.1, 0.5, 0.9, 0.95])
    assert sum(size for _, _, size in points) == 200
    order = rng.sample(range(200), 200)
    assert reliability([scores[at] for at in order], [right[at] for at in order]) == [
        pytest.approx(point) for point in points
    ]


def test_bins_are_of_equal_mass() -> None:
    """Without ties ten bins of 95 scores hold nine or ten each; more bins than scores leave one a score."""
    scores = [at / 100 for at in range(95)]
    assert {size for _, _, size in reliability(scores, [True] * 95)} == {9, 10}
    assert len(reliability(scores, [True] * 95)) == 10
    assert [size for _, _, size in reliability(scores[:3], [True] * 3)] == [1, 1, 1]
    assert reliability([], []) == []


def test_agreement_is_symmetric() -> None:
    """Neither annotator is the right one."""
    a, b, _ = corpus(11)
    both = agreement(a, b)
    assert both == agreement(b, a)
    assert both.exact == count(a, b).f1
    assert both.span == count(a, b, "span").f1
    assert both.by_type["flight"] == by_type(a, b)["flight"].f1
    assert both.modality == modality(a, b)


def test_errors_say_what_came_and_what_to_give() -> None:
    """Unequal documents, overlaps, unknown rules and empty draws are refused, each by name."""
    one = [[Span(0, 4, "flight")]]
    with pytest.raises(ValueError, match="1 gold documents, but 2 predicted ones"):
        count(one, [*one, []])
    with pytest.raises(ValueError, match=r"document 0 .* predicted spans 0:4 \(flight\) and 3:9 \(warning\) overlap"):
        count(one, [[Span(3, 9, "warning"), Span(0, 4, "flight")]])
    with pytest.raises(ValueError, match="use one of exact, span, overlap"):
        count(one, one, "partial")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no document to draw from"):
        interval([], [])
    with pytest.raises(ValueError, match="0 samples"):
        permutation_p(one, one, one, samples=0)
    with pytest.raises(ValueError, match="level of 95"):
        interval(one, one, level=95)
    with pytest.raises(ValueError, match="2 scores, but 1 answers"):
        reliability([0.1, 0.2], [True])
    with pytest.raises(ValueError, match="0 bins"):
        reliability([0.1], [True], bins=0)
    with pytest.raises(ValueError, match="no score"):
        expected_calibration_error([], [])


@pytest.mark.parametrize("seed", SEEDS)
def test_single_documents_score_as_in_nervaluate(seed: int) -> None:
    """Strict and exact modes count exact and span hits; where at most one mark touches each, its type mode overlaps."""
    nervaluate = pytest.importorskip("nervaluate")
    gold, predicted, _ = corpus(seed)
    for left, right in zip(gold, predicted, strict=True):
        if not left and not right:
            continue
        sides = [[[{"label": s.label, "start": s.start, "end": s.end} for s in spans]] for spans in (left, right)]
        found = nervaluate.Evaluator(*sides, tags=[*TYPES], loader="dict").evaluate()["overall"]
        assert found["strict"].correct == count([left], [right]).hits
        assert found["exact"].correct == count([left], [right], "span").hits
        touching = [[o for o in right if o.start < s.end and s.start < o.end] for s in left]
        back = [[o for o in left if o.start < s.end and s.start < o.end] for s in right]
        if all(len(each) <= 1 for each in (*touching, *back)):
            assert found["ent_type"].correct == count([left], [right], "overlap").hits


@pytest.mark.parametrize("seed", SEEDS)
def test_confusions_and_presence_add_up(seed: int) -> None:
    gold, predicted, _ = corpus(seed)
    cells = metrics.type_confusion(gold, predicted)
    assert sum(n for (wanted, found), n in cells.items() if wanted == found) == count(gold, predicted).hits
    assert sum(n for (wanted, found), n in cells.items() if wanted and found) == count(gold, predicted, "span").hits
    assert sum(n for (wanted, _), n in cells.items() if wanted) == count(gold, predicted).gold
    for name, counts in metrics.presence(gold, predicted).items():
        assert counts.gold == sum(any(s.label == name for s in spans) for spans in gold)
        assert counts.hits <= min(counts.gold, counts.predicted)


@pytest.mark.parametrize("seed", SEEDS)
def test_duplicating_documents_changes_no_share(seed: int) -> None:
    gold, predicted, _ = corpus(seed)
    for match in MATCHES:
        assert count(gold * 2, predicted * 2, match).f1 == pytest.approx(count(gold, predicted, match).f1)
    assert metrics.presence(gold * 2, predicted * 2).keys() == metrics.presence(gold, predicted).keys()


def test_the_last_point_of_a_curve_is_the_score() -> None:
    rng = random.Random(1)
    scores = [rng.choice([0.2, 0.5, 0.9]) for _ in range(50)]
    right = [rng.random() < score for score in scores]
    points = metrics.precision_recall(scores, right, 60)
    assert len(points) == 3
    assert points[-1][1:] == (sum(right) / 50, sum(right) / 60)
    assert [recall for _, _, recall in points] == sorted(recall for _, _, recall in points)


def test_the_interval_of_a_difference_holds_it_and_turns_its_sign() -> None:
    gold, a, _ = corpus(1)
    b = corpus(2)[1][: len(gold)]
    b = [spans if at % 2 else a[at] for at, spans in enumerate(b)]
    low, high = metrics.difference_interval(gold, a, b, samples=400)
    assert low <= count(gold, b).f1 - count(gold, a).f1 <= high
    back = metrics.difference_interval(gold, b, a, samples=400)
    assert back == pytest.approx((-high, -low))
