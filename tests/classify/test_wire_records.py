"""Golden bytes of version 1, and readers of version 1 on what a version 2 may write."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classify import sentiment
from classify.sentiment import ScoredMention, Sentiment
from ingest import mention
from ingest.mention import Mention, Poll, Progress, UnknownRecord, UnreadableRecord, encode, mention_id

MENTION = Mention(
    id="5f0c7d0c0a3a4d7ea6cf6d0b0f1f2a3b",
    brand="Kometa",
    post="https://forum.example/p/7",
    source="feed:forum.example:0123456789",
    kind="feed",
    url="https://forum.example/p/7",
    title="Kometa again",
    text="Нет света",
    language="ru",
    names=((0, 6),),
    stars=2.0,
    published=1_700_000_000.0,
    collected=1_700_000_060.5,
    revision=1,
)
MENTION_V1 = (
    '{"type":"mention","id":"5f0c7d0c0a3a4d7ea6cf6d0b0f1f2a3b","brand":"Kometa","post":"https://forum.example/p/7",'
    '"source":"feed:forum.example:0123456789","kind":"feed","url":"https://forum.example/p/7","title":"Kometa again",'
    '"text":"Нет света","language":"ru","names":[[0,6]],"stars":2.0,"published":1700000000.0,'
    '"collected":1700000060.5,"revision":1}'
).encode()
PROGRESS = Progress(
    collector="local",
    at=1_700_000_100.0,
    polls=(
        Poll(source="feed:forum.example:0123456789", at=1_700_000_060.0, answered=True, brands=("Kometa",), items=3),
    ),
)
PROGRESS_V1 = (
    b'{"type":"progress","collector":"local","at":1700000100.0,"polls":[{"source":"feed:forum.example:0123456789",'
    b'"at":1700000060.0,"answered":true,"brands":["Kometa"],"items":3}]}'
)
SCORED = ScoredMention(
    mention=MENTION, language="ru", sentiment=Sentiment(0.7, 0.2, 0.1), label="negative", model="tocsin-1"
)
SCORED_V1 = (
    b'{"type":"scored","mention":' + MENTION_V1 + b',"language":"ru","sentiment":{"negative":0.7,"neutral":0.2,'
    b'"positive":0.1},"label":"negative","model":"tocsin-1"}'
)


@pytest.mark.parametrize(
    ("record", "golden", "decode"),
    [
        (MENTION, MENTION_V1, mention.decode),
        (PROGRESS, PROGRESS_V1, mention.decode),
        (SCORED, SCORED_V1, sentiment.decode),
        (PROGRESS, PROGRESS_V1, sentiment.decode),
    ],
)
def test_version_1_is_written_and_read_as_these_bytes(record, golden, decode):
    assert encode(record) == golden
    assert decode(golden) == record


def with_more(golden: bytes) -> bytes:
    """The same record as a version 2 with more fields might write it, nested ones too."""
    raw = msgspec.json.decode(golden)

    def grow(value):
        if isinstance(value, dict):
            return {"added_in_2": {"deep": [1, None]}} | {key: grow(inner) for key, inner in value.items()} | {"z": "é"}
        return [grow(inner) for inner in value] if isinstance(value, list) else value

    return msgspec.json.encode({**grow(raw), "version": 2})


@pytest.mark.parametrize(
    ("golden", "decode"),
    [(MENTION_V1, mention.decode), (PROGRESS_V1, mention.decode), (SCORED_V1, sentiment.decode)],
)
def test_a_reader_of_version_1_reads_what_a_version_2_adds_fields_to(golden, decode):
    assert msgspec.structs.replace(decode(with_more(golden)), version=1) == decode(golden)
    assert decode(with_more(golden)).version == 2


def test_a_kind_of_record_from_later_is_told_from_bytes_that_nobody_can_read():
    with pytest.raises(UnknownRecord, match="retraction"):
        mention.decode(b'{"type":"retraction","id":"1"}')
    with pytest.raises(UnreadableRecord, match="missing required field"):
        mention.decode(b'{"type":"mention","id":"1"}')


@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_a_record_or_one_of_the_two_faults(value):
    for decode in (mention.decode, sentiment.decode):
        try:
            decode(value)
        except (UnknownRecord, UnreadableRecord) as fault:
            assert str(fault)


def test_the_identity_is_of_brand_and_post_alone():
    assert mention_id("Kometa", "p") != mention_id("Lumivo", "p") != mention_id("Kometa", "q")
    assert mention_id("Kometa", "p") == mention_id("Kometa", "p")


def test_the_time_of_a_mention_without_a_date_is_when_it_was_collected():
    assert MENTION.time == 1_700_000_000.0
    assert msgspec.structs.replace(MENTION, published=None).time == 1_700_000_060.5
