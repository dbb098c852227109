"""Near copies as timelines: who is an origin, who a copy, for how long it is remembered, and what a restart changes."""

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerting.sketch import READ, common, sketch_of, words_of
from alerting.story import COMPARED, CROWD, KEPT, Placed, Said, Stories

REPORT = (
    "Kometa has to take forty thousand kettles back after two of them caught fire in a hotel in Gdynia, the office for "
    "consumer protection said on Tuesday. Buyers get their money back in every shop, with or without a receipt."
)
OTHER = (
    "Kometa has to take the blame for our ruined holiday: the suitcase that we had ordered four weeks before arrived a "
    "day after the plane, and nobody on the hotline had any idea where it had been all that time."
)
CHINESE = "彗星公司周二宣布召回四万台电热水壶，此前格丁尼亚一家酒店有两台起火。消费者可在任何门店退款，无需收据，公司表示歉意并将调查原因。"
JAPANESE = "コメタ社は火曜日、グディニャのホテルで二台が発火したことを受け、電気ケトル四万台を回収すると発表した。購入者はレシートがなくても全店で返金を受けられる。"
THAI = "บริษัทโคเมตาประกาศเรียกคืนกาต้มน้ำสี่หมื่นเครื่องเมื่อวันอังคาร หลังจากมีสองเครื่องเกิดไฟไหม้ในโรงแรมแห่งหนึ่ง ผู้ซื้อขอเงินคืนได้ทุกร้าน"
HOUR = 3_600.0


def said(id: str, text: str, at: float = 0.0, **more: Any) -> Said:
    return Said(id, more.pop("brand", "Kometa"), at, text, **more)


def placed(stories: Stories, id: str, text: str, at: float = 0.0, **more: Any) -> tuple[str, str]:
    found = stories.place(said(id, text, at, **more), at)
    assert found.copy == (found.origin != id)
    return found.origin, found.reason


# --- who is an origin ----------------------------------------------------------------------------------------------


def test_one_report_in_two_hundred_papers_is_one_origin() -> None:
    stories = Stories()
    assert placed(stories, "first", REPORT) == ("first", "new")
    for n in range(199):
        assert placed(stories, f"{n}", f"Paper {n}: {REPORT} https://paper{n}.example/a") == ("first", "near")
    assert placed(stories, "same", REPORT.upper().replace(".", "!")) == ("first", "same-text")
    assert len(stories) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Kometa does not work again!!",
        "彗星公司又坏了，什么都用不了",
        "コメタまた動かない",
        "โคเมตาใช้งานไม่ได้อีกแล้ว",
        "कंपनी की सेवा बहुत खराब है कोई जवाब नहीं देता",
        "😡😡",
        "",
    ],
)
def test_two_hundred_people_who_write_the_same_few_words_are_two_hundred_origins(text: str) -> None:
    stories = Stories()
    for n in range(200):
        assert placed(stories, f"{n}", text, author=f"person {n}") == (f"{n}", "short")
        assert placed(stories, f"nobody {n}", text) == (f"nobody {n}", "short")


def test_who_says_the_same_few_words_again_is_a_copy() -> None:
    stories = Stories()
    placed(stories, "first", "Kometa does not work again!!", author="Ola")
    assert placed(stories, "again", "kometa does NOT work again", author="Ola") == ("first", "same-author")
    assert placed(stories, "else", "Kometa does not work today", author="Ola") == ("else", "short")
    placed(stories, "angry", "😡", author="Ola")
    assert placed(stories, "glad", "👍", author="Ola") == ("glad", "short")
    assert placed(stories, "angry again", "😡", author="Ola") == ("angry", "same-author")


def test_a_complaint_that_begins_alike_is_another_one() -> None:
    stories = Stories()
    placed(stories, "report", REPORT)
    assert placed(stories, "complaint", OTHER) == ("complaint", "new")


def test_a_cut_report_and_a_longer_one_are_copies() -> None:
    stories = Stories()
    placed(stories, "report", f"{REPORT} {OTHER}")
    assert placed(stories, "cut", REPORT)[0] == "report"
    stories = Stories()
    placed(stories, "report", REPORT)
    assert placed(stories, "longer", f"{REPORT} {OTHER} {noise(1)}") == ("report", "part")


@pytest.mark.parametrize("text", [CHINESE, JAPANESE, THAI])
def test_scripts_without_spaces(text: str) -> None:
    stories = Stories()
    placed(stories, "first", text)
    assert placed(stories, "second", text[:20] + text[22:60] + "新" + text[61:]) == ("first", "near")


def test_one_address_is_one_origin_whatever_is_said_there() -> None:
    stories = Stories()
    at = "https://paper.example/kettles"
    assert placed(stories, "first", REPORT, address=at) == ("first", "new")
    assert placed(stories, "corrected", OTHER, address=at) == ("first", "same-address")
    assert placed(stories, "elsewhere", REPORT, address="https://other.example/1") == ("first", "same-text")
    assert placed(stories, "there again", "Gone.", address="https://other.example/1") == ("first", "same-address")


def test_brands_do_not_share_stories() -> None:
    stories = Stories()
    placed(stories, "one", REPORT, address="https://paper.example/kettles")
    assert placed(stories, "two", REPORT, address="https://paper.example/kettles", brand="Orbis") == ("two", "new")


def test_what_drifts_away_word_by_word_is_a_new_story_in_the_end() -> None:
    """Each text is alike to the one before; a copy is compared with the origin, so the chain breaks."""
    stories, words, others = Stories(), REPORT.split(), OTHER.split()
    origins = []
    for n in range(len(others)):
        words[n % len(words)] = others[n]
        origins.append(placed(stories, f"{n}", " ".join(words))[0])
    assert origins[0] == origins[3] == "0"
    assert 2 <= len(set(origins)) <= 6


# --- what is remembered ---------------------------------------------------------------------------------------------


def test_an_origin_is_forgotten_after_three_days() -> None:
    stories = Stories()
    placed(stories, "first", REPORT)
    placed(stories, "shout", "down again", author="Ola")
    assert placed(stories, "late", REPORT, KEPT)[0] == "first"
    assert placed(stories, "shout 2", "down again", KEPT, author="Ola")[0] == "shout"
    assert placed(stories, "later", REPORT, KEPT + 1) == ("later", "new")
    assert placed(stories, "shout 3", "down again", KEPT + 1, author="Ola") == ("shout 3", "short")


def test_what_is_older_than_three_days_has_no_part_in_it() -> None:
    stories = Stories()
    old = said("old", REPORT, 0.0)
    assert stories.place(old, KEPT + 1) == Placed("old", False, "old")
    assert placed(stories, "new", REPORT, KEPT + 1) == ("new", "new")


def test_the_oldest_of_a_brand_goes_first_and_other_brands_keep_theirs() -> None:
    stories = Stories(most=50)
    placed(stories, "quiet", REPORT, brand="Orbis")
    for n in range(120):
        placed(stories, f"{n}", noise(n), n)
    assert len(stories) == 51
    assert placed(stories, "still there", noise(70), 120)[0] == "70"
    assert placed(stories, "gone", noise(69), 120)[0] == "gone"
    assert placed(stories, "quiet 2", REPORT, 120, brand="Orbis")[0] == "quiet"


@pytest.mark.parametrize(("most", "remembered"), [(50, 80), (20, 60)])
def test_memory_is_bounded_in_all(most: int, remembered: int) -> None:
    stories = Stories(most, most_in_all=80)
    for n in range(1_000):
        placed(stories, f"{n}", noise(n), n, brand=f"brand {n % 3}", author="Ola", address=f"https://x.example/{n}")
        assert len(stories) <= 80
    assert len(stories) == remembered == sum(len(brand.told) for brand in stories._brands.values())
    assert len(stories._ranks) <= 161
    keys = sum(len(crowd) for brand in stories._brands.values() for crowd in brand.found.values())
    assert keys == sum(len(told.keys) for brand in stories._brands.values() for told in brand.told.values())
    placed(stories, "much later", REPORT, 2 * KEPT)
    assert len(stories) == 1
    assert list(stories._brands) == ["Kometa"]


def noise(seed: int) -> str:
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefghij", k=6)) for _ in range(20))


# --- whatever is posted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", " " * 1_000_000, "😡" * 500_000, "\x00\ud800", "word " * 200_000, "a" * 1_000_000, "@you https://x.example",
     "a" + "\u0301\u0327" * 500_000, "\ufdfa" * 1_000_000, "https://" * 100_000, "@" * 1_000_000, "ab" * 500_000],
    ids=lambda text: f"{text[:4]!a}",
)  # fmt: skip
def test_whatever_is_posted_gets_an_answer_soon(text: str) -> None:
    stories = Stories()
    began = time.process_time()
    assert placed(stories, "0", text, author="Ola")[0] == "0"
    assert time.process_time() - began < 0.5


def test_texts_that_are_made_to_be_found_under_the_same_keys_cost_no_more_than_others() -> None:
    """They share the smallest hashes and little else: each key leads to a crowd, of which the newest few are looked at."""
    stories = Stories()
    shared = " ".join(sorted({f"k{n:04}" for n in range(4_000)}, key=lowest)[:12])
    texts = [f"{shared} {noise(n)} {noise(n + 5_000)}" for n in range(2_000)]
    assert sum(placed(stories, f"{n}", text)[1] == "new" for n, text in enumerate(texts)) > 1_500
    brand = stories._brands["Kometa"]
    assert max(map(len, brand.found.values())) > 10 * CROWD
    keys = sketch_of(words_of(f"{shared} {noise(10_000)} {noise(15_000)}")).keys
    newest = {told.rank for key in keys for told in brand.found.get(key, ())[-CROWD:]}
    looked_at = {told.rank for told in brand.candidates(keys)}
    assert len(looked_at) == COMPARED
    assert looked_at <= newest
    began = time.process_time()
    for n in range(200):
        placed(stories, f"more {n}", f"{shared} {noise(n + 20_000)} {noise(n + 30_000)}")
    assert (time.process_time() - began) / 200 < 0.01


def lowest(word: str) -> int:
    return int(sketch_of(words_of(f"xx {word} xx")).hashes[0])


def test_the_same_answers_whatever_the_hash_seed_of_python() -> None:
    script = (
        "from alerting.story import Said, Stories\n"
        "from tests.alerting.test_story import noise\n"
        "s = Stories()\n"
        "for n in range(60): print(s.place(Said(str(n), 'b', 0.0, noise(n % 40)[n % 7 * 9:] + noise(n % 9)), 0.0))\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


# --- restarts -------------------------------------------------------------------------------------------------------

PHRASES = [REPORT[:105], REPORT[105:], OTHER[:100], OTHER[100:], CHINESE, JAPANESE, THAI, noise(1), noise(2), "down"]
TEXTS = st.lists(st.sampled_from(PHRASES), min_size=1, max_size=4).map(" ".join)
MENTIONS = st.lists(
    st.tuples(
        TEXTS,
        st.sampled_from(["Kometa", "Orbis"]),
        st.sampled_from(["Ola", "Jan", None]),
        st.sampled_from(["https://a.example/1", "https://a.example/2", None, None]),
        st.floats(0, KEPT / 4),
        st.floats(0, KEPT * 1.2),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=150)
@given(MENTIONS, st.integers(1, 6), st.integers(1, 8), st.data())
def test_a_restart_in_the_middle_changes_nothing(told: list[Any], most: int, in_all: int, data: st.DataObject) -> None:
    """Filled again from what is stored of three days, in any order, the index answers as the one that went on."""
    clock, entries = 0.0, []
    for n, (text, brand, author, address, later, late) in enumerate(told):
        clock += later
        entries.append((clock, Said(f"{n}", brand, clock - late, text, author, address)))
    whole = Stories(most, in_all)
    answers = [whole.place(one, at) for at, one in entries]
    cut = data.draw(st.integers(0, len(entries)))
    now = entries[cut - 1][0] if cut else 0.0
    stored = [(one, answers[n].origin) for n, (_, one) in enumerate(entries[:cut]) if one.time >= now - KEPT]
    again = Stories(most, in_all)
    for one, origin in data.draw(st.permutations(stored)):
        again.remember(one, origin, now)
    assert [again.place(one, at) for at, one in entries[cut:]] == answers[cut:]
    assert len(again) == len(whole)


def test_an_edited_origin_is_found_by_what_it_says_now() -> None:
    stories = Stories()
    first = said("first", REPORT)
    stories.place(first, 0.0)
    stories.remember(replace(first, text=OTHER), "first", 0.0)
    assert placed(stories, "second", OTHER) == ("first", "same-text")
    assert placed(stories, "third", REPORT) == ("third", "new")
    stories.remember(replace(first, text=""), "first", 0.0)
    assert placed(stories, "fourth", OTHER) == ("fourth", "new")
    assert len(stories) == 3


def test_the_same_mention_twice_is_no_copy_of_itself() -> None:
    stories = Stories()
    for _ in range(2):
        assert placed(stories, "first", REPORT)[0] == "first"
    assert len(stories) == 1


# --- what is compared -----------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_what_is_compared_has_no_addresses_and_single_spaces(text: str) -> None:
    words = words_of(text).text
    assert "  " not in words
    assert words == words.strip()
    assert "https://" not in words
    assert len(words) <= READ


@given(st.text(st.characters(), max_size=200))
@example("see https://x.example/a\x00b now")
@example("half a pair \ud800 of @some\udfffbody")
def test_a_text_is_compared_as_it_comes_back_from_a_database(text: str) -> None:
    """Which stores no NUL and no half of a surrogate pair."""
    assert words_of(text) == words_of(text.replace("\x00", " ").encode("utf-8", "replace").decode())


LETTERS = st.text("abcdefgh ", min_size=5, max_size=100)


@settings(deadline=None)
@given(LETTERS, st.lists(LETTERS, min_size=1, max_size=4))
def test_shares_of_texts_that_are_kept_whole_are_exact(text: str, others: list[str]) -> None:
    """Against sets of pieces, as Jaccard's index and the overlap coefficient are defined."""
    mine, theirs = words_of(text), [words_of(other) for other in others]
    alike, inside = common(sketch_of(mine), [sketch_of(words) for words in theirs])
    for n, words in enumerate(theirs):
        a, b = pieces(mine.text), pieces(words.text)
        assert alike[n] == pytest.approx(len(a & b) / len(a | b))
        assert inside[n] == pytest.approx(len(a & b) / min(len(a), len(b)))


@settings(deadline=None)
@given(st.integers(0, 1_000), st.integers(0, 1_000))
def test_estimates_are_the_same_from_both_sides_and_whole_for_the_same_text(seed: int, other: int) -> None:
    one, two = (sketch_of(words_of(f"{noise(n)} {noise(1)} {noise(-n - 1)}")) for n in (seed, other))
    assert one.pieces > len(one.hashes)
    assert common(one, [one])[0][0] == common(one, [one])[1][0] == 1.0
    assert common(one, [two])[0] == common(two, [one])[0]


def pieces(text: str) -> set[str]:
    return {text[i : i + 5] for i in range(max(1, len(text) - 4))}
