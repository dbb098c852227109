"""A real mail server (aiosmtpd) that answers as it is told, well or badly."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

DROP = "drop"


@dataclass
class Mailbox:
    """What came in, and what is answered: a code with a text, or DROP. `rcpt` answers by recipient."""

    mail_answer: str = "250 ok"
    rcpt: dict[str, list[str]] = field(default_factory=dict)
    data_answer: str = "250 queued as 1"
    accepted: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    port: int = 0

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.mail_answer == DROP:
            return _drop(server)
        envelope.mail_from = address
        return self.mail_answer

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answers = self.rcpt.get(address, [])
        said = answers.pop(0) if answers else "250 ok"
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        if self.data_answer == DROP or self.data_answer.startswith("250"):
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.accepted.append((list(envelope.rcpt_tos), mail))
        return _drop(server) if self.data_answer == DROP else self.data_answer

    def log_in(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, said: Any) -> AuthResult:
        assert isinstance(said, LoginPassword)
        return AuthResult(success=self.users.get(said.login.decode()) == said.password.decode(), handled=False)


def _drop(server: SMTP) -> str:
    assert server.transport is not None
    server.transport.abort()
    return "421 gone"


@asynccontextmanager
async def mail_server(mailbox: Mailbox, tls: ssl.SSLContext | None = None) -> AsyncIterator[Mailbox]:
    """Listen on a free port; with `tls` it offers STARTTLS and asks for a login."""

    def protocol() -> SMTP:
        return SMTP(
            mailbox,
            hostname="mail.example",
            tls_context=tls,
            require_starttls=tls is not None,
            auth_required=bool(mailbox.users),
            authenticator=mailbox.log_in if mailbox.users else None,
        )

    async with _listening(protocol) as port:
        mailbox.port = port
        yield mailbox


@asynccontextmanager
async def talking(said: Callable[[asyncio.StreamWriter], Any]) -> AsyncIterator[int]:
    """A server that says something at once, whatever is asked, until the other side has gone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.ensure_future(said(writer))
        try:
            await reader.read()
        except ConnectionError:
            pass
        finally:
            talk.cancel()
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def _listening(protocol: Callable[[], SMTP]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
