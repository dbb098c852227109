"""A YAML file as plain values that remember where they were written.

Every scalar stays the text that it is: what is a number or a yes is decided by the key it belongs to, so that `no` is
Norwegian in a list of languages and `1984` can be a brand. A key without a value counts as not written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a value stands in the tree: keys and list indices."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NULL = ("", "~", "null")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a line of a file, or a command-line option."""

    name: str
    line: int | None = None
    written: str | None = None
    """The scalar as it stands there, before variables are filled in."""

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where, and what to do about it."""

    place: Place
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


class ConfigError(Exception):
    """The configuration cannot be used. `problems` are all its mistakes; the text has one in each line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass
class Document:
    """Plain values (mappings, lists, texts, None), where each was written, and the mistakes found so far."""

    value: Any
    places: dict[Path, Place]
    problems: dict[Path, Problem] = field(default_factory=dict)
    """At most one for each path: the first one is the cause of the others."""

    def place(self, path: Path) -> Place:
        """Where `path` was written, or what it would stand in."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def blame(self, path: Path, sentence: str, place: Place | None = None) -> None:
        """Note a mistake."""
        self.problems.setdefault(path, Problem(place or self.place(path), sentence))


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the base class declares it so


def read_yaml(text: str, name: str, environment: Mapping[str, str]) -> Document:
    """Read one document. `name` is how places call the text; `${NAME}` in any scalar is filled in from `environment`.

    Raises:
        ConfigError: the text is not YAML. All other mistakes are noted in the document.
    """
    document = Document({}, {(): Place(name, 1)})
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is not None:
            document.value = _Builder(document, name, environment).build(node, ())
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise ConfigError([Problem(Place(name, mark.line + 1 if mark else 1), _syntax(fault))]) from fault
    except yaml.YAMLError as fault:
        raise ConfigError(
            [Problem(Place(name, 1), f"This is not text in YAML: {str(fault).splitlines()[0]}.")]
        ) from fault
    except RecursionError as fault:
        sentence = "The values are nested too deeply. Use fewer levels, and no anchor inside itself."
        raise ConfigError([Problem(Place(name, 1), sentence)]) from fault
    return document


@dataclass
class _Builder:
    document: Document
    name: str
    environment: Mapping[str, str]
    left: int = 100_000
    """Values that may still be read: aliases of aliases would otherwise fill the memory."""

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.left -= 1
        if self.left < 0:
            raise RecursionError
        place = Place(self.name, node.start_mark.line + 1, node.value if isinstance(node, yaml.ScalarNode) else None)
        self.document.places.setdefault(path, place)
        if node.tag.startswith("!"):
            self.document.blame(path, f"Tags such as `{node.tag}` are not understood here. Write the value itself.")
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
            case yaml.ScalarNode() if node.style is None and node.value in _NULL:
                return None
            case _:
                return self._fill_in(str(node.value), path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            here = (*path, key)
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.blame(path, "A key must be a plain word.", Place(self.name, line))
            elif here in self.document.places:
                first = self.document.places[here]
                sentence = f"`{key}` is written twice (first in line {first.line}). Keep one of them."
                self.document.blame((*here, "twice"), sentence, Place(self.name, line))
            else:
                written = value_node.value if isinstance(value_node, yaml.ScalarNode) else None
                self.document.places[here] = Place(self.name, line, written)
                value = self.build(value_node, here)
                if value is not None:
                    values[key] = value
        return values

    def _fill_in(self, text: str, path: Path) -> str:
        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            if not _NAME.fullmatch(name):
                self.document.blame(
                    path, f"`${{{name}}}` is not the name of a variable. Write it like ${{SLACK_WEBHOOK}}."
                )
            elif not self.environment.get(name):
                self.document.blame(
                    path, f"The environment variable {name} is not set. Set it before you start Tocsin."
                )
            return self.environment.get(name, "")

        return _VARIABLE.sub(value, text)


def _syntax(fault: yaml.MarkedYAMLError) -> str:
    said = str(fault.problem or fault.context)
    if "\\t" in said:
        return "There is a tab character. Use spaces instead."
    if "mapping values are not allowed" in said:
        return (
            "There is a second `:` in this line, or the line is indented too far. Put text that holds `: ` in quotes."
        )
    if "got '{'" in said:
        return "Inside { } put a variable in quotes: '${NAME}'. Or write one key in each line."
    return f"This is not valid YAML ({said}). Look at the indentation, quotes and brackets of this line and the one before."
