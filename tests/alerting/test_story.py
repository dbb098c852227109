"""Near copies as timelines: who is an origin, who a copy, and for how long it is remembered."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.story import KEPT, Said, Stories, comparable, replay, sketch_of

REPORT = (
    "Kometa has to take forty thousand kettles back after two of them caught fire in a hotel in Gdynia, the office for "
    "consumer protection said on Tuesday. Buyers get their money back in every shop, with or without a receipt."
)
OTHER = (
    "Kometa has to take the blame for our ruined holiday: the suitcase that we had ordered four weeks before arrived a "
    "day after the plane, and nobody on the hotline had any idea where it had been all that time."
)
CHINESE = "彗星公司周二宣布召回四万台电热水壶，此前格丁尼亚一家酒店有两台起火。消费者可在任何门店退款，无需收据，公司表示歉意并将调查原因。"
THAI = "บริษัทโคเมตาประกาศเรียกคืนกาต้มน้ำสี่หมื่นเครื่องเมื่อวันอังคาร หลังจากมีสองเครื่องเกิดไฟไหม้ในโรงแรมแห่งหนึ่ง ผู้ซื้อขอเงินคืนได้ทุกร้าน"


def placed(stories: Stories, name: str, text: str, clock: float = 0.0, author: str | None = None) -> tuple[str, str]:
    found = stories.place(Said(name, text, author), clock)
    return found.origin, found.reason


def test_one_report_in_two_hundred_papers_is_one_origin() -> None:
    stories = Stories()
    assert placed(stories, "first", REPORT) == ("first", "new")
    for n in range(199):
        assert placed(stories, f"{n}", f"Paper {n}: {REPORT} https://paper{n}.example/a") == ("first", "near")
    assert len(stories) == 1


def test_two_hundred_people_who_write_the_same_few_words_are_two_hundred_origins() -> None:
    stories = Stories()
    for n in range(200):
        assert placed(stories, f"{n}", "Kometa does not work again!!", author=f"person {n}") == (f"{n}", "short")
        assert placed(stories, f"x{n}", "彗星公司又坏了，什么都用不了", author=f"person {n}") == (f"x{n}", "short")
    assert placed(stories, "again", "kometa does NOT work again", author="person 7") == ("7", "same-author")
    assert placed(stories, "nobody", "Kometa does not work again") == ("nobody", "short")
    assert placed(stories, "nobody 2", "Kometa does not work again") == ("nobody 2", "short")


def test_a_complaint_that_begins_alike_is_another_one() -> None:
    stories = Stories()
    placed(stories, "report", REPORT)
    assert placed(stories, "complaint", OTHER) == ("complaint", "new")


def test_the_first_half_of_a_report_is_a_part_of_it() -> None:
    stories = Stories()
    placed(stories, "report", REPORT + " " + OTHER)
    origin, reason = placed(stories, "cut", REPORT)
    assert (origin, reason in ("near", "part")) == ("report", True)


def test_scripts_without_spaces() -> None:
    for text in (CHINESE, THAI):
        stories = Stories()
        placed(stories, "first", text)
        changed = text[:20] + text[22:60] + "新" + text[61:]
        assert placed(stories, "second", changed) == ("first", "near")


def test_an_origin_is_forgotten_after_three_days() -> None:
    stories = Stories()
    placed(stories, "first", REPORT, 0.0)
    placed(stories, "shout", "down again", 0.0, "Ola")
    assert placed(stories, "late", REPORT, KEPT)[0] == "first"
    assert placed(stories, "later", REPORT, KEPT + 1) == ("later", "new")
    assert placed(stories, "shout 2", "down again", KEPT + 1, "Ola") == ("shout 2", "short")


def test_memory_is_bounded() -> None:
    stories = Stories(most=50)
    chance = random.Random(1)
    for n in range(120):
        text = " ".join("".join(chance.choices("abcdefghij", k=6)) for _ in range(20))
        placed(stories, f"{n}", text)
        placed(stories, f"s{n}", "short one", author=f"{n}")
    assert len(stories) == len(stories._origins) == 50
    assert len(stories._written) <= 51
    kept = {o.number for o in stories._origins}
    assert {o.number for found in stories._found.values() for o in found} <= kept


def test_whatever_is_posted_gets_an_answer() -> None:
    stories = Stories()
    for n, text in enumerate(
        ("", " ", "😡" * 500, "\x00\ud800", "word " * 200_000, "a" * 1_000_000, "@you https://x.example")
    ):
        assert placed(stories, f"{n}", text)[0] == f"{n}"
    assert sketch_of("").pieces == 1


WORDS = st.lists(st.sampled_from(REPORT.split() + OTHER.split()), min_size=1, max_size=40).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(WORDS, st.sampled_from(["Ola", "Jan", None]), st.floats(0, KEPT / 3)), max_size=25), st.data()
)
def test_a_restart_in_the_middle_changes_nothing(
    told: list[tuple[str, str | None, float]], data: st.DataObject
) -> None:
    """What is older than three days has no part in any answer, so the index is rebuilt from the rest."""
    clock, entries = 0.0, []
    for n, (text, author, later) in enumerate(told):
        clock += later
        entries.append((clock, Said(f"{n}", text, author)))
    whole = Stories()
    answers = [whole.place(said, at) for at, said in entries]
    cut = data.draw(st.integers(0, len(entries)))
    origins = {a.origin for a in answers[:cut]}
    again = replay((at, said) for at, said in entries[:cut] if said.id in origins)
    assert [again.place(said, at) for at, said in entries[cut:]] == answers[cut:]


@given(st.text(max_size=300))
def test_what_is_compared_has_no_addresses_and_single_spaces(text: str) -> None:
    words = comparable(text)
    assert "  " not in words
    assert words == words.strip()
    assert "https://" not in words
