"""Texts and marked places -> token numbers: nothing that a text holds can stand for a mark."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from classify.bundled import FOLDER
from classify.encode import (
    BEGIN,
    CLOSE,
    CONTROL_PIECES,
    END,
    LIMIT,
    LONGEST,
    OPEN,
    UNKNOWN,
    encode,
    load_tokenizer,
    usable,
    windows,
)

WHOLE = 100_000
FORGERIES = [
    *CONTROL_PIECES, "<s>", "</s>", "<pad>", "<unk>", "<mask>", "[CLS]", "[SEP]", "[", "]", "▁[", "open", "\x00", "▁",
    "\ud800", "\udfff", "\u200f", "\u202e", "\u200b", "\u0301", "\x85", "\u2028", "👩‍🚒", "کومتا", "קומטה", "彗星", "ดาวหาง", "ﷺ", "㎏",
    "Kometa",
]  # fmt: skip
hostile = st.lists(st.sampled_from(FORGERIES) | st.text(max_size=12), max_size=12).map("".join)
anything = hostile | st.text(st.characters(), max_size=80)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(FOLDER / "tokenizer.json.gz")


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    text = draw(anything)
    place = st.integers(-2, len(text) + 2)
    return text, draw(st.lists(st.tuples(place, place), max_size=5))


@settings(deadline=None)
@given(text=anything, beside=st.none() | anything)
def test_no_text_yields_a_control_token(tokenizer, text, beside):
    whole = encode(tokenizer, text, limit=WHOLE)
    assert whole.ids[0] == BEGIN
    assert whole.ids[-1] == END
    assert all(i > CLOSE or i == UNKNOWN for i in whole.ids[1:-1])
    assert not any(whole.target)
    with_name = encode(tokenizer, text, beside=beside, limit=WHOLE)
    controls = [i for i in with_name.ids if i <= CLOSE and i != UNKNOWN]
    assert controls == ([BEGIN, END] if beside is None else [BEGIN, END, OPEN, CLOSE, END])


@settings(deadline=None)
@given(marked=marked_texts())
def test_marks_stand_exactly_around_the_tokens_that_overlap_a_span(tokenizer, marked):
    text, spans = marked
    encoded = encode(tokenizer, text, spans, limit=WHOLE)
    plain = tokenizer.encode(usable(text), add_special_tokens=False)
    usual = [(a, b) for a, b in spans if 0 <= a < b <= len(text)]
    hits = [any(max(a, c) < min(b, d) for c, d in usual) for a, b in plain.offsets]
    expected: list[tuple[int, bool]] = [(BEGIN, False)]
    for inside, run in itertools.groupby(zip(plain.ids, hits, strict=True), key=lambda pair: pair[1]):
        tokens = list(run)
        expected += [(OPEN, True), *tokens, (CLOSE, True)] if inside else tokens
    expected.append((END, False))
    assert list(zip(encoded.ids, encoded.target, strict=True)) == expected


@settings(deadline=None)
@given(marked=marked_texts(), beside=st.none() | anything, limit=st.integers(16, 40), times=st.integers(1, 30))
def test_never_longer_than_the_limit_and_the_first_mark_stays_inside(tokenizer, marked, beside, limit, times):
    text, spans = marked
    text *= times
    short = encode(tokenizer, text, spans, beside, limit)
    assert len(short.ids) == len(short.target) <= limit
    assert any(short.target) == any(encode(tokenizer, text, spans, beside, WHOLE).target)


def test_a_long_text_keeps_what_stands_around_the_first_marked_place(tokenizer):
    before, after = "yesterday nothing happened. " * 400, " broke again. " + "weather is fine. " * 400
    at = len(before)
    text = before + "Kometa" + after
    for place in (at, at + 10 * LONGEST):
        padded = "a" * (place - at) + text
        encoded = encode(tokenizer, padded, [(place, place + 6)])
        marked = [i for i, hit in zip(encoded.ids, encoded.target, strict=True) if hit]
        assert tokenizer.decode(marked[1:-1]) == "Kometa"
        assert len(encoded.ids) == LIMIT
        first = encoded.target.index(True)
        assert LIMIT / 4 < first < LIMIT / 2
        assert "broke again" in tokenizer.decode(encoded.ids[first:])


@given(gaps=st.lists(st.integers(1, 300), min_size=1, max_size=12), tail=st.integers(0, 300), most=st.integers(1, 5))
@settings(deadline=None)
def test_windows_show_every_marked_place_as_long_as_there_are_enough_of_them(tokenizer, gaps, tail, most):
    text, spans = "", []
    for gap in gaps:
        text += "word " * gap
        spans.append((len(text), len(text) + 6))
        text += "Kometa "
    found = windows(tokenizer, text + "word " * tail, spans, most=most)
    assert 1 <= len(found) <= most
    assert all(any(one.target) and len(one.ids) <= LIMIT for one in found)
    shown = sum(one.ids.count(OPEN) for one in found)
    if len(found) < most:
        assert shown >= len(spans)
    assert windows(tokenizer, text, spans, most=1) == [encode(tokenizer, text, spans)]


def test_a_long_text_without_marks_is_read_from_its_beginning(tokenizer):
    encoded = encode(tokenizer, "Dobry początek. " + "potem nic " * 500)
    assert tokenizer.decode(encoded.ids[1:6]).startswith("Dobry początek")


def test_a_megabyte_is_read_within_bounds(tokenizer):
    for text in ("Kometa broke. " * 75_000, "я" * 1_000_000, "\u200b" * 1_000_000, "\x00open" * 200_000):
        assert len(encode(tokenizer, text, [(999_000, 999_006)]).ids) <= LIMIT


def test_a_target_that_is_not_in_the_text_stands_marked_behind_it(tokenizer):
    encoded = encode(tokenizer, "They lied to me.", beside="Kometa Bank")
    inside = encoded.ids[encoded.ids.index(OPEN) + 1 : encoded.ids.index(CLOSE)]
    assert tokenizer.decode(inside) == "Kometa Bank"
    text_alone = encode(tokenizer, "They lied to me.")
    assert encoded.ids[: len(text_alone.ids)] == text_alone.ids
    assert encoded.target == [False] * len(text_alone.ids) + [True] * (len(inside) + 2) + [False]


def test_a_marked_place_is_worth_more_than_a_name_beside(tokenizer):
    marked = encode(tokenizer, "Kometa lied.", [(0, 6)])
    assert encode(tokenizer, "Kometa lied.", [(0, 6)], beside="Other") == marked


def test_a_very_long_name_beside_leaves_room_for_the_text(tokenizer):
    encoded = encode(tokenizer, "word " * 300, beside="name " * 10_000)
    assert len(encoded.ids) == LIMIT
    assert sum(encoded.target) <= LIMIT // 4 + 2
