"""Which brands a text names, and where."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.brand import Brand, Matcher
from ingest.folding import fold


def named(text: str, *aliases: str, **more: tuple[str, ...]) -> list[str]:
    """What of the text is taken for the brand Kometa."""
    brand = Brand(name="Kometa", aliases=aliases, **more)
    return [text[start:end] for start, end in Matcher([brand]).find(text).get("Kometa", ())]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Kometa is down", ["Kometa"]),
        ("KOMETA! kometa? #kometa @kometa", ["KOMETA", "kometa", "kometa", "kometa"]),
        ("Kometa'nın yeni ürünü, Kometa’ya", ["Kometa", "Kometa"]),
        ("Kometa-Bank, pro-Kometa", ["Kometa", "Kometa"]),
        ("«Kometa»", ["Kometa"]),
        ("Kometas Kometamania Ikometa kometa2 2kometa", []),
        ("Ｋｏｍｅｔａ in full width", ["Ｋｏｍｅｔａ"]),
        ("Ko\u00admeta with a soft hyphen, kometa\u200b", ["Ko\u00admeta", "kometa"]),
        ("新しいKometaのサービス", ["Kometa"]),
        ("Kometa는 좋다", ["Kometa"]),
        ("", []),
    ],
)
def test_a_name_stands_on_word_borders_in_any_case(text: str, found: list[str]) -> None:
    assert named(text) == found


@pytest.mark.parametrize(
    ("alias", "text", "found"),
    [
        ("Комета", "вышла КОМЕТА, Кометай", ["КОМЕТА"]),
        ("Комет*", "Кометой и комете, некометы", ["Кометой", "комете"]),
        ("Зелёный Дом", "зеленый дом", ["зеленый дом"]),
        ("彗星", "新しい彗星の話", ["彗星"]),
        ("ดาวหาง", "ซื้อดาวหางแล้ว", ["ดาวหาง"]),
        ("코메타", "코메타가 슈퍼코메타", ["코메타"]),
        ("קומטה", "בקומטה והקומטה קומטהל", ["קומטה", "קומטה"]),
        ("كوميتا", "والكوميتا بكوميتا", ["كوميتا", "كوميتا"]),
        ("İpana", "IPANA ipana ıpana İPANA i̇pana", ["IPANA", "ipana", "ıpana", "İPANA", "i̇pana"]),
        ("Straße 7", "STRASSE 7", ["STRASSE 7"]),
        ("ΚΟΜΗΤΗΣ", "κομητης, κομητησ", ["κομητης", "κομητησ"]),
        ("Café Noir", unicodedata.normalize("NFD", "café noir"), [unicodedata.normalize("NFD", "café noir")]),
        ("McDonald's", "mcdonald’s", ["mcdonald’s"]),
        ("Star Wash", "star\u00a0wash, star  wash, star\nwash", ["star\u00a0wash", "star  wash", "star\nwash"]),
        ("C++", "c++ and c", ["c++"]),
    ],
)
def test_aliases_of_other_scripts(alias: str, text: str, found: list[str]) -> None:
    assert named(text, alias) == found


def test_a_star_stands_for_the_rest_of_the_word_only() -> None:
    assert named("Kometą, Kometowiec, Kometa'nın, komet", "Komet*") == ["Kometą", "Kometowiec", "Kometa", "komet"]


def test_the_longest_name_wins_between_brands() -> None:
    matcher = Matcher([Brand(name="Kometa"), Brand(name="Kometa Bank"), Brand(name="Bank")])
    assert matcher.find("Kometa Bank and Kometa") == {"Kometa": ((16, 22),), "Kometa Bank": ((0, 11),)}


def test_a_name_that_two_brands_share_is_found_for_both() -> None:
    matcher = Matcher([Brand(name="Kometa PL", aliases=("Kometa",)), Brand(name="Kometa RU", aliases=("kometa",))])
    assert matcher.find("a Kometa") == {"Kometa PL": ((2, 8),), "Kometa RU": ((2, 8),)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kometa halleya", []),
        ("Kometa juice", []),
        ("fresh juice-Kometa", []),
        ("Kometa Halleya and Kometa", ["Kometa"]),
        ("juice, Kometa", ["Kometa"]),
        ("a juicer by Kometa", ["Kometa"]),
    ],
)
def test_a_name_in_or_beside_an_excluded_phrase_does_not_count(text: str, found: list[str]) -> None:
    assert named(text, exclude=("Kometa Halleya", "juice")) == found


def test_a_common_word_needs_its_context_somewhere_in_the_text() -> None:
    context = ("bank*", "loan")
    assert named("the kometa in the sky", context=context) == []
    assert named("my kometa\nBanking is down", context=context) == ["kometa"]
    assert named("kometa embankment", context=context) == []


def test_an_empty_alias_is_refused() -> None:
    with pytest.raises(ValidationError):
        Brand(name="Kometa", aliases=(" ",))
    assert Matcher([]).find("anything") == {}


def test_a_text_full_of_names_takes_no_quadratic_time() -> None:
    text = "kometa juice " * 20_000
    assert named(text, "Komet*", exclude=("juice",)) == []
    assert len(named("kometa bank " * 20_000, "Komet*", "kometa bank", exclude=("juice",))) == 20_000


LETTERS = st.text("kometaKOMETA İıßéе́ ё’'-\u00ad\u200b彗코ｋ\n", max_size=40)


@given(st.text(max_size=60))
def test_folding_keeps_the_way_back(text: str) -> None:
    folded, places = fold(text)
    assert len(places) == len(folded) + 1
    assert places[-1] == len(text)
    assert list(places) == sorted(places)


@given(LETTERS, LETTERS)
def test_spans_are_inside_the_text_in_order_and_say_the_name(before: str, after: str) -> None:
    text = f"{before} Kometa {after}"
    spans = Matcher([Brand(name="Kometa")]).find(text)["Kometa"]
    assert list(spans) == sorted(set(spans))
    for start, end in spans:
        assert fold(text[start:end])[0].strip() == "kometa"
    assert (len(before) + 1, len(before) + 7) in spans
