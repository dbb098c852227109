"""Bytes of a document -> its text, whatever it says about its encoding."""

import codecs
import re
import zlib

MAX_BYTES = 8 * 1024 * 1024
"""Bound of a document, compressed or not."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HALVES = (
    (b"\x00\x00\x00<", "utf-32-be"),
    (b"<\x00\x00\x00", "utf-32-le"),
    (b"\x00<", "utf-16-be"),
    (b"<\x00", "utf-16-le"),
)
"""How a document without a byte order mark begins in the wide encodings; `{` stands in for `<` in JSON."""
_DECLARED = (
    re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""", re.I),
    re.compile(rb"""<meta[^>]{0,300}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I),
)
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "tis-620": "cp874",
    "iso8859-11": "cp874",
}
"""What is meant by a name in practice (WHATWG Encoding Standard, "names and labels")."""
_SEVEN_BIT = {"iso2022_jp", "iso2022_kr", "hz"}
_RUN = re.compile(rb"[\x80-\xff]+")


def decode(body: bytes, content_type: str | None = None) -> str:
    """The document's text. Never fails: what cannot be read is replaced.

    A byte order mark decides; then UTF-8 that is valid, whatever is declared; then the charset of `content_type`, the
    XML declaration or HTML `meta`; then Cyrillic by its look, and Windows-1252 for single bad bytes.
    """
    body = gunzip(body)
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, errors="replace")
    start = body[:400].lstrip().replace(b"{", b"<").replace(b"[", b"<")
    for half, name in _HALVES:
        if start.startswith(half) or body.startswith(half):
            return body.decode(name, errors="replace")
    declared = _declared(body, content_type)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _legacy(body, declared)
    return _first_that_reads(body, [name for name in declared if name in _SEVEN_BIT]) or text


def gunzip(body: bytes, limit: int = MAX_BYTES) -> bytes:
    """A gzip file's content, cut at `limit`; other bytes as they are."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, limit)
    except zlib.error:
        return body


def _legacy(body: bytes, declared: list[str]) -> str:
    lenient = body.decode(errors="replace")
    wide = sum(1 for character in lenient if character > "\x7f")
    if lenient.count("\ufffd") * 20 <= wide:  # UTF-8 that was cut or has a few foreign bytes
        return body.decode(errors="tocsin.single-byte")
    if text := _first_that_reads(body, [name for name in declared if name != "utf-8"]):
        return text
    if name := _cyrillic(body):
        return body.decode(name, errors="replace")
    return body.decode(errors="tocsin.single-byte")


def _declared(body: bytes, content_type: str | None) -> list[str]:
    """Names of codecs, most trusted first. Latin-1 from a server is its default, not its knowledge."""
    head = body[:2_000]
    inside = [found.group(1).decode() for pattern in _DECLARED if (found := pattern.search(head))]
    server = re.findall(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type or "", re.I)[:1]
    names = [known for name in (*server, *inside) if (known := _codec(name))]
    return sorted(names, key=lambda name: name == "cp1252")


def _codec(name: str) -> str | None:
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if not info._is_text_encoding or info.name.startswith(("utf-16", "utf-32")):
        return None  # a declaration that can be read is not in two or four bytes a character
    return _SUPERSETS.get(info.name, info.name)


def _first_that_reads(body: bytes, names: list[str]) -> str | None:
    for name in names:
        errors = "tocsin.single-byte" if name == "cp1252" else "strict"
        try:
            return body.decode(name, errors=errors)
        except UnicodeError:
            continue
    for name in names:
        if (text := body.decode(name, errors="replace")).count("\ufffd") * 20 <= len(body):
            return text
    return None


def _cyrillic(body: bytes) -> str | None:
    """Windows-1251 or KOI8-R, if bytes above 127 come in runs as long as words; lower case tells the two apart."""
    runs = _RUN.findall(body[:200_000])
    letters = b"".join(runs)
    if not runs or len(letters) < 3 * len(runs):
        return None
    koi8_lower = sum(1 for byte in letters if 0xC0 <= byte <= 0xDF)
    windows_lower = sum(1 for byte in letters if byte >= 0xE0)
    if koi8_lower + windows_lower < 0.8 * len(letters):
        return None
    return "koi8-r" if koi8_lower > windows_lower else "cp1251"


def _single_byte(fault: UnicodeError) -> tuple[str, int]:
    """Read a byte that does not fit as Windows-1252, as browsers do."""
    if not isinstance(fault, UnicodeDecodeError):
        raise fault
    byte = fault.object[fault.start : fault.start + 1]
    try:
        return byte.decode("cp1252"), fault.start + 1
    except UnicodeDecodeError:
        return byte.decode("latin-1"), fault.start + 1


codecs.register_error("tocsin.single-byte", _single_byte)
