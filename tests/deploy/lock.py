"""Write requirements.lock (to run) and requirements-dev.lock (also to test): `make lock`.

The newest versions that fit pyproject.toml, as they come together in a fresh virtual environment. Standard library
only, because it runs before anything is installed.
"""

import subprocess
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADER = "# Made by `make lock` from pyproject.toml{what}. Do not edit.\n"


def main() -> None:
    """Both locks; the second one holds what the first one does not."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", "--upgrade", "pip"], check=True)
        to_run = add(pip, f"{ROOT}[postgres]")
        run_lock = ROOT / "requirements.lock"
        run_lock.write_text(HEADER.format(what=", extra postgres") + "\n".join(to_run) + "\n")
        to_test = [pin for pin in add(pip, f"{ROOT}[postgres,dev]", "-c", str(run_lock)) if pin not in to_run]
    above = HEADER.format(what=", extra dev") + "-r requirements.lock\n"
    (ROOT / "requirements-dev.lock").write_text(above + "\n".join(to_test) + "\n")
    print(f"requirements.lock: {len(to_run)} packages; requirements-dev.lock: {len(to_test)} more")


def add(pip: Sequence[str], *what: str) -> list[str]:
    """Install it; `name==version` of everything that is there by then, Tocsin and pip excluded."""
    subprocess.run([*pip, "install", "-q", "--only-binary=:all:", *what], check=True)
    listed = subprocess.run([*pip, "freeze", "--exclude", "tocsin"], check=True, capture_output=True, text=True)
    return sorted(listed.stdout.split(), key=str.lower)


if __name__ == "__main__":
    main()
