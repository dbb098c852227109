"""The classifier's one step: mentions -> scored mentions."""

from collections.abc import Sequence

from classify.language import Languages
from classify.model import Model, Question
from classify.sentiment import ScoredMention
from ingest.mention import Mention

UNDETERMINED = "und"


class Scorer:
    """Language, then sentiment about the brand. Blocks; call it in a thread."""

    def __init__(self, model: Model, languages: Languages) -> None:
        self.model = model
        self._languages = languages

    def score(self, mentions: Sequence[Mention]) -> list[ScoredMention]:
        """One result for each mention, in order; `unsure` where it is in no language, or no script, that was promised."""
        answers = self.model.answer([Question(m.scored_text, m.names) for m in mentions])
        out = []
        for mention, answer in zip(mentions, answers, strict=True):
            language = self._languages.of(mention.scored_text, mention.language)
            supported = language != UNDETERMINED or self._languages.readable(mention.scored_text)
            out.append(
                ScoredMention(
                    mention=mention,
                    language=language,
                    sentiment=answer.sentiment,
                    label=answer.label if supported else "unsure",
                    complaint=answer.complaint if supported else None,
                    model=self.model.name,
                )
            )
        return out
