"""Which language a text is in, among the promised ones (the only file that imports py3langid)."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

PROMISED = (
    "pl", "ru", "tr", "en", "de", "fr", "es", "it", "pt", "nl", "uk", "cs", "sk", "ro", "hu", "sr", "bg", "el", "sv",
    "no", "da", "fi", "ar", "he", "fa", "hi", "id", "vi", "th", "ko", "ja", "zh",
)  # fmt: skip
"""ISO 639-1 codes of the languages that Tocsin promises to read."""
UNDETERMINED = "und"
SURE = 0.7
"""Probability from which the text's own evidence stands without the feed's claim."""
SHORT = 12
"""Letters under which a text alone says nothing sure."""
REMEMBERED = 4_000
"""Answers kept: copies of a text come close together."""
READ = 2_000
"""Characters that are looked at."""

SCRIPTS = {
    "el": "GREEK", "he": "HEBREW", "th": "THAI", "ko": "HANGUL", "hi": "DEVANAGARI",
    **dict.fromkeys(("ar", "fa"), "ARABIC"),
    **dict.fromkeys(("ru", "uk", "bg", "sr"), "CYRILLIC"),
    "ja": "KANA", "zh": "CJK",
}  # fmt: skip
"""Scripts that promised languages are written in, where it is not Latin (Serbian is written in both)."""
READABLE = {"LATIN", *SCRIPTS.values()}
_NOISE = re.compile(r"https?://\S+|[@#]\S+|\S{1,64}@\S+")


class Languages:
    """Tells the configured languages apart; loading takes about 0.3 s."""

    def __init__(self, allowed: Sequence[str] = PROMISED) -> None:
        self._allowed = frozenset(allowed)
        self._identifier = _identifier(tuple(sorted(_known(self._allowed))))
        self._told = lru_cache(REMEMBERED)(self._tell)

    def of(self, text: str, claim: str | None = None) -> str:
        """ISO 639-1 code, or `und` where the text is too short or mixed and no claim helps.

        Args:
            text: plain text.
            claim: BCP 47 tag of the feed; decides where the text leaves room for it.
        """
        return self._told(text[:READ], claim)

    def _tell(self, text: str, claim: str | None) -> str:
        words = _NOISE.sub(" ", text)
        claimed = _claimed(claim)
        claimed = claimed if claimed in self._allowed else None
        script, letters = script_of(words)
        fitting = {code for code in self._allowed if fits(code, script)}
        if not fitting:
            return UNDETERMINED
        if len(fitting) == 1:
            return next(iter(fitting))
        if letters < SHORT:
            return claimed if claimed in fitting else UNDETERMINED
        guesses = dict.fromkeys(fitting, 0.0)
        for code, probability in self._identifier.rank(words):
            if _from_known(code) in fitting:
                guesses[_from_known(code)] += float(probability)
        whole = sum(guesses.values())
        if not whole:
            return claimed if claimed in fitting else UNDETERMINED
        best = max(guesses, key=lambda code: guesses[code])
        if claimed in guesses and guesses[claimed] / whole >= 0.02:
            return claimed or best
        return best if guesses[best] / whole >= SURE else UNDETERMINED

    def readable(self, text: str) -> bool:
        """Whether the text is mostly in a script that the model has learnt."""
        script, letters = script_of(text[:READ])
        return letters > 0 and script in READABLE


def shares(text: str) -> dict[str, float]:
    """How probable each of the 97 languages is that the identifier knows, promised or not; nothing for no letters."""
    words = _NOISE.sub(" ", text[:READ])
    if not any(c.isalpha() for c in words):
        return {}
    return {code: float(probability) for code, probability in _whole_identifier().rank(words)}


@lru_cache(maxsize=1)
def _whole_identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def fits(code: str, script: str) -> bool:
    """Whether a language is written in a script."""
    if code == "sr":
        return script in ("CYRILLIC", "LATIN")
    if code == "ja":
        return script in ("KANA", "CJK")
    return SCRIPTS.get(code, "LATIN") == script


def script_of(text: str) -> tuple[str, int]:
    """The script of most letters (Kana where a tenth is: Japanese mixes), and how many letters there are."""
    counts: Counter[str] = Counter(_script(c) for c in text if c.isalpha())
    letters = sum(counts.values())
    if not letters:
        return "", 0
    if counts["KANA"] * 10 >= letters:
        return "KANA", letters
    script, most = counts.most_common(1)[0]
    return (script if most * 10 >= letters * 6 else ""), letters


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "").split(" ")[0]
    return "KANA" if name in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else name


@lru_cache(maxsize=4)
def _identifier(codes: tuple[str, ...]) -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([c for c in codes if c in identifier.nb_classes])
    return identifier


def _known(codes: frozenset[str]) -> set[str]:
    """As py3langid names them: Norwegian is there three times; hr and bs stand for Serbian in Latin letters."""
    out = set(codes)
    if "no" in codes:
        out |= {"nb", "nn"}
    if "sr" in codes:
        out |= {"hr", "bs"}
    return out


def _from_known(code: str) -> str:
    return {"nb": "no", "nn": "no", "hr": "sr", "bs": "sr"}.get(code, code)


def _claimed(tag: str | None) -> str | None:
    if not tag:
        return None
    code = re.split(r"[-_]", tag.strip().lower())[0]
    return {"nb": "no", "nn": "no", "iw": "he", "in": "id"}.get(code, code)
