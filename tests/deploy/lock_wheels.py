"""Do the locks resolve to wheels on every Python and platform that is promised? `make wheels` (needs the network).

For each of them pip is asked which wheels it would install, and nothing but wheels; then the requirements of each wheel
are checked with the markers of that platform, because pip would take those of the machine that asks.
"""

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
GLIBC = (5, 12, 17, 24, 26, 27, 28, 31, 34, 35)
"""Minor versions of glibc 2; Debian 12 has 2.36 and Ubuntu 22.04 has 2.35."""
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
MAC = {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"}
PLATFORMS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "Linux x86-64": (tuple(f"manylinux_2_{n}_x86_64" for n in GLIBC), LINUX | {"platform_machine": "x86_64"}),
    "Linux arm64": (tuple(f"manylinux_2_{n}_aarch64" for n in GLIBC), LINUX | {"platform_machine": "aarch64"}),
    "macOS arm64": (("macosx_14_0_arm64",), MAC | {"platform_machine": "arm64"}),
}


def wheels(lock: str, python: str, tags: tuple[str, ...]) -> list[dict[str, Any]]:
    """What pip would install, as its report says it. Raises CalledProcessError with pip's words."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "-q",
            "--dry-run",
            "--no-deps",
        ]
        command += ["--ignore-installed", "--only-binary=:all:", "--target", folder, "--report", str(report)]
        command += ["--python-version", python, *(part for tag in tags for part in ("--platform", tag))]
        subprocess.run([*command, "-r", str(ROOT / lock)], check=True, capture_output=True, text=True)
        found: list[dict[str, Any]] = json.loads(report.read_text())["install"]
        return found


def unmet(found: list[dict[str, Any]], environment: dict[str, str]) -> list[str]:
    """Requirements of these wheels that none of them meets."""
    versions = {canonicalize_name(one["metadata"]["name"]): one["metadata"]["version"] for one in found}
    faults = []
    for one in found:
        for line in one["metadata"].get("requires_dist", []):
            needed = Requirement(line)
            if needed.marker and not needed.marker.evaluate(environment | {"extra": ""}):
                continue
            version = versions.get(canonicalize_name(needed.name))
            if version is None or not needed.specifier.contains(version, prereleases=True):
                faults.append(f"{one['metadata']['name']} needs {line}; the lock has {version}")
    return faults


def check(lock: str, python: str, name: str) -> list[str]:
    """What is wrong with one lock on one Python and platform."""
    tags, markers = PLATFORMS[name]
    environment = markers | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    try:
        return unmet(wheels(lock, python, tags), environment)
    except subprocess.CalledProcessError as fault:
        return [line for line in fault.stderr.splitlines() if line.startswith("ERROR")] or [fault.stderr[-500:]]


def main() -> int:
    """One line for each combination; 1 when something is missing."""
    print(f"asked from {platform.system()} {platform.machine()}, Python {platform.python_version()}")
    bad = 0
    for lock in LOCKS:
        for python in PYTHONS:
            for name in PLATFORMS:
                faults = check(lock, python, name)
                bad += bool(faults)
                print(
                    f"{lock:21} {python:5} {name:13}", "ok" if not faults else "\n  " + "\n  ".join(faults), flush=True
                )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
