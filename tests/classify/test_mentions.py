"""Our own mentions of invented brands keep what their card says."""

import json
from collections import Counter, defaultdict
from itertools import combinations

import pytest

from classify.language import PROMISED
from classify.training.sets import LABELS, OWN, OWN_HELD_BACK, brands_aside, own

KEYS = ["lang", "brand", "text", "target", "label", "kind", "genre"]
KINDS = {"product", "service", "delivery", "price", "safety", "employer", "other"}
GENRES = {"blog", "forum", "news", "other", "review", "social", "support"}
SPACELESS = ("zh", "ja", "th")


def rows(language: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (OWN / f"{language}.jsonl").read_text(encoding="utf-8").split("\n") if line]


ROWS = {path.stem: rows(path.stem) for path in sorted(OWN.glob("*.jsonl"))}


def shingles(text: str, language: str) -> set[str]:
    """Word 3-grams; 5-grams of characters where words have no borders."""
    if language in SPACELESS:
        return {text[i : i + 5] for i in range(len(text) - 4)}
    words = text.lower().split()
    return {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}


def near_copies(texts: list[str], language: str) -> list[tuple[str, str]]:
    """Pairs that share half of the 3-grams of the shorter one."""
    grams = [shingles(text, language) for text in texts]
    holders: dict[str, list[int]] = defaultdict(list)
    for i, own_grams in enumerate(grams):
        for gram in own_grams:
            holders[gram].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for holding in holders.values():
        shared.update(combinations(holding, 2))
    return [
        (texts[a], texts[b]) for (a, b), count in shared.items() if 2 * count >= min(len(grams[a]), len(grams[b])) > 0
    ]


def test_the_search_for_copies_finds_one():
    texts = [
        "the parcel came two weeks late and wet",
        "my parcel came two weeks late and wet again",
        "all is well here",
    ]
    assert near_copies(texts, "en") == [(texts[0], texts[1])]


def test_there_are_enough_in_every_promised_language():
    assert set(ROWS) == set(PROMISED)
    assert sum(map(len, ROWS.values())) >= 4_000
    assert all(len(ROWS[language]) >= 500 for language in ("pl", "ru", "tr", "en"))
    assert all(len(found) >= 80 for found in ROWS.values())


@pytest.mark.parametrize("language", ROWS)
def test_rows_are_as_the_card_says(language):
    for row in ROWS[language]:
        assert list(row) == KEYS, row
        assert row["lang"] == language
        assert row["target"] in row["text"], row
        assert row["target"] == row["target"].strip() != "", row
        assert row["brand"] == row["brand"].strip() != "", row
        assert row["label"] in LABELS, row
        assert (row["kind"] in KINDS) if row["label"] == "negative" else row["kind"] is None, row
        assert row["genre"] in GENRES, row
        assert 15 <= len(row["text"]) <= 2_000, row
        assert "\x00" not in row["text"]


@pytest.mark.parametrize("language", ROWS)
def test_no_row_stands_twice_and_no_text_is_a_near_copy(language):
    judged = Counter((row["text"], row["target"]) for row in ROWS[language])
    assert [key for key, count in judged.items() if count > 1] == []
    texts = list(dict.fromkeys(row["text"] for row in ROWS[language]))
    assert near_copies(texts, language) == []


@pytest.mark.parametrize("language", ROWS)
def test_every_label_is_there_and_many_texts_name_two_brands(language):
    labels = Counter(row["label"] for row in ROWS[language])
    assert min(labels[label] for label in LABELS) >= 0.15 * len(ROWS[language]), labels
    texts = Counter(row["text"] for row in ROWS[language])
    assert sum(count > 1 for count in texts.values()) >= 3


@pytest.mark.parametrize("language", ROWS)
def test_whole_brands_are_set_aside(language):
    aside = brands_aside(ROWS[language])
    brands = {row["brand"] for row in ROWS[language]}
    assert aside
    assert aside < brands


def test_about_fifteen_percent_are_set_aside_and_none_of_their_texts_is_trained_on():
    train, aside = own()
    assert 0.12 <= len(aside) / sum(map(len, ROWS.values())) <= 0.18
    assert abs(OWN_HELD_BACK - 0.15) < 1e-9
    assert not {row.text for row in train} & {row.text for row in aside}
    kept = {(language, brand) for language, found in ROWS.items() for brand in brands_aside(found)}
    trained = {row.text for row in train}
    assert not [row for found in ROWS.values() for row in found
                if (row["lang"], row["brand"]) in kept and row["text"] in trained]  # fmt: skip


def test_the_marked_place_is_the_target():
    train, aside = own()
    by_text = defaultdict(set)
    for row in (row for found in ROWS.values() for row in found):
        by_text[row["text"]].add(row["target"])
    for row in train + aside:
        assert row.span is not None
        assert row.text[slice(*row.span)] in by_text[row.text]
