import re
from collections import Counter
from itertools import combinations

import pytest

from ingest.brand import Matcher
from services.demo.config import BRANDS
from services.demo.texts import LANGUAGES, Text, load
from services.demo.world import BRANDS as NAMES


def words(text: Text) -> list[str]:
    return re.findall(r"\w+", f"{text.title} {text.text}".casefold())


def trigrams(text: Text) -> set[tuple[str, ...]]:
    said = words(text)
    return {tuple(said[i : i + 3]) for i in range(len(said) - 2)}


def test_there_are_at_least_600_different_texts() -> None:
    assert len({(text.title, text.text) for text in load()}) >= 600


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_texts_share_half_of_their_word_trigrams(language: str) -> None:
    texts = [(text, trigrams(text)) for text in load() if text.language == language]
    for (one, a), (other, b) in combinations(texts, 2):
        if a and b:
            assert 2 * len(a & b) < min(len(a), len(b)), (one.text, other.text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_texts_of_every_label_and_phase_about_every_brand(language: str) -> None:
    texts = [text for text in load() if text.language == language]
    quiet = Counter((brand, label) for t in texts if t.phase == "quiet" for brand, label in t.labels.items())
    crisis = Counter((brand, label) for t in texts if t.phase == "crisis" for brand, label in t.labels.items())
    for brand in NAMES:
        assert all(quiet[brand, label] >= 5 for label in ("negative", "neutral", "positive"))
        assert crisis[brand, "negative"] >= 10


def test_every_label_is_about_a_brand_that_the_configuration_finds_in_the_text() -> None:
    matcher = Matcher(BRANDS)
    for text in load():
        assert set(matcher.find(f"{text.title}\n{text.text}")) == set(text.labels), text.text
        assert set(text.labels.values()) <= {"negative", "neutral", "positive", "irrelevant"}


def test_reviews_have_stars_and_articles_have_titles() -> None:
    for text in load():
        assert (text.stars is not None) == text.genre.endswith("review")
        assert bool(text.title) == (text.genre != "post")
