"""What a user reads when a command fails: one sentence and an exit code, no traceback."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import typer

EXTRAS = {"psycopg": "postgres", "torch": "transformer", "transformers": "transformer"}
"""Packages that an extra brings."""
MISUSE, FAILED, INTERRUPTED = 2, 1, 130


@contextmanager
def explain() -> Iterator[None]:
    """Say on stderr what went wrong in the block and exit; TOCSIN_DEBUG=1 lets the traceback through.

    Raises:
        typer.Exit: with 2 for a wrong configuration, 130 after Ctrl-C, otherwise 1.
    """
    try:
        yield
    except (KeyboardInterrupt, Exception, BaseExceptionGroup) as fault:
        if _belongs_to_typer(fault) or os.environ.get("TOCSIN_DEBUG") == "1":
            raise
        said = [sentence_and_code(leaf) for leaf in _leaves(fault)]
        for sentence in dict.fromkeys(sentence for sentence, _ in said):
            typer.echo(sentence, err=True)
        raise typer.Exit(max(code for _, code in said)) from fault


def _belongs_to_typer(fault: BaseException) -> bool:
    """Wrong options, an asked exit, a reader that closed the pipe: Typer knows what to do."""
    return (
        hasattr(fault, "exit_code")
        or isinstance(fault, typer.Abort)
        or (isinstance(fault, OSError) and fault.errno == errno.EPIPE)
    )


def _leaves(fault: BaseException) -> Iterator[BaseException]:
    if isinstance(fault, BaseExceptionGroup):
        for child in fault.exceptions:
            yield from _leaves(child)
    else:
        yield fault


def sentence_and_code(fault: BaseException) -> tuple[str, int]:
    """The sentence for the user, and the exit code."""
    from sqlalchemy.exc import DBAPIError

    from classify.model import ModelMissing
    from services.runtime.broker import Busy, LogUnavailable, OutOfBounds
    from services.runtime.database import DatabaseUnavailable, PartitionsChanged, WrongRevision
    from services.runtime.yaml_lines import ConfigError

    match fault:
        case KeyboardInterrupt():
            return "Interrupted.", INTERRUPTED
        case ConfigError():
            count = len(fault.problems)
            return f"{fault}\n{count} mistake{'s' * (count > 1)} in the configuration. Nothing was started.", MISUSE
        case WrongRevision() | PartitionsChanged() | DatabaseUnavailable() | ModelMissing():
            sentence = _one_line(fault)
        case LogUnavailable() | Busy() | OutOfBounds():
            sentence = _one_line(fault)
        case DBAPIError():
            sentence = f"The database failed: {_one_line(fault.orig)}"
        case ModuleNotFoundError() if (package := (fault.name or "").split(".")[0]) in EXTRAS:
            sentence = f"The package {package} is not installed. Run: pip install 'tocsin[{EXTRAS[package]}]'"
        case OSError():
            sentence = _of_the_system(fault)
        case _:
            sentence = (
                f"Tocsin stopped because of a mistake in its own code: {type(fault).__name__}: {fault}\n"
                "Run the command again with TOCSIN_DEBUG=1 to see where, and please report it."
            )
    return sentence, FAILED


def _one_line(fault: BaseException | None) -> str:
    """Its first line, with a full stop: clients of databases add hints in further lines."""
    return str(fault).strip().partition("\n")[0].rstrip(".") + "."


def _of_the_system(fault: OSError) -> str:
    if fault.errno == errno.EADDRINUSE:
        address = re.search(r"\('?([^']*)'?, (\d+)", str(fault))
        named = f"The address {address[1]}:{address[2]}" if address else "The address"
        return f"{named} is in use by another program. Stop it, or choose another address with --set http.listen=HOST:PORT."
    if fault.errno == errno.ENOSPC:
        return f"The disk is full{f': {fault.filename}' if fault.filename else ''}. Make room and start again."
    said = (fault.strerror or str(fault) or type(fault).__name__).rstrip(".")
    return f"{fault.filename}: {said}." if fault.filename else f"{said}."
