"""One polite, bounded, safe request at a time (the only file of ingest that imports httpx).

Safe: only http and https; every address is resolved, checked and dialled as checked, on every redirect; nothing from
the environment, no cookies; sizes and the total time are bounded. Polite: conditional, an honest User-Agent, few
requests per host, robots.txt where the kind of source wants it.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from urllib.parse import urljoin

import httpx

from ingest.address import is_own_network, may_dial
from ingest.answer import Answer, Caching, Failure, FetchReason
from ingest.documents.charset import MAX_BYTES
from ingest.inflate import BadEncoding, Inflater, TooLarge
from ingest.robots import AGENT, RobotsCache

MAX_REDIRECTS = 5
PER_HOST = 2
"""Requests to one host at the same time."""
SPACING = 1.0
"""Seconds between two requests to one public host, at least."""
HOSTS_KEPT = 1_000
_ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.8"


class Refused(Exception):
    """Carries a Failure out of the depth of a request."""

    def __init__(
        self, reason: FetchReason, sentence: str, status: int | None = None, caching: Caching | None = None
    ) -> None:
        super().__init__(sentence)
        self.failure = Failure(reason, sentence, status, caching or Caching())


@dataclass
class _Host:
    """Politeness towards one host."""

    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PER_HOST))
    free_at: float = 0.0
    spacing: float = SPACING
    users: int = 0


class Fetcher:
    """Asks servers for documents. One for the whole process; `close` it at the end."""

    def __init__(
        self, contact: str = "", *, seconds: float = 30.0, limit: int = MAX_BYTES, ca: str | None = None
    ) -> None:
        """`contact`: address or e-mail that servers see; `limit`: bytes of a body; `ca`: a file with further roots."""
        trust = ssl.create_default_context(cafile=ca) if ca else True
        self._client = httpx.AsyncClient(
            verify=trust,
            trust_env=False,
            follow_redirects=False,
            timeout=seconds,
            limits=httpx.Limits(max_keepalive_connections=0),  # a kept connection is to an address, not to a host
            headers={"Accept": _ACCEPT, "Accept-Encoding": "gzip", "User-Agent": user_agent(contact)},
        )
        self._seconds = seconds
        self._limit = limit
        self._hosts: dict[str, _Host] = {}
        self._robots = RobotsCache()

    async def fetch(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        private: bool = False,
        obey_robots: bool = False,
    ) -> Answer | Failure:
        """Ask for a document. Never raises for what servers, names or networks do.

        `etag`, `last_modified`: validators of the last answer, sent back as they came. `private`: the address may lie in
        a private network. `obey_robots`: robots.txt decides.
        """
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in conditions.items() if value}
        try:
            return await self._follow(url, headers, private, obey_robots)
        except Refused as refused:
            return refused.failure

    async def close(self) -> None:
        """Close what is open."""
        await self._client.aclose()

    async def _follow(self, url: str, headers: Mapping[str, str], private: bool, obey_robots: bool) -> Answer:
        permanent = True
        asked = url
        for _ in range(MAX_REDIRECTS + 1):
            target = _parse(asked)
            if obey_robots:
                await self._check_robots(target, private)
            response, body = await self._ask(target, headers, private)
            if (location := response.headers.get("location")) is None or response.status_code not in (
                301,
                302,
                303,
                307,
                308,
            ):
                return _answer(response, body, asked, asked if permanent and asked != url else None)
            permanent = permanent and response.status_code in (301, 308)
            asked = _redirect(asked, location, target.host)
        raise Refused("bad-redirect", f"{_parse(url).host} redirects more than {MAX_REDIRECTS} times.")

    async def _ask(self, url: httpx.URL, headers: Mapping[str, str], private: bool) -> tuple[httpx.Response, bytes]:
        """One request without redirects, within one deadline, after its turn has come."""
        async with self._turn(url, private):
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._dial(url, headers, private)
            except TimeoutError as late:
                raise Refused("timeout", f"{url.host} did not answer within {self._seconds:g} seconds.") from late

    async def _dial(self, url: httpx.URL, headers: Mapping[str, str], private: bool) -> tuple[httpx.Response, bytes]:
        """Try the host's allowed addresses, at most three of them."""
        last: Refused | None = None
        for address in (await _addresses(url, private))[:3]:
            try:
                return await self._request(url, address, headers)
            except Refused as refused:
                if refused.failure.reason != "refused":
                    raise
                last = refused
        raise last or Refused("dns", f"{url.host} has no address.")

    async def _request(self, url: httpx.URL, address: str, headers: Mapping[str, str]) -> tuple[httpx.Response, bytes]:
        shown = {"Host": url.netloc.decode("ascii"), **headers}
        request = self._client.build_request("GET", url.copy_with(host=address), headers=shown)
        if url.scheme == "https":
            request.extensions["sni_hostname"] = url.raw_host.decode("ascii")
        try:
            response = await self._client.send(request, stream=True)
            try:
                return response, await self._read(response)
            finally:
                await response.aclose()
                self._client.cookies.clear()
        except TooLarge as fault:
            raise Refused("too-large", f"{url.host} sent more than {self._limit // 2**20} MB.") from fault
        except BadEncoding as fault:
            raise Refused(
                "bad-encoding", f"{url.host} sent a body that is not readable gzip or plain bytes."
            ) from fault
        except httpx.TimeoutException as fault:
            raise Refused("timeout", f"{url.host} did not answer within {self._seconds:g} seconds.") from fault
        except httpx.ConnectError as fault:
            if _is_tls(fault):
                raise Refused(
                    "tls", f"{url.host} has no certificate that can be trusted: {_tls_cause(fault)}."
                ) from fault
            raise Refused("refused", f"{url.host} refuses connections.") from fault
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError, OSError) as fault:
            raise Refused("broken-answer", f"{url.host} broke off or did not speak HTTP.") from fault

    async def _read(self, response: httpx.Response) -> bytes:
        """The body, decoded by us: httpx would inflate without a bound."""
        if response.status_code != 200:
            return b""
        inflater = Inflater(response.headers.get("content-encoding", "").strip().lower(), self._limit)
        async for chunk in response.aiter_raw():
            inflater.feed(chunk)
        return inflater.finish()

    @asynccontextmanager
    async def _turn(self, url: httpx.URL, private: bool) -> AsyncIterator[None]:
        """Wait until this host may be asked again. One's own network needs no spacing."""
        host = self._hosts.setdefault(url.host, _Host())
        host.users += 1
        try:
            async with host.slots:
                if not private:
                    now = asyncio.get_running_loop().time()
                    start = max(now, host.free_at)
                    host.free_at = start + host.spacing
                    await asyncio.sleep(start - now)
                yield
        finally:
            host.users -= 1
            if not host.users:
                self._forget_hosts()

    def _forget_hosts(self) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._hosts) > HOSTS_KEPT:
            self._hosts = {name: host for name, host in self._hosts.items() if host.users or host.free_at > now}

    async def _check_robots(self, url: httpx.URL, private: bool) -> None:
        """Raises Refused where robots.txt forbids the address or cannot be had."""
        address = str(url.copy_with(path="/robots.txt", query=None, fragment=None))
        now = asyncio.get_running_loop().time()
        rules = self._robots.get(address, now)
        if rules is None:
            rules = self._robots.put(address, await self._robots_text(address, private), now)
        if not rules.allow(str(url)):
            raise Refused("robots", f"robots.txt of {url.host} forbids this page.")
        if url.host in self._hosts:
            self._hosts[url.host].spacing = max(SPACING, rules.delay)

    async def _robots_text(self, address: str, private: bool) -> bytes:
        try:
            return (await self._follow(address, {}, private, obey_robots=False)).body
        except Refused as refused:
            if refused.failure.reason == "status-4xx":
                return b""
            raise


def user_agent(contact: str) -> str:
    """`Tocsin/VERSION (+CONTACT)`."""
    name = f"{AGENT}/{version('tocsin')}"
    return f"{name} (+{contact})" if contact else name


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
        parsed.netloc.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError) as fault:
        raise Refused("bad-url", "This is no valid address.") from fault
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Refused("bad-url", "Only addresses that begin with http:// or https:// can be fetched.")
    if "%" in parsed.host or (parsed.port or 0) > 65_535:
        raise Refused("bad-url", "This is no valid address.")
    return parsed.copy_with(fragment=None)


def _redirect(url: str, location: str, host: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as fault:
        raise Refused("bad-redirect", f"{host} redirects to something that is no address.") from fault


async def _addresses(url: httpx.URL, private: bool) -> list[str]:
    """The host's addresses that may be dialled. Raises Refused."""
    host = url.raw_host.decode("ascii").strip("[]")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise Refused("dns", f"The name {url.host} was not found: check the address and your network.") from fault
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [address for address in addresses if may_dial(address, private=private)]
    if not allowed:
        own = any(is_own_network(address) for address in addresses)
        hint = ": set `private: true` on the source if it is your own" if own and not private else ""
        raise Refused("forbidden-address", f"{url.host} lies in a network that is not fetched{hint}.")
    return allowed


def _answer(response: httpx.Response, body: bytes, url: str, moved: str | None) -> Answer:
    status, headers = response.status_code, response.headers
    caching = Caching(
        *(_header(headers, name) for name in ("etag", "last-modified", "cache-control", "expires", "retry-after"))
    )
    if status in (200, 304):
        if caching.expires == "0":  # the server says that its validators are worth nothing
            caching = replace(caching, etag=None, last_modified=None)
        return Answer(status, url, moved, caching, _header(headers, "content-type"), body)
    host = httpx.URL(url).host
    if status == 429 or (status == 503 and caching.retry_after):
        raise Refused("rate-limited", f"{host} asks to come back later (status {status}).", status, caching)
    if status >= 500:
        raise Refused("status-5xx", f"{host} has a fault of its own (status {status}).", status, caching)
    if status >= 400:
        raise Refused("status-4xx", f"{host} does not give this document (status {status}).", status, caching)
    raise Refused("broken-answer", f"{host} answered with status {status} and no document.", status, caching)


def _header(headers: httpx.Headers, name: str) -> str | None:
    value = headers.get(name)
    return value[:1_000] if value else None


def _is_tls(fault: Exception) -> bool:
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _tls_cause(fault: Exception) -> str:
    return str(fault).partition("] ")[2].partition(" (_ssl")[0] or str(fault)
