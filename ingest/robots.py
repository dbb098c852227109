"""robots.txt (RFC 9309): what a site lets us read."""

from collections import OrderedDict

from protego import Protego

AGENT = "Tocsin"
KEPT_SECONDS = 24 * 3_600
KEPT = 1_000
"""Sites that are remembered."""
MAX_BYTES = 512 * 1024
LONGEST_DELAY = 60.0


class Rules:
    """One site's rules for us."""

    def __init__(self, text: str) -> None:
        self._parsed = Protego.parse(text)

    def allow(self, url: str) -> bool:
        """Whether the address may be read."""
        return bool(self._parsed.can_fetch(url, AGENT))

    @property
    def delay(self) -> float:
        """Seconds between two requests that the site asks for, at most a minute."""
        return min(float(self._parsed.crawl_delay(AGENT) or 0.0), LONGEST_DELAY)


class RobotsCache:
    """Rules by address of robots.txt, for a day. Times are of any clock that only goes forward."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, Rules]] = OrderedDict()

    def get(self, address: str, now: float) -> Rules | None:
        """What is known and not too old."""
        until, rules = self._known.get(address, (0.0, None))
        return rules if now < until else None

    def put(self, address: str, body: bytes, now: float) -> Rules:
        """Remember what a site said."""
        rules = Rules(body[:MAX_BYTES].decode(errors="replace"))
        self._known[address] = now + KEPT_SECONDS, rules
        self._known.move_to_end(address)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return rules
