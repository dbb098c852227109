"""E-mail over SMTP (the only file that imports aiosmtplib).

One attempt is one session: greeting, TLS, login, sender, each recipient, message. Codes mean what RFC 5321, 4.2.1 says:
4xx may pass, 5xx is final. A recipient who has it is not written to again at the next attempt; one who is refused for
good makes the whole step refused, so that the next one of the policy is told at once. When the connection is lost after
the message was handed over, it may have arrived: the next attempt carries the same Message-ID.
"""

import re
import ssl
from collections import OrderedDict
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from email.utils import format_datetime
from typing import Annotated, Literal

import aiosmtplib
from pydantic import BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from alerting import wording
from alerting.channel import Channel, ChannelConfig, Delivered, Message, Outcome, Refused, TryAgain

NAME = "email"
RECIPIENTS = True
PORTS = {"starttls": 587, "tls": 465, "none": 25}
ANSWER_SECONDS = 10.0
REMEMBERED = 1_000
"""Messages of which it is known who has them already."""

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
_FORMAT = SMTP_LINES.clone(cte_type="7bit")


def addresses(said: object) -> tuple[str, ...]:
    """One address, several with commas between them, or a list; raises what pydantic shows to the user."""
    parts = said.split(",") if isinstance(said, str) else said
    if not isinstance(parts, list | tuple) or not parts:
        raise _wrong("Write an e-mail address, or a list of them.")
    return tuple(_address(part) for part in parts)


def _address(said: object) -> str:
    local, _, domain = (said if isinstance(said, str) else "").strip().rpartition("@")
    try:
        address = f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        address = ""
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        raise _wrong(f"`{said}` is not an e-mail address. Write it as name@example.org.")
    return address


def _wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


class Config(ChannelConfig):
    """E-mail by a mail server of yours."""

    kind: Literal["email"] = Field(default="email", description="Kind of the channel.")
    host: str = Field(min_length=1, description="Mail server that takes messages from you.")
    port: int | None = Field(
        default=None, ge=1, le=65_535, description="Its port; without it 587 for starttls, 465 for tls, 25 for none."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted; never less than it says."
    )
    username: str | None = Field(default=None, description="User, where the server asks for a login.")
    password: SecretStr | None = Field(default=None, description="Password; write it as `${SMTP_PASSWORD}`.")
    sender: Annotated[str, BeforeValidator(_address)] = Field(alias="from", description="Address that it comes from.")
    to: Annotated[tuple[str, ...], BeforeValidator(addresses)] = Field(
        description="Whom to tell, an address or a list; a step of `paging` may name others."
    )


class Email:
    """Sends by one mail server."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._have_it: OrderedDict[str, set[str]] = OrderedDict()

    async def send(self, message: Message) -> Outcome:
        """One session, to everybody who does not have it yet."""
        try:
            recipients = dict.fromkeys(addresses(message.to) if message.to else self._config.to)
        except PydanticCustomError:
            return Refused("bad_recipient")
        have_it = self._have_it.setdefault(message.key, set())
        mail = compose(message, self._config.sender, list(recipients))
        outcome = await self._session([r for r in recipients if r not in have_it], mail, have_it)
        if not isinstance(outcome, TryAgain):
            self._have_it.pop(message.key, None)
        while len(self._have_it) > REMEMBERED:
            self._have_it.popitem(last=False)
        return outcome

    async def close(self) -> None:
        """Nothing is kept open between messages."""

    async def _session(self, recipients: list[str], mail: bytes, have_it: set[str]) -> Outcome:
        client = self._client()
        try:
            await client.connect()
            await client.mail(self._config.sender)
            refused = await _name(client, recipients)
            accepted = [r for r in recipients if r not in refused]
            outcome = await _hand_over(client, mail) if accepted else Delivered("")
            if isinstance(outcome, Delivered):
                have_it.update(accepted)
                return _worst(refused) or outcome
        except aiosmtplib.SMTPResponseException as fault:
            return _by_code("smtp", fault.code)
        except ssl.SSLError:
            return TryAgain("certificate")
        except OSError:  # lost, silent, not reachable, no TLS: aiosmtplib's own exceptions of these kinds are OSErrors
            return TryAgain("unreachable")
        except aiosmtplib.SMTPException:  # what is left: no STARTTLS, no way to log in
            return Refused("not_supported")
        finally:
            client.close()
        return outcome

    def _client(self) -> aiosmtplib.SMTP:
        c = self._config
        return aiosmtplib.SMTP(
            hostname=c.host,
            port=c.port or PORTS[c.security],
            use_tls=c.security == "tls",
            start_tls=c.security == "starttls",
            username=c.username,
            password=c.password.get_secret_value() if c.password else None,
            timeout=ANSWER_SECONDS,
        )


async def _name(client: aiosmtplib.SMTP, recipients: list[str]) -> dict[str, int]:
    """Name each recipient to the server; returns those it does not accept, with its code."""
    refused: dict[str, int] = {}
    for recipient in recipients:
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as fault:
            refused[recipient] = fault.code
    return refused


async def _hand_over(client: aiosmtplib.SMTP, mail: bytes) -> Outcome:
    """DATA and the message; from here on a lost connection does not say whether the server has it."""
    try:
        answer = await client.data(mail)
    except aiosmtplib.SMTPResponseException as fault:
        return _by_code("message", fault.code)
    except OSError:
        return TryAgain("connection_lost", ambiguous=True)
    return Delivered(f"{answer.code} {wording.clean(answer.message)}")


def _worst(refused: dict[str, int]) -> Outcome | None:
    """What the recipients who were not accepted mean for the message; None if there are none."""
    outcomes = [_by_code("recipient", code) for code in refused.values()]
    return next((o for o in outcomes if isinstance(o, Refused)), outcomes[0] if outcomes else None)


def _by_code(what: str, code: int) -> TryAgain | Refused:
    """`what` was answered with this code; one that is no code of SMTP (an unreadable answer) may pass."""
    if 500 <= code < 600:
        return Refused(f"{what}_{code}")
    known = 400 <= code < 500
    return TryAgain(f"{what}_{code}" if known else f"{what}_unreadable", ambiguous=what == "message" and not known)


def compose(message: Message, sender: str, recipients: list[str]) -> bytes:
    """The whole message, the same at every attempt but for its date: text, and the same as HTML."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=_FORMAT)
    mail["From"] = f"Tocsin <{sender}>"
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = wording.subject(message.page)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at, UTC))
    mail["Message-ID"] = f"<{message.key}@{domain}>"
    mail["References"] = f"<{message.page.incident}@{domain}>"  # mail programs show one incident as one thread
    mail["Auto-Submitted"] = "auto-generated"
    mail["Importance"] = "high" if message.page.kind == "page" else "normal"
    mail.set_content(wording.plain(message.page))
    mail.add_alternative(wording.rich_mail(message.page), subtype="html")
    return mail.as_bytes(policy=_FORMAT.clone(max_line_length=200))  # headers that fit are not folded


def make(config: ChannelConfig) -> Channel:
    """A mail server as configured."""
    assert isinstance(config, Config)
    return Email(config)
