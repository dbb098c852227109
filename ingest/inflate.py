"""Decompress gzip with a bound, so that a few bytes cannot fill the memory."""

import zlib


class TooLarge(Exception):
    """More bytes than allowed."""


class BadEncoding(Exception):
    """Not gzip, cut off, or an encoding that was not offered."""


class Inflater:
    """Takes the raw bytes of a body, gives them decoded; `limit` bounds both.

    Raises TooLarge and BadEncoding.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise BadEncoding(encoding)
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in encoding else None
        self._limit = limit
        self._taken = 0
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next raw bytes."""
        self._taken += len(chunk)
        if self._taken > self._limit:
            raise TooLarge
        if self._gzip is None:
            self._keep(chunk)
            return
        while chunk:
            try:
                self._keep(self._gzip.decompress(chunk, self._limit - self._size + 1))
            except zlib.error as fault:
                raise BadEncoding("gzip") from fault
            chunk = self._gzip.unconsumed_tail
            if self._gzip.eof:
                chunk = self._gzip.unused_data if self._gzip.unused_data.startswith(b"\x1f\x8b") else b""
                if chunk:  # gzip files may follow each other
                    self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def finish(self) -> bytes:
        """The whole decoded body."""
        if self._gzip is not None and self._taken and not self._gzip.eof:
            raise BadEncoding("gzip")
        return b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise TooLarge
        self._pieces.append(piece)
