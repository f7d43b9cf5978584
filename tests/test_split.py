"""The split: groups stay together, the committed one keeps its promises, bad lines are named."""

import pytest

from eventx import labels, split


@pytest.mark.parametrize("line", ["a\ttrain", "a\ta\tvalidation", "a\ta\ttrain\na\ta\tdev"])
def test_a_bad_split_line_is_named(tmp_path, line):
    file = tmp_path / "split.tsv"
    file.write_text(f"id\tgroup\tpart\n{line}\n")
    with pytest.raises(split.SplitError, match=r"split\.tsv:[23]: "):
        split.read(file)


def test_the_committed_split_keeps_its_promises(root):
    assigned = split.read(root / "labels" / "split.tsv")
    news = labels.read(root / "labels" / "news.jsonl", need_text=False)
    parts = {name: labels.part(news, assigned, name) for name in ("train", "dev", "test")}
    assert len(parts["dev"]) == len(parts["test"]) == 150
    assert all(article.id.startswith("n") for name in ("dev", "test") for article in parts[name])
    assert len({article.sha256 for article in news}) == len(news)
    assert sorted(entry.part for entry in assigned.values() if entry.part.startswith("fold-")) == [
        f"fold-{number}" for number in range(1, 6)
    ]


def test_near_duplicates_are_grouped():
    body = " ".join(f"word{number}" for number in range(100))
    texts = {
        "b": body,
        "a": "A new headline. " + body[: len(body) // 2],
        "c": " ".join(f"other{n}" for n in range(100)),
    }
    assert split.near_duplicates(texts) == {"a": "a", "b": "a", "c": "c"}


def test_a_split_never_parts_a_group_and_is_drawn_again_the_same():
    texts = {f"n{number}": f"text {number} " * 9 for number in range(40)}
    texts |= {f"m{number}": texts[f"n{number}"] + "and one more word" for number in range(10)}
    made = split.draw(texts, held_out=8, folds=["n0", "n1"], only_train=["n2"], seed=3)
    assert made == split.draw(texts, held_out=8, folds=["n0", "n1"], only_train=["n2"], seed=3)
    for number in range(10):
        assert made[f"n{number}"].part == made[f"m{number}"].part
    assert made["n0"].part == "fold-1"
    assert made["m2"] == split.Assignment("m2", "train")
    parts = [entry.part for entry in made.values()]
    assert 8 <= parts.count("dev") <= 9
    assert 8 <= parts.count("test") <= 9


def test_extending_a_split_changes_nothing_in_it():
    old, kept = (" ".join(f"{word}{at}" for at in range(50)) for word in ("held", "learnt"))
    known = {"a": split.Assignment("a", "test"), "b": split.Assignment("b", "train")}
    texts = {"a": old, "b": kept, "c": old + " more", "d": kept + " more", "e": "wholly new words stand here now"}
    longer, barred = split.extend(known, texts, "train")
    assert barred == ["c"]
    assert {name: longer[name] for name in known} == known
    assert longer["d"] == split.Assignment("b", "train")
    assert longer["e"] == split.Assignment("e", "train")
    with pytest.raises(split.SplitError, match="its text is needed"):
        split.extend(known, {"a": old, "f": None}, "train")
    with pytest.raises(split.SplitError, match="no part of a split"):
        split.extend(known, texts, "nonsense")


def test_write_and_read_are_inverse(tmp_path):
    known = {
        "a": split.Assignment("a", "test"),
        "b": split.Assignment("a", "fold-2"),
        "w": split.Assignment("w", "written"),
    }
    split.write(known, tmp_path / "s.tsv")
    assert split.read(tmp_path / "s.tsv") == known
