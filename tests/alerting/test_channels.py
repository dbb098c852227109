"""Channels against real peers, well and badly behaved."""

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerting.channel import Channel, Delivered, Outcome, Refused, TryAgain
from alerting.channels import KINDS, attempt, make, trial
from alerting.channels.email import Config as EmailConfig
from alerting.channels.email import compose
from alerting.channels.http import MAX_ANSWER, retry_after
from alerting.channels.slack import MOST_HEADER, MOST_SECTION, payload
from alerting.channels.slack import Config as SlackConfig
from alerting.channels.webhook import Config as WebhookConfig
from alerting.channels.webhook import signature
from tests.support.certificates import Certificates
from tests.support.http_peer import DRIP, DROP, answer, http_peer
from tests.support.pages import AT, message, page, quote
from tests.support.smtp import DROP as DROP_MAIL
from tests.support.smtp import Mailbox, mail_server, talking

OK = answer("200 OK", b"ok")
PAGE = b"<html><body>It works!</body></html>"
ENDLESS = b"HTTP/1.1 %b\r\nContent-Length: 900000000\r\n\r\n" + b"x" * (4 * MAX_ANSWER)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def email_config(port: int, **more: Any) -> EmailConfig:
    values = {"kind": "email", "host": "127.0.0.1", "port": port, "security": "none", "from": "tocsin@brand.example"}
    return EmailConfig.model_validate({"to": "anna@brand.example", **values, **more})


# --- one contract for all -------------------------------------------------------------------------------------------

HTTP_PEERS = {
    "accepts": OK,
    "bad request": answer("400 Bad Request", b"invalid_payload"),
    "not found": answer("404 Not Found", b"no_service"),
    "moved": answer("302 Found", b"", "Location: https://elsewhere.example/"),
    "too fast": answer("429 Too Many Requests", b"slow down", "Retry-After: 7"),
    "broken": answer("500 Internal Server Error", b"rollup_error"),
    "away": answer("503 Service Unavailable", PAGE, "Retry-After: 120", "Content-Type: text/html"),
    "drips": DRIP,
    "drops": DROP,
    "garbage": b"\x00\x01\x02 what is this\r\n\r\n",
    "oversized error": ENDLESS % b"500 Oops",
}
HTTP_OUTCOMES: dict[str, Outcome] = {
    "bad request": Refused("http_400"),
    "not found": Refused("http_404"),
    "moved": Refused("http_302"),
    "too fast": TryAgain("http_429", after=7.0),
    "broken": TryAgain("http_500", ambiguous=True),
    "away": TryAgain("http_503", after=120.0),
    "drips": TryAgain("deadline", ambiguous=True),
    "drops": TryAgain("connection_lost", ambiguous=True),
    "garbage": TryAgain("connection_lost", ambiguous=True),
    "oversized error": TryAgain("http_500", ambiguous=True),
    "nobody there": TryAgain("unreachable"),
}


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _flood(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"220-" + b"x" * 60_000)
        await writer.drain()


async def _garbage(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await writer.drain()


TALKERS = {"drips": _drip, "oversized": _flood, "garbage": _garbage}
MAILBOXES = {
    "accepts": Mailbox(),
    "sender refused": Mailbox(mail_answer="550 we do not know you"),
    "recipient refused": Mailbox(rcpt={"anna@brand.example": ["550 no such user"]}),
    "recipient later": Mailbox(rcpt={"anna@brand.example": ["451 greylisted"]}),
    "message refused": Mailbox(data_answer="554 spam"),
    "too fast": Mailbox(data_answer="452 too many messages"),
    "drops": Mailbox(mail_answer=DROP_MAIL),
    "drops after the message": Mailbox(data_answer=DROP_MAIL),
}
EMAIL_OUTCOMES: dict[str, Outcome] = {
    "sender refused": Refused("smtp_550"),
    "recipient refused": Refused("recipient_550"),
    "recipient later": TryAgain("recipient_451"),
    "message refused": Refused("message_554"),
    "too fast": TryAgain("message_452"),
    "drops": TryAgain("unreachable"),
    "drops after the message": TryAgain("connection_lost", ambiguous=True),
    "drips": TryAgain("deadline", ambiguous=True),
    "oversized": TryAgain("smtp_unreadable"),
    "garbage": TryAgain("smtp_unreadable"),
    "nobody there": TryAgain("unreachable"),
}
CASES = [("email", behaviour) for behaviour in ["accepts", *EMAIL_OUTCOMES]] + [
    (kind, behaviour) for kind in ("slack", "webhook") for behaviour in ["accepts", *HTTP_OUTCOMES]
]


@asynccontextmanager
async def channel_to(kind: str, behaviour: str) -> AsyncIterator[Channel]:
    """A channel whose other side behaves like that."""
    async with AsyncExitStack() as stack:
        if kind == "email":
            if behaviour in MAILBOXES:
                port = (await stack.enter_async_context(mail_server(MAILBOXES[behaviour]))).port
            elif behaviour in TALKERS:
                port = await stack.enter_async_context(talking(TALKERS[behaviour]))
            else:
                port = free_port()
            channel = make(email_config(port))
        else:
            url = f"http://127.0.0.1:{free_port()}/"
            if behaviour in HTTP_PEERS:
                url = (await stack.enter_async_context(http_peer([HTTP_PEERS[behaviour]]))).url
            channel = make(KINDS[kind].Config.model_validate({"kind": kind, "url": url}))
        stack.push_async_callback(channel.close)
        yield channel


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "behaviour"), CASES)
async def test_every_behaviour_has_its_outcome(kind: str, behaviour: str) -> None:
    async with channel_to(kind, behaviour) as channel:
        outcome = await attempt(channel, message(), 1.0)
    if behaviour == "accepts":
        assert isinstance(outcome, Delivered)
    else:
        assert outcome == (EMAIL_OUTCOMES if kind == "email" else HTTP_OUTCOMES)[behaviour]


@pytest.mark.asyncio
async def test_a_test_message_goes_through_every_kind() -> None:
    for kind in KINDS:
        async with channel_to(kind, "accepts") as channel:
            assert isinstance(await attempt(channel, trial(AT)), Delivered)


# --- HTTP -----------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [PAGE, b"", b"no_text", b"o" * (3 * MAX_ANSWER)])
async def test_slack_has_it_only_when_it_says_ok(body: bytes) -> None:
    async with http_peer([answer("200 OK", body)]) as peer:
        outcome = await attempt(make(SlackConfig(url=peer.url)), message())
    assert outcome == TryAgain("not_slack", ambiguous=True)


@pytest.mark.asyncio
async def test_a_webhook_that_has_said_200_need_not_finish_its_answer() -> None:
    async with http_peer([ENDLESS % b"200 OK"]) as peer:
        assert await attempt(make(WebhookConfig(url=peer.url)), message()) == Delivered("http 200")


@pytest.mark.asyncio
async def test_a_webhook_signs_and_repeats_its_key() -> None:
    async with http_peer([answer("500 No"), answer("204 Fine")]) as peer:
        channel = make(WebhookConfig.model_validate({"url": peer.url, "secret": "not very secret"}))
        first = await attempt(channel, message(to="team-7", attempt=1))
        second = await attempt(channel, message(to="team-7", attempt=2))
    assert (first, second) == (TryAgain("http_500", ambiguous=True), Delivered("http 204"))
    one, two = peer.requests
    assert one.body == two.body
    assert one.headers["idempotency-key"] == two.headers["idempotency-key"] == "a1b2c3d4-0-page"
    said = json.loads(one.body)
    assert (said["version"], said["key"], said["to"], said["brand"]) == (1, "a1b2c3d4-0-page", "team-7", "Kometa")
    assert said["quotes"][0]["text"].startswith("Aplikacja")
    stamp = one.headers["tocsin-timestamp"]
    expected = hmac.new(b"not very secret", stamp.encode() + b"." + one.body, hashlib.sha256).hexdigest()
    assert one.headers["tocsin-signature"] == f"sha256={expected}" == signature("not very secret", stamp, one.body)


@pytest.mark.asyncio
async def test_without_a_secret_nothing_is_signed() -> None:
    async with http_peer([OK]) as peer:
        await attempt(make(WebhookConfig(url=peer.url)), message())
    assert "tocsin-signature" not in peer.requests[0].headers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": "Mon, 02 Mar 2026 15:01:00 GMT", "date": "Mon, 02 Mar 2026 15:00:00 GMT"}, 60.0),
        ({"retry-after": "Mon, 02 Mar 2026 15:01:00 GMT"}, None),
        ({"retry-after": "Mon, 02 Mar 2026 14:00:00 GMT", "date": "Mon, 02 Mar 2026 15:00:00 GMT"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(st.text(), st.text())
def test_no_retry_after_is_too_odd(said: str, date: str) -> None:
    seconds = retry_after({"retry-after": said, "date": date})
    assert seconds is None or seconds >= 0


# --- Slack ----------------------------------------------------------------------------------------------------------


def _texts(said: Any) -> list[tuple[str, str]]:
    """(type, text) of every text object in a payload."""
    if isinstance(said, list):
        return [found for part in said for found in _texts(part)]
    if not isinstance(said, dict):
        return []
    own = [(said["type"], said["text"])] if isinstance(said.get("text"), str) and "type" in said else []
    return own + [found for part in said.values() for found in _texts(part)]


def test_a_stranger_cannot_call_the_channel() -> None:
    said = payload(page(quotes=[quote("<!channel> *look* <https://evil.example|here>", author="<!here>")]))
    for kind, text in _texts(said):
        assert "<!" not in text
        assert kind == "plain_text" or text == "<https://forum.example/1>"
    assert "&lt;!channel&gt;" in json.dumps(said)


@given(st.text(alphabet=st.sampled_from("&<>é \u202e\n"), max_size=2_000), st.text(max_size=300))
def test_slacks_limits_hold_whatever_is_said(text: str, name: str) -> None:
    said = payload(
        page(brand=name, reason=text, quotes=[quote(text, author=text, url=f"https://x.example/{text}")] * 9)
    )
    assert len(said["blocks"]) <= 50
    assert len(json.dumps(said, ensure_ascii=False)) < 13_200
    for block in said["blocks"]:
        limit = MOST_HEADER if block["type"] == "header" else MOST_SECTION
        assert all(1 <= len(text) <= limit for _, text in _texts(block))
        assert len(block.get("elements", ())) <= 10


# --- e-mail ---------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_mail_has_text_and_html_and_its_key() -> None:
    async with mail_server(Mailbox()) as box:
        assert isinstance(await attempt(make(email_config(box.port)), message()), Delivered)
    (recipients, mail), *none = box.accepted
    assert not none
    assert recipients == ["anna@brand.example"]
    assert mail["Message-ID"] == "<a1b2c3d4-0-page@brand.example>"
    assert mail["Subject"] == "[Tocsin] Kometa: 41 negative mentions where 6 are usual (since 14:35 UTC)"
    assert parsedate_to_datetime(mail["Date"]).timestamp() == AT
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "tocsin ack a1b2c3d4" in text.get_content()
    assert "Aplikacja nie działa" in html.get_content()


@pytest.mark.asyncio
async def test_who_has_it_is_not_written_to_again() -> None:
    box = Mailbox(rcpt={"bob@brand.example": ["451 greylisted"]})
    async with mail_server(box):
        channel = make(email_config(box.port, to=["anna@brand.example", "bob@brand.example"]))
        assert await attempt(channel, message(attempt=1)) == TryAgain("recipient_451")
        assert isinstance(await attempt(channel, message(attempt=2)), Delivered)
    assert [recipients for recipients, _ in box.accepted] == [["anna@brand.example"], ["bob@brand.example"]]
    assert len({mail["Message-ID"] for _, mail in box.accepted}) == 1
    assert {mail["To"] for _, mail in box.accepted} == {"anna@brand.example, bob@brand.example"}


@pytest.mark.asyncio
async def test_one_recipient_refused_for_good_moves_the_policy_on() -> None:
    box = Mailbox(rcpt={"bob@brand.example": ["550 gone"], "eve@brand.example": ["450 busy"]})
    async with mail_server(box):
        channel = make(email_config(box.port))
        people = "anna@brand.example, bob@brand.example, eve@brand.example"
        assert await attempt(channel, message(to=people)) == Refused("recipient_550")
    assert [recipients for recipients, _ in box.accepted] == [["anna@brand.example"]]


@pytest.mark.asyncio
@pytest.mark.parametrize("to", ["nobody", "a@b.example\r\nBcc: x@y.example", "a b@c.example", ",", "<a@b.example>"])
async def test_a_recipient_that_is_none_is_refused_before_anything_is_sent(to: str) -> None:
    async with mail_server(Mailbox()) as box:
        assert await attempt(make(email_config(box.port)), message(to=to)) == Refused("bad_recipient")
    assert not box.accepted


@given(st.text(max_size=120), st.text(max_size=400))
def test_no_header_can_be_injected(brand: str, said: str) -> None:
    lines = "\r\nBcc: everybody@evil.example\r\n\r\nhello"
    raw = compose(
        message(brand=brand + lines, quotes=[quote(said + lines, author=said)]), "a@b.example", ["c@d.example"]
    )
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    names = [line.partition(":")[0] for line in head.split("\r\n") if line[:1] not in (" ", "\t")]
    assert names == ["From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted", "Importance",
                     "MIME-Version", "Content-Type"]  # fmt: skip
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("trusted", "password", "outcome"),
    [
        (True, "right", Delivered("250 queued as 1")),
        (True, "wrong", Refused("smtp_535")),
        (False, "right", TryAgain("certificate")),
    ],
)
async def test_starttls_and_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool, password: str, outcome: Outcome
) -> None:
    certificates = Certificates(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    box = Mailbox(users={"tocsin": "right"})
    async with mail_server(box, context):
        config = email_config(box.port, host="localhost", security="starttls", username="tocsin", password=password)
        assert await attempt(make(config), message()) == outcome
    assert bool(box.accepted) == isinstance(outcome, Delivered)


@pytest.mark.asyncio
async def test_a_password_never_goes_over_an_open_line() -> None:
    async with mail_server(Mailbox(users={"tocsin": "right"})) as box:
        config = email_config(box.port, security="starttls", username="tocsin", password="right")
        assert await attempt(make(config), message()) == Refused("not_supported")
    assert not box.accepted


# --- configuration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "wrong", "sentence"),
    [
        ("slack", {"url": "hooks.slack.com/services/T0"}, "begins with https://"),
        ("slack", {"url": "ftp://x.example/"}, "begins with https://"),
        ("webhook", {"url": "https://"}, "begins with https://"),
        ("webhook", {"url": "https://x.example/", "secret": "short"}, "at least 8"),
        ("email", {"to": "anna"}, "`anna` is not an e-mail address"),
        ("email", {"to": ["anna@b.example", "b@@c"]}, "`b@@c` is not an e-mail address"),
        ("email", {"to": []}, "or a list of them"),
        ("email", {"to": "a@b.example", "from": "a@b.example\nBcc: c@d.example"}, "is not an e-mail address"),
        ("email", {"to": "a@b.example", "port": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_configuration_says_what_to_do(kind: str, wrong: dict[str, Any], sentence: str) -> None:
    given = {"host": "mail.example", "from": "tocsin@b.example"} if kind == "email" else {}
    with pytest.raises(ValidationError, match=sentence):
        KINDS[kind].Config.model_validate({"kind": kind, **given, **wrong})


def test_addresses_with_letters_of_any_language_in_the_domain() -> None:
    config = email_config(25, to="anna@żółw.example, bob@b.example")
    assert config.to == ("anna@xn--w-uga1v8h.example", "bob@b.example")


def test_secrets_are_not_shown() -> None:
    shown = repr(
        [
            SlackConfig(url="https://hooks.example/services/T0/B0/hidden"),
            WebhookConfig.model_validate({"url": "https://hidden.example/", "secret": "hidden secret"}),
            email_config(25, username="tocsin", password="hidden"),
        ]
    )
    assert "hidden" not in shown


def test_every_kind_explains_its_configuration() -> None:
    for kind in KINDS.values():
        assert all(field.description for field in kind.Config.model_fields.values())
