"""The locks pin everything that pyproject.toml asks for, exactly."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins(lock: str) -> dict[str, str]:
    """Name -> version; anything but `name==version` fails."""
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    required = [Requirement(line) for line in lines if line and not line.startswith(("#", "-r "))]
    for one in required:
        (pin,) = one.specifier
        assert pin.operator == "=="
        assert not one.marker
    return {canonicalize_name(one.name): next(iter(one.specifier)).version for one in required}


RUN = pins("requirements.lock")
TEST = RUN | pins("requirements-dev.lock")


@pytest.mark.parametrize(
    ("asked", "lock"),
    [(one, RUN) for one in (*PROJECT["dependencies"], *EXTRAS["postgres"])] + [(one, TEST) for one in EXTRAS["dev"]],
)
def test_what_is_asked_for_is_pinned_within_its_range(asked: str, lock: dict[str, str]):
    requirement = Requirement(asked)
    assert requirement.specifier.contains(lock[canonicalize_name(requirement.name)])


def test_the_test_lock_only_adds():
    assert "-r requirements.lock" in (ROOT / "requirements-dev.lock").read_text(encoding="utf-8").splitlines()
    assert not RUN.keys() & pins("requirements-dev.lock").keys()


def test_neither_torch_nor_tocsin_is_locked():
    assert not {"torch", "transformers", "tocsin"} & TEST.keys()
