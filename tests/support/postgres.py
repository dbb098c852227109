"""A private PostgreSQL for the tests: as root it runs as the user `postgres`, otherwise as whoever runs the tests.

`TOCSIN_TEST_POSTGRES` names a server to use instead, as postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MISSING = "PostgreSQL is not installed here: run `apt-get install postgresql`, or set TOCSIN_TEST_POSTGRES=URL"


def find(program: str) -> Path | None:
    """The program on the PATH, or where Debian keeps it; the newest version."""
    if found := shutil.which(program):
        return Path(found).resolve()
    return max(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), default=None, key=lambda p: int(p.parts[4]))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a server on which tests may create databases."""
    if url := os.environ.get("TOCSIN_TEST_POSTGRES"):
        yield url
        return
    initdb, control = find("initdb"), find("pg_ctl")
    if initdb is None or control is None:
        pytest.skip(MISSING)
    as_root = os.geteuid() == 0
    if as_root and not any(user.pw_name == "postgres" for user in pwd.getpwall()):
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir="/tmp"))
    user = "postgres" if as_root else None
    if as_root:
        shutil.chown(folder, "postgres")

    def run(*command: str | Path) -> None:
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    data = folder / "data"
    try:
        run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=60 -c shared_buffers=32MB"
        # The server must not inherit our pipes: `run` would wait for its end.
        run("sh", "-c", f"'{control}' -D '{data}' -w -l '{folder}/log' -o \"{options}\" start >/dev/null 2>&1")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            run(control, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
