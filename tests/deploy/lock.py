"""Write requirements.lock (to run) and requirements-dev.lock (also to test): `make lock`.

The newest versions that fit pyproject.toml, as they come together in a fresh virtual environment. Standard library
only, because it runs before anything is installed.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADER = "# Made by `make lock` from pyproject.toml{what}. Do not edit.\n"


def freeze(*extras: str) -> list[str]:
    """`name==version` of everything that Tocsin needs with these extras, itself excluded."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-q", "--upgrade", "pip"], check=True)
        subprocess.run([*pip, "install", "-q", "--only-binary=:all:", f"{ROOT}[{','.join(extras)}]"], check=True)
        listed = subprocess.run([*pip, "freeze", "--exclude", "tocsin"], check=True, capture_output=True, text=True)
    return sorted(listed.stdout.split(), key=str.lower)


def main() -> None:
    """Both locks; the second one holds what the first one does not."""
    to_test = freeze("postgres", "dev")
    to_run = [pin for pin in freeze("postgres") if pin in to_test]
    (ROOT / "requirements.lock").write_text(HEADER.format(what=", extra postgres") + "\n".join(to_run) + "\n")
    rest = [pin for pin in to_test if pin not in to_run]
    above = HEADER.format(what=", extra dev") + "-r requirements.lock\n"
    (ROOT / "requirements-dev.lock").write_text(above + "\n".join(rest) + "\n")
    print(f"requirements.lock: {len(to_run)} packages; requirements-dev.lock: {len(rest)} more")


if __name__ == "__main__":
    sys.exit(main())
