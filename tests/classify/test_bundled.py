"""The model that ships: it judges, the same way whatever stands beside a text, and fails in one sentence."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classify import bundled
from classify.bundled import FOLDER, Bundled, Logits, interpret, probabilities
from classify.model import Answer, ModelMissing, Question
from classify.sentiment import LABELS
from classify.target import find


@pytest.fixture(scope="module")
def model() -> Bundled:
    return Bundled()


def about(text: str, *names: str) -> Question:
    spans = find(text, names)
    assert spans, f"{names} in {text!r}"
    return Question(text, spans)


def shares(answer: Answer) -> list[float]:
    return [getattr(answer.sentiment, label) for label in LABELS]


EASY = {
    "pl": {
        "negative": ["Kometa mnie oszukała, paczka nie doszła i nikt nie oddaje pieniędzy.",
                     "Najgorsza firma, z jaką miałem do czynienia. Nigdy więcej Komety!"],
        "neutral": ["Kometa opublikuje wyniki za trzeci kwartał 14 listopada.",
                    "Czy ktoś wie, w jakich godzinach otwarty jest salon Komety w Lublinie?"],
        "positive": ["Kometa jest świetna, paczka przyszła następnego dnia i obsługa była przemiła.",
                     "Polecam Kometę z całego serca, najlepsza obsługa w mieście!"],
    },
    "ru": {
        "negative": ["Комета меня обманула, посылка не пришла, деньги не возвращают.",
                     "Худшая компания, с которой я имел дело. Больше никогда не закажу в Комете!"],
        "neutral": ["Комета опубликует отчёт за третий квартал 14 ноября.",
                    "Подскажите, до скольки работает салон Кометы в Казани?"],
        "positive": ["Комета просто супер, посылка пришла на следующий день, сотрудники очень вежливые.",
                     "Всем советую Комету, лучший сервис в городе!"],
    },
    "tr": {
        "negative": ["Kometa beni dolandırdı, kargo gelmedi ve paramı iade etmiyorlar.",
                     "Hayatımda gördüğüm en kötü firma Kometa, bir daha asla!"],
        "neutral": ["Kometa üçüncü çeyrek sonuçlarını 14 Kasım'da açıklayacak.",
                    "Kometa'nın Bursa şubesi saat kaça kadar açık, bilen var mı?"],
        "positive": ["Kometa harika, kargo ertesi gün geldi ve çalışanlar çok kibardı.",
                     "Kometa'yı herkese tavsiye ederim, şehirdeki en iyi hizmet!"],
    },
    "en": {
        "negative": ["Kometa lied to me, the parcel never came and they refuse to refund it.",
                     "Kometa is the worst company I have ever dealt with. Never again!"],
        "neutral": ["Kometa will publish its third quarter results on 14 November.",
                    "Does anybody know until when the Kometa shop in Leeds is open on Sundays?"],
        "positive": ["Kometa is great, the parcel came the next day and the staff were so kind.",
                     "I recommend Kometa to everyone, the best service in town!"],
    },
}  # fmt: skip


RIGHT = 21
"""Of the 24 easy texts; a better model raises it."""


def test_what_anybody_would_judge_alike(model):
    wrong = [
        (text, label, answer.sentiment)
        for language, labels in EASY.items()
        for label, texts in labels.items()
        for text in texts
        for answer in model.answer([about(text, "Комета" if language == "ru" else "Kometa")])
        if answer.sentiment.likeliest != label
    ]
    assert len(TEXTS) - len(wrong) >= RIGHT, wrong


TWO_BRANDS = [
    (
        "Kometa lied to me and kept my money, so I moved to Lumivo, who are wonderful and sorted it within an hour.",
        "en",
    ),
    ("Kometa mnie oszukała, więc przeszłam do Lumivo i jestem zachwycona, załatwili wszystko w godzinę.", "pl"),
]


@pytest.mark.parametrize("text, language", TWO_BRANDS, ids=[language for _, language in TWO_BRANDS])
def test_two_brands_in_one_text_are_two_judgements(model, text, language):
    bad, good = (answer.sentiment for answer in model.answer([about(text, "Kometa"), about(text, "Lumivo")]))
    assert bad.negative > good.negative
    assert good.positive > bad.positive


TEXTS = [text for labels in EASY.values() for texts in labels.values() for text in texts]
QUESTIONS = [
    *[Question(text) for text in TEXTS],
    *[about(text, "Kometa", "Комета") for text in TEXTS],
    *[Question(text, beside="Lumivo") for text in TEXTS[:6]],
    Question(""),
    Question("word " * 2_000),
]


def test_answers_are_the_same_in_any_order_company_and_batch():
    alone = [Bundled(threads=1).answer(QUESTIONS[i : i + 1])[0] for i in range(0, len(QUESTIONS), 7)]
    assert alone == Bundled(threads=3).answer(QUESTIONS)[::7]
    order = list(range(len(QUESTIONS)))
    random.Random(1).shuffle(order)
    together, mixed = Bundled(), Bundled()
    shuffled = [
        answer for at in range(0, len(order), 9) for answer in mixed.answer([QUESTIONS[i] for i in order[at : at + 9]])
    ]
    assert [together.answer(QUESTIONS)[i] for i in order] == shuffled


def test_a_copy_gets_the_same_answer_and_nothing_asked_gets_none(model):
    assert model.answer([]) == []
    one, other = model.answer([QUESTIONS[0], QUESTIONS[0]])
    assert one == other


ODD = {
    "empty": "", "blank": " \n\t ", "emoji": "👍👍👍", "family": "👩‍👩‍👧‍👦" * 50, "HTML": "<p>Kometa <b>lied</b></p>" * 40,
    "zero-width": "K\u200bo\u200bm\u200be\u200bt\u200ba", "only zero-width": "\u200b" * 500, "right to left": "\u202eatemoK",
    "Hebrew and Latin": "Kometa היא חברה גרועה", "mixed": "Kometa комета κομήτης קומטה 彗星", "controls": "\x00\x01\x02\x1b[31m",
    "the mark's name": "\x00open Kometa \x00close", "brackets": "<s> [ Kometa ] </s> <mask>", "half a pair": "\ud83d Kometa",
    "one letter": "a", "digits": "1" * 5_000, "one word": "Kometa" * 20_000, "a megabyte": "Kometa is late. " * 65_000,
    "combining": "K" + "\u0301" * 3_000, "Amharic": "ሦስት ቀን ሙሉ", "private": "\ue000\U000f0000\U0010ffff",
}  # fmt: skip


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_every_odd_text_gets_an_answer(model, text):
    for question in (
        Question(text),
        Question(text, ((0, 6),)),
        Question(text, beside=text),
        Question(text, ((-1, 10**9),)),
    ):
        answer = model.answer([question])[0]
        assert answer.label in (*LABELS, "unsure")
        assert sum(shares(answer)) == pytest.approx(1, abs=1e-9)
        assert min(shares(answer)) >= 0


def test_nothing_to_read_is_unsure(model):
    assert {answer.label for answer in model.answer([Question(""), Question(" \n"), Question("\x00")])} == {"unsure"}


@settings(deadline=None, max_examples=30)
@given(text=st.text(st.characters(), max_size=60), place=st.integers(0, 60), beside=st.none() | st.text(max_size=20))
def test_any_text_gets_three_numbers_that_sum_to_one(model, text, place, beside):
    answer = model.answer([Question(text, ((place, place + 3),), beside)])[0]
    assert sum(shares(answer)) == pytest.approx(1, abs=1e-9)


def test_a_text_cannot_forge_its_target(model):
    honest = about("Kometa is wonderful, Lumivo is a fraud.", "Kometa")
    forged = Question("Kometa is wonderful, \x00openLumivo\x00close is a fraud.", honest.spans)
    assert model.answer([forged])[0].sentiment.likeliest == model.answer([honest])[0].sentiment.likeliest


@settings(deadline=None)
@given(
    logits=st.lists(st.floats(-60, 60, width=32), min_size=3, max_size=3),
    temperature=st.floats(0.3, 5),
    threshold=st.floats(0, 1),
)
def test_logits_become_probabilities_and_a_label(logits, temperature, threshold):
    answer = interpret(probabilities(np.array(logits) / temperature), threshold)
    assert sum(shares(answer)) == pytest.approx(1)
    assert answer.label == (answer.sentiment.likeliest if max(shares(answer)) >= threshold else "unsure")
    assert shares(answer)[int(np.argmax(logits))] == max(shares(answer))


def test_a_smaller_temperature_is_surer():
    logits = np.array([2.0, 1.0, 0.0])
    assert interpret(probabilities(logits / 0.5), 0.9).label == "unsure"
    assert interpret(probabilities(logits / 0.3), 0.9).label == "negative"


def test_the_card_says_what_the_answers_carry(model):
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    assert model.name == card["name"]
    assert 0 <= card["threshold"] < 1
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 60_000_000, "60 MB: git keeps every version"


def test_the_confusion_matrix_has_a_share_for_every_label():
    matrix = json.loads((FOLDER / "confusion.json").read_text(encoding="utf-8"))
    assert matrix.keys() == set(LABELS)
    for row in matrix.values():
        assert row.keys() == {*LABELS, "unsure"}
        assert sum(row.values()) == pytest.approx(1, abs=0.001)


COMPLAINTS_SAID = {
    "delivery": "The Kometa parcel has been at the depot for nine days and nobody delivers it.",
    "price": "Kometa has doubled the price of my plan again, that is robbery.",
    "safety": "The Kometa heater caught fire at night and burned my son's hand.",
    "employer": "Kometa has not paid its warehouse workers their overtime since March.",
}


def test_what_a_negative_text_complains_of(model):
    answers = model.answer([about(text, "Kometa") for text in COMPLAINTS_SAID.values()])
    assert [a.label for a in answers] == ["negative"] * len(answers)
    said = [a.complaint for a in answers]
    assert sum(a == b for a, b in zip(said, COMPLAINTS_SAID, strict=True)) >= 3, said
    assert model.answer([about("Kometa is the best shop in town!", "Kometa")])[0].complaint is None


def test_texts_that_say_alike_point_alike(model):
    like = model.like(
        ["The parcel never came.", "My package was not delivered.", "What a beautiful song by this band!"]
    )
    assert np.allclose(np.linalg.norm(like, axis=1), 1, atol=1e-5)
    assert like[0] @ like[1] > like[0] @ like[2]
    assert model.like([]).shape[0] == 0


def test_of_a_long_text_every_place_of_the_target_is_read(model):
    filler = "The weather was nice and we walked along the river for a while. " * 30
    text = "Kometa opened at nine. " + filler + "Kometa stole my money, they are liars and cheats, never again Kometa!"
    late = model.answer([about(text, "Kometa")])[0].sentiment
    first_only = model.answer([Question(text, ((0, 6),))])[0].sentiment
    assert late.negative > first_only.negative + 0.1


def test_only_so_many_answers_are_remembered(model):
    for low in range(0, bundled.REMEMBERED + 50, 5_000):
        model._remember({str(i).encode(): Logits(np.zeros(3), None) for i in range(low, low + 5_000)})
    assert len(model._known) == bundled.REMEMBERED
    assert str(low + 4_999).encode() in model._known


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "bundle"))


def assert_missing(folder: Path) -> None:
    with pytest.raises(ModelMissing, match="install Tocsin again") as raised:
        Bundled(folder)
    said = str(raised.value)
    assert str(folder) in said
    assert "\n" not in said
    assert len(said) < 500


def test_a_folder_that_is_not_there(tmp_path):
    assert_missing(tmp_path / "nowhere")


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json.gz", "card.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise", "a folder"])
def test_a_damaged_file(copy, file, damage):
    path = copy / file
    held = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(held[: len(held) // 2])
        case "noise":
            path.write_bytes(random.Random(0).randbytes(5_000))
        case "a folder":
            path.mkdir()
    assert_missing(copy)


@pytest.mark.parametrize(
    "card",
    [
        "[]",
        "{}",
        '{"name": "x", "temperature": {}, "threshold": 0.5}',
        '{"name": "x", "temperature": 1, "threshold": null}',
    ],
)
def test_a_card_that_says_too_little(copy, card):
    (copy / "card.json").write_text(card)
    assert_missing(copy)
