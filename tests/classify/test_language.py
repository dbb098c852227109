"""Languages of short and odd texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classify.language import PROMISED, Languages

SENTENCES = {
    "pl": "Od trzech dni nikt w tej firmie nie odbiera telefonu, a paczki jak nie było, tak nie ma.",
    "ru": "Третий день никто не берёт трубку, а посылку так и не привезли.",
    "tr": "Üç gündür kimse telefona bakmıyor, kargo da hâlâ gelmedi.",
    "en": "Nobody has answered the phone for three days, and the parcel still is not here.",
    "de": "Seit drei Tagen geht niemand ans Telefon, und das Paket ist immer noch nicht da.",
    "fr": "Depuis trois jours personne ne répond au téléphone et le colis n'est toujours pas arrivé.",
    "es": "Desde hace tres días nadie contesta el teléfono y el paquete todavía no ha llegado.",
    "it": "Da tre giorni nessuno risponde al telefono e il pacco non è ancora arrivato.",
    "pt": "Há três dias que ninguém atende o telefone e a encomenda ainda não chegou.",
    "nl": "Al drie dagen neemt niemand de telefoon op en het pakket is er nog steeds niet.",
    "uk": "Уже три дні ніхто не бере слухавку, а посилку так і не привезли.",
    "cs": "Už tři dny nikdo nezvedá telefon a balík pořád nepřišel.",
    "sk": "Už tri dni nikto nedvíha telefón a balík stále neprišiel.",
    "ro": "De trei zile nu răspunde nimeni la telefon, iar coletul tot nu a ajuns.",
    "hu": "Három napja senki nem veszi fel a telefont, és a csomag még mindig nem érkezett meg.",
    "sr": "Већ три дана се нико не јавља на телефон, а пакет још увек није стигао.",
    "bg": "От три дни никой не вдига телефона, а пратката още не е пристигнала.",
    "el": "Εδώ και τρεις μέρες κανείς δεν σηκώνει το τηλέφωνο και το δέμα δεν έχει έρθει ακόμα.",
    "sv": "På tre dagar har ingen svarat i telefonen, och paketet har fortfarande inte kommit.",
    "no": "Ingen har tatt telefonen på tre dager, og pakken har fortsatt ikke kommet frem.",
    "da": "Der er ingen, der har taget telefonen i tre dage, og pakken er stadig ikke kommet.",
    "fi": "Kukaan ei ole vastannut puhelimeen kolmeen päivään, eikä paketti ole vieläkään tullut.",
    "ar": "منذ ثلاثة أيام لا أحد يرد على الهاتف والطرد لم يصل حتى الآن.",
    "he": "כבר שלושה ימים אף אחד לא עונה לטלפון והחבילה עדיין לא הגיעה.",
    "fa": "سه روز است که هیچ کس تلفن را جواب نمی‌دهد و بسته هنوز نرسیده است.",
    "hi": "तीन दिन से कोई फ़ोन नहीं उठा रहा है और पार्सल अभी तक नहीं आया है।",
    "id": "Sudah tiga hari tidak ada yang mengangkat telepon dan paketnya belum juga datang.",
    "vi": "Ba ngày nay không ai nghe điện thoại và gói hàng vẫn chưa được giao đến.",
    "th": "สามวันแล้วไม่มีใครรับโทรศัพท์เลย และพัสดุก็ยังไม่มาส่งสักที",
    "ko": "사흘째 아무도 전화를 받지 않고 택배도 아직 오지 않았습니다.",
    "ja": "三日間誰も電話に出てくれず、荷物もまだ届いていません。",
    "zh": "三天了没有人接电话,包裹也还没有送到。",
}


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages()


def test_there_is_a_sentence_for_every_promised_language():
    assert set(SENTENCES) == set(PROMISED)


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_needs_no_claim(languages, code):
    assert languages.of(SENTENCES[code]) == code
    assert languages.readable(SENTENCES[code])


@pytest.mark.parametrize("code", SENTENCES)
def test_addresses_and_handles_are_no_evidence(languages, code):
    noise = "https://example.com/the/whole/story?of=this #breaking @somebody mail@example.com "
    assert languages.of(noise + SENTENCES[code]) == code


def test_serbian_in_latin_letters(languages):
    assert languages.of("Već tri dana se niko ne javlja na telefon, a paket još uvek nije stigao.") == "sr"


@pytest.mark.parametrize(
    "text",
    ["", " ", "👍👍👍", "12345 67", "OK", "Kometa", "https://example.com/long/path", "@kometa #kometa", "\ud800"],
)
def test_too_little_to_say(languages, text):
    assert languages.of(text) == "und"


def test_a_claim_decides_where_the_text_leaves_room(languages):
    assert languages.of("Super!", "pl") == "pl"
    assert languages.of("Super!", "de-AT") == "de"
    assert languages.of("Kometa 3.2", "nb_NO") == "no"
    assert languages.of("Вертана", "bg") == "bg"


@pytest.mark.parametrize("claim", ["ru", "zz", "", "x" * 1_000, "-", "en; DROP", "zh"])
def test_a_claim_that_cannot_be_is_ignored(languages, claim):
    assert languages.of(SENTENCES["pl"], claim) == "pl"


def test_mixed_scripts_are_undetermined(languages):
    mixed = "Kometa is great today " + "Комета сегодня отличная"
    assert languages.of(mixed) == "und"
    assert not languages.readable(mixed)


UNSUPPORTED = {
    "Georgian": "სამი დღეა ტელეფონს არავინ პასუხობს",
    "Amharic": "ሦስት ቀን ሙሉ ማንም ስልክ አላነሳም",
    "Tamil": "மூன்று நாட்களாக யாரும் தொலைபேசியை எடுக்கவில்லை",
    "Armenian": "Երեք օր է ոչ ոք հեռախոսին չի պատասխանում",
    "Bengali": "তিন দিন ধরে কেউ ফোন ধরছে না",
}


@pytest.mark.parametrize("text", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_scripts_that_nobody_promised(languages, text):
    assert languages.of(text) == "und"
    assert languages.of(text, "en") == "und"
    assert not languages.readable(text)


def test_only_configured_languages_are_told_apart():
    two = Languages(("pl", "de"))
    assert two.of(SENTENCES["pl"]) == "pl"
    assert two.of(SENTENCES["de"]) == "de"
    assert two.of(SENTENCES["cs"]) in ("pl", "de", "und")
    assert two.of(SENTENCES["ru"]) == "und"
    assert Languages(("ru", "en")).of(SENTENCES["uk"]) == "ru"


@settings(deadline=None)
@given(text=st.text(st.characters(), max_size=200), claim=st.none() | st.text(max_size=10))
def test_any_text_gets_a_promised_language_or_none(languages, text, claim):
    assert languages.of(text, claim) in {*PROMISED, "und"}


def test_a_megabyte_takes_no_longer_than_its_beginning(languages):
    for text in ("a" * 1_000_000, SENTENCES["pl"] * 12_000, "@" * 1_000_000):
        assert languages.of(text) in {"pl", "und", *PROMISED}
