"""The cue: which word makes an event possible or negated. A rule anyone can read, over two lists of words.

The model says that an event is possible or negated; this room points at the word that says so (the cue of Vincze et
al. 2008). Of the listed words in the event's sentence it takes the one nearest to the trigger, where borders between
clauses count as distance and words before the trigger go before words behind it. Nothing here changes a modality.
"""

from __future__ import annotations

from collections.abc import Sequence

from eventx.text import words

_LISTS = {
    "negated": """
        no not never none nobody nothing neither nor without cannot t deny denied denies denial refuse refusal
        reject rejection decline exclude rule fail failure unable impossible avoid avert prevent prevented stop halt
        foil thwart stave refrain hold cancel abandon suspend spare postpone untrue false baseless unfounded wrong
        unlikely hardly barely lack absence rather instead short before close
        """,
    "possible": """
        could would should will shall may might must can ll ca won any if unless whether whoever whenever until once
        lest possible possibly possibility potential potentially probable probably likely likelihood unlikely
        perhaps maybe imminent impending looming upcoming future eventual eventually further another hypothetical
        plan plot scheme intend intent intention aim seek want wish hope aspire ambition desire determination
        determined try tries tried attempt bid effort struggle look looking designed focused committed prepare
        preparation ready readiness poised brace about gear verge brink way pave threaten threat risk danger fear
        warn warning alert concern vow pledge promise swore swear vulnerable prone order instruct task authorize
        authorise authorization authority urge ask demand call appeal beg request require requirement invite press
        push propose proposal suggest recommend advocate favor favour support necessary need allow permit let able
        ability capable capability capacity resources opportunity chance prospect consider contemplate mull weigh
        debate vote decide decision option idea scenario choice willing willingness eager reluctant prohibit
        restrict bar ban prevent prevented avoid avert stop deter foil thwart goal objective expect expectation
        suspect anticipate predict await imagine suppose believe assess help achieve inspire provoke justify excuse
        pretext
        """,
}
"""Modality -> words that may make it so; they match with their endings (plans, planned, planning) too."""
_DOUBTFUL = """
    to for before call stop hold close rule any further another way about let look need believe allow help support
    push press warn warning case achieve alert future authority won t short wrong once until
    """
"""Words that often mean something else: they count as if they stood farther away."""
_FORMS = {modality: frozenset(listed.split()) for modality, listed in _LISTS.items()}
_LESS = frozenset(_DOUBTFUL.split())
_HARD = frozenset(";:.!?—–")
_SOFT = frozenset([",", "and", "but", "who", "which", "that", "because", "when", "while", "as", "after", "(", ")"])
_BEHIND, _DOUBT, _SOFT_COST, _HARD_COST, _PURPOSE = 5, 4, 2, 6, 8
"""Words of distance that weigh as much as: standing behind the trigger, doubt, a soft border, a hard one; and what a
bare `to` or `for` right before the trigger weighs, which tells where no other word does."""


def find(text: str, trigger: tuple[int, int], sentence: tuple[int, int], modality: str) -> tuple[int, int] | None:
    """Return the half-open offsets of the word that makes an event possible or negated.

    Args:
        text: the whole text.
        trigger: offsets of the event's trigger.
        sentence: offsets of the sentence around it; the cue is sought there.
        modality: of the event; an asserted event has no cue.

    Returns:
        None where no listed word stands in the sentence: then another sentence or the whole of it tells.

    >>> text = "They could not attack; troops were ready to storm the town."
    >>> not_, ready = find(text, (15, 21), (0, 59), "negated"), find(text, (44, 49), (0, 59), "possible")
    >>> text[slice(*not_)], text[slice(*ready)]
    ('not', 'ready')
    """
    if modality not in _LISTS:
        return None
    listed = _FORMS[modality]
    before = [(sentence[0] + start, sentence[0] + end) for start, end in words(text[sentence[0] : trigger[0]])]
    behind = [(trigger[1] + start, trigger[1] + end) for start, end in words(text[trigger[1] : sentence[1]])]
    rated = [*_rate(text, before[::-1], listed), *_rate(text, behind, listed, _BEHIND)]
    plain = [place for place in before if text[place[0]].isalnum()]
    if modality == "possible" and plain and text[slice(*plain[-1])].lower() in ("to", "for"):
        rated.append((_PURPOSE, plain[-1]))
    return _whole(text, min(rated)[1]) if rated else None


def _rate(
    text: str, path: Sequence[tuple[int, int]], listed: frozenset[str], cost: int = 0
) -> list[tuple[int, tuple[int, int]]]:
    """Return (cost, offsets) of each listed word on the way from the trigger; a lower cost is a likelier cue."""
    found = []
    for start, end in path:
        word = text[start:end].lower()
        stem = _stem(word, listed)
        if stem:
            found.append((cost + _DOUBT * (stem in _LESS), (start, end)))
        cost += _HARD_COST if word in _HARD else _SOFT_COST if word in _SOFT else 1
    return found


def _whole(text: str, place: tuple[int, int]) -> tuple[int, int]:
    """Return the offsets of the whole contraction that a cue is the end of: `didn't` for `t`."""
    start, end = place
    if text[start - 1 : start] in ("'", "’"):
        start -= 1
        while start and text[start - 1].isalnum():
            start -= 1
    return start, end


def _stem(word: str, listed: frozenset[str]) -> str:
    """Return the listed word that this one is a form of; "" if of none."""
    if word in listed:
        return word
    if len(word) > 4:
        for ending, other in (("ies", "y"), ("ied", "y"), ("s", ""), ("d", ""), ("ed", ""), ("ing", ""), ("ing", "e")):
            stem = word.removesuffix(ending) + other
            if word.endswith(ending) and (stem in listed or (stem[-1:] == stem[-2:-1] and stem[:-1] in listed)):
                return stem if stem in listed else stem[:-1]
    return ""
