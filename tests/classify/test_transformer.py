"""Any checkpoint of transformers, on small ones that are made here."""

from pathlib import Path

import pytest

from classify.model import ModelMissing, Question
from classify.sentiment import LABELS
from classify.transformer import (
    BEFORE,
    LIMIT,
    LONGEST,
    NotASentimentModel,
    Transformer,
    _answer,
    columns,
    limit,
    target_of,
    window,
)

WORDS = [
    "kometa",
    "lumivo",
    "bank",
    "is",
    "good",
    "bad",
    "great",
    "late",
    "lied",
    "to",
    "me",
    "the",
    "parcel",
    "nothing",
    "here",
    "!",
]
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]


def make_checkpoint(folder: Path, labels: list[str], places: int = 64) -> Path:
    """A BERT of two thin layers with random weights that do not depend on the run."""
    torch = pytest.importorskip("torch", reason="torch is missing: pip install 'tocsin[transformer]'")
    transformers = pytest.importorskip("transformers", reason="run: pip install 'tocsin[transformer]'")
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]), encoding="utf-8")
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=places, initializer_range=0.6,
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)},
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    transformers.BertTokenizerFast(
        vocab=str(folder / "vocab.txt"), vocab_file=str(folder / "vocab.txt")
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Transformer:
    return Transformer(
        str(make_checkpoint(tmp_path_factory.mktemp("hub") / "tiny", ["Negative", "Neutral", "Positive"]))
    )


QUESTIONS = [
    Question("kometa is late, the parcel is here"),
    Question("kometa lied to me!", ((0, 6),)),
    Question("kometa lied to me!", ((0, 6), (7, 11))),
    Question("kometa lied to me!", beside="lumivo bank"),
    Question("bad"),
    Question(""),
    Question("good " * 5_000, ((24_000, 24_004),)),
    Question("nothing"),
    *[Question("the parcel is " + word) for word in WORDS],
]


def shares(answer) -> list[float]:
    return [getattr(answer.sentiment, label) for label in LABELS]


def test_answers_come_in_order_and_sum_to_one(model):
    answers = model.answer(QUESTIONS)
    assert len(answers) == len(QUESTIONS)
    for question, answer in zip(QUESTIONS, answers, strict=True):
        assert sum(shares(answer)) == pytest.approx(1, abs=1e-6)
        assert shares(answer) == pytest.approx(shares(model.answer([question])[0]), abs=1e-4)
    assert len({tuple(round(share, 3) for share in shares(answer)) for answer in answers}) > 10


def test_the_order_of_the_questions_and_their_neighbours_change_nothing(model):
    forth = [shares(answer) for answer in model.answer(QUESTIONS)]
    back = [shares(answer) for answer in model.answer(QUESTIONS[::-1])][::-1]
    for one, other in zip(forth, back, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_the_target_is_the_second_text_of_a_pair(model):
    whole, marked, beside = (
        shares(model.answer([question])[0])
        for question in (
            Question("kometa lied"),
            Question("kometa lied", ((0, 6),)),
            Question("kometa lied", beside="kometa"),
        )
    )
    assert marked == beside
    assert whole != pytest.approx(marked, abs=1e-3)


@pytest.mark.parametrize(
    "text", ["", "\x00", "\ud800", "👩‍🚒" * 100, "kometa " * 100_000, "[SEP]" * 50, "\u202eabc", " \n"]
)
def test_no_text_is_too_odd(model, text):
    for question in (Question(text), Question(text, ((0, 1),)), Question("bad", beside=text)):
        assert sum(shares(model.answer([question])[0])) == pytest.approx(1, abs=1e-6)


def test_nothing_asked(model):
    assert model.answer([]) == []


def test_the_answer_carries_the_checkpoint(model):
    assert model.name.startswith("transformers:")
    assert model.name.endswith("tiny")


def test_stars_are_added_up(tmp_path):
    stars = Transformer(str(make_checkpoint(tmp_path / "stars", ["1 star", *(f"{n} stars" for n in range(2, 6))])))
    assert sum(shares(stars.answer([Question("kometa is great")])[0])) == pytest.approx(1, abs=1e-6)


def test_labels_that_are_no_sentiments(tmp_path):
    with pytest.raises(NotASentimentModel, match="joy"):
        Transformer(str(make_checkpoint(tmp_path / "moods", ["joy", "anger"])))


def test_a_folder_without_a_checkpoint(tmp_path):
    pytest.importorskip("transformers", reason="transformers is missing: pip install 'tocsin[transformer]'")
    with pytest.raises(ModelMissing, match="cannot be read") as raised:
        Transformer(str(tmp_path))
    assert "\n" not in str(raised.value)


LABELLED = {
    "cardiffnlp": (["negative", "neutral", "positive"], [[0], [1], [2]]),
    "another order": (["POS", "NEU", "NEG"], [[2], [1], [0]]),
    "no names": (["LABEL_0", "LABEL_1", "LABEL_2"], [[0], [1], [2]]),
    "two without names": (["LABEL_0", "LABEL_1"], [[0], [], [1]]),
    "two": (["NEGATIVE", "POSITIVE"], [[0], [], [1]]),
    "stars": (["1 star", "2 stars", "3 stars", "4 stars", "5 stars"], [[0, 1], [2], [3, 4]]),
    "five": (["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"], [[0, 1], [2], [3, 4]]),
    "one more": (["irrelevant", "negative", "positive"], [[1], [], [2]]),
}


@pytest.mark.parametrize("names, expected", LABELLED.values(), ids=LABELLED)
def test_names_of_labels(names, expected):
    assert columns(dict(enumerate(names))) == dict(zip(LABELS, expected, strict=True))


@pytest.mark.parametrize("names", [["joy", "anger"], ["negative", "neutral"], ["LABEL_0"], []])
def test_names_that_say_nothing(names):
    with pytest.raises(NotASentimentModel):
        columns(dict(enumerate(names)))


def test_labels_that_are_none_of_ours_are_left_out():
    where = columns({0: "irrelevant", 1: "negative", 2: "positive"})
    assert shares(_answer([0.5, 0.4, 0.1], where)) == pytest.approx([0.8, 0, 0.2])
    nothing = _answer([1.0, 0.0, 0.0], where)
    assert (nothing.label, sum(shares(nothing))) == ("unsure", 1)


def test_below_a_half_it_is_unsure():
    where = columns({0: "negative", 1: "neutral", 2: "positive"})
    assert _answer([0.51, 0.29, 0.2], where).label == "negative"
    assert _answer([0.49, 0.31, 0.2], where).label == "unsure"


def test_a_long_text_is_read_from_shortly_before_its_first_marked_place():
    text = "x" * 50_000 + "kometa lied"
    part = window(Question(text, ((50_000, 50_006),)))
    assert part.startswith("x" * BEFORE + "kometa")
    assert len(window(Question(text))) == LONGEST
    assert target_of(Question(text, ((50_007, 50_011), (50_000, 50_006)))) == "kometa"


def test_what_the_network_has_no_place_for_is_cut_off():
    class Config:
        max_position_embeddings = 64

    assert limit(10**30, Config()) == 62
    assert limit(50, Config()) == 50
    assert limit(10**30, object()) == LIMIT
