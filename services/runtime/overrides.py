"""`--set a.b=c`: one value of the configuration, given on the command line."""

from collections.abc import Mapping
from typing import Any

from services.runtime.yaml_lines import ConfigError, Document, Path, Place, read_yaml


def override(document: Document, option: str, environment: Mapping[str, str]) -> None:
    """Put the value of `a.b=c` into the document; `c` is YAML, list items are counted from 0, nothing means default.

    Mistakes, now or when the value is checked later, name the option.
    """
    dotted, equals, written = option.partition("=")
    place = Place(f"--set {dotted}", written=written)
    path: Path = tuple(int(part) if part.isdecimal() else part for part in dotted.strip().split("."))
    if not equals or "" in path:
        document.blame(
            ("--set", option), "Write it as --set KEY.KEY=VALUE, for example --set sources.0.every=10m.", place
        )
        return
    try:
        given = read_yaml(written, place.name, environment)
        _put(document.value, path, given.value if written.strip() else None)
    except (ConfigError, LookupError) as fault:
        sentence = fault.problems[0].sentence if isinstance(fault, ConfigError) else str(fault)
        document.blame(("--set", option), sentence, place)
        return
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
        document.problems.pop(known, None)
    document.places[path] = place
    for problem in given.problems.values():
        document.blame(path, problem.sentence)


def _put(tree: Any, path: Path, value: Any) -> None:
    for depth, part in enumerate(path[:-1]):
        following: Any = [] if path[depth + 1] == 0 else {}
        tree = _child(tree, path[: depth + 1], part, following)
    last = path[-1]
    if isinstance(tree, dict) and value is None:
        tree.pop(str(last), None)
    elif isinstance(tree, dict):
        tree[str(last)] = value
    else:
        _child(tree, path, last, value)
        tree[last] = value


def _child(tree: Any, path: Path, part: str | int, otherwise: Any) -> Any:
    """The child `part` of the tree; `otherwise` is put there where it is missing.

    Raises:
        LookupError: there can be no such child; the message is the sentence for the user.
    """
    above = ".".join(map(str, path[:-1]))
    match tree:
        case dict():
            return tree.setdefault(str(part), otherwise)
        case list() if isinstance(part, int) and part <= len(tree):
            if part == len(tree):
                tree.append(otherwise)
            return tree[part]
        case list():
            raise LookupError(
                f"`{above}` is a list. Write the number of an item, 0 to {len(tree)}, instead of `{part}`."
            )
        case _:
            raise LookupError(f"`{above}` holds one value and has no `{part}` inside. Check the path before the `=`.")
