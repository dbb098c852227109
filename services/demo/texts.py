"""The texts of the demo world: written by hand, each with its author's label about every brand that it names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, Literal

LANGUAGES = ("pl", "ru", "tr", "en", "de", "es")
SHORT = 12
"""Words under which different people write the same; longer ones that are equal are copies of one text."""

Genre = Literal["post", "news", "blog", "app_review", "shop_review"]


@dataclass(frozen=True, eq=False)
class Text:
    """One text and what its author says that it says. Tocsin never sees `labels`."""

    language: str
    genre: Genre
    phase: Literal["quiet", "crisis"]
    """`crisis`: written for the scandal of the brand that it is negative about."""
    title: str
    text: str
    stars: int | None
    labels: Mapping[str, str]
    """Brand -> negative | neutral | positive | irrelevant (the word in another sense)."""

    @cached_property
    def short(self) -> bool:
        """Whether different people may have written it word for word."""
        return len(f"{self.title} {self.text}".split()) < SHORT


@lru_cache(maxsize=1)
def load() -> tuple[Text, ...]:
    """All texts, in the order of the files."""
    folder = files("services.demo") / "texts"
    return tuple(
        _text(language, json.loads(line))
        for language in LANGUAGES
        for line in (folder / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    )


def _text(language: str, row: dict[str, Any]) -> Text:
    return Text(
        language=language,
        genre=row["genre"],
        phase=row["phase"],
        title=row["title"] or "",
        text=row["text"],
        stars=row["stars"],
        labels=row["labels"],
    )
