"""What is wrong with a configuration, in simple English: one sentence for each mistake that says what to do."""

from collections.abc import Callable, Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ingest.folding import fold_name
from services.runtime.yaml_lines import Document, Path

SectionAt = Callable[[Path], type[BaseModel] | None]


def blame_values(document: Document, fault: ValidationError, section_at: SectionAt) -> None:
    """Note what the models refuse: unknown and missing keys, wrong types, values out of range."""
    blamed = set(document.problems)
    errors = sorted(fault.errors(include_url=False, include_input=False), key=lambda error: -len(error["loc"]))
    for error in errors:
        path = error["loc"]
        if any(path[:depth] in blamed for depth in range(len(path) + 1)):
            continue  # what is known already is the cause: an unset variable, no mapping at all
        if error["type"] == "too_short" and any(deeper[: len(path)] == path for deeper in document.problems):
            continue  # it is not empty: what is in it is wrong
        where = ".".join(str(part) for part in path if part != "[key]")
        sentence = _sentence(error, document.place(path).written if path in document.places else None, section_at)
        document.blame(path, f"{where}: {sentence}" if where else sentence)


def _sentence(error: ErrorDetails, written: str | None, section_at: SectionAt) -> str:
    context, path = error.get("ctx", {}), error["loc"]
    found = f" Found: {written}" if written and len(written) <= 60 else ""
    match error["type"]:
        case "extra_forbidden":
            sentence = _unknown_key(str(path[-1]), section_at(path[:-1]))
        case "missing":
            sentence = _missing_key(str(path[-1]), section_at(path[:-1]))
        case "kind":
            close = did_you_mean(context["kind"], context["known"])
            sentence = f"There is no kind of {context['what']} `{context['kind']}`.{close} The kinds are: {', '.join(context['known'])}."
        case "choice":
            sentence = f"Write one of: {', '.join(context['known'])}.{found}"
        case "literal_error":
            sentence = f"Write one of: {context['expected'].replace(chr(39), '').replace(' or ', ', ')}.{found}"
        case "duration":
            sentence = context["sentence"] + found
        case kind if kind in _PLAIN:
            sentence = _PLAIN[kind].format(**context) + found
        case _:
            sentence = error["msg"].removeprefix("Value error, ")
    return sentence


_PLAIN = {
    "string_type": "Write one text here, not a list or a section.",
    "tuple_type": "Write a list: [first, second], or one item in each line after `- `.",
    "list_type": "Write a list: [first, second], or one item in each line after `- `.",
    "set_type": "Write a list: [first, second], or one item in each line after `- `.",
    "dict_type": "Write `name: value` lines here, indented.",
    "model_type": "Write `key: value` lines here, indented.",
    "model_attributes_type": "Write `key: value` lines here, indented.",
    "bool_parsing": "Write true or false.",
    "bool_type": "Write true or false.",
    "int_parsing": "Write a whole number.",
    "int_type": "Write a whole number.",
    "int_from_float": "Write a whole number.",
    "float_parsing": "Write a number.",
    "float_type": "Write a number.",
    "finite_number": "Write a number.",
    "greater_than": "Write a number above {gt}.",
    "greater_than_equal": "Write {ge} or more.",
    "less_than": "Write a number below {lt}.",
    "less_than_equal": "Write {le} or less.",
    "too_short": "This must not be empty. Add at least one.",
    "string_too_short": "This must not be empty. Write a text.",
    "string_too_long": "This is too long. Write at most {max_length} characters.",
}


def _unknown_key(key: str, section: type[BaseModel] | None) -> str:
    known = [field.alias or name for name, field in section.model_fields.items()] if section else []
    keys = f" The keys here are: {', '.join(known)}." if known else ""
    return f"There is no key `{key}`.{did_you_mean(key, known) or keys}"


def _missing_key(key: str, section: type[BaseModel] | None) -> str:
    fields = section.model_fields.items() if section else ()
    described = next((field.description for name, field in fields if (field.alias or name) == key), None)
    return f"`{key}` is missing. Add it{f': {described}' if described else '.'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean ...?` when one of the known words is close, otherwise nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean `{close[0]}`?" if close else ""


def blame_references(document: Document, single: Collection[str]) -> None:
    """Note what contradicts another part of the file: names that do not exist, and things that are there twice.

    `single` are the kinds of channels that have one recipient. Works on unchecked values, so that these mistakes are told together with all others.
    """
    brands = [name for _, name in _texts(document.value, "brands", "name")]
    channels = document.value.get("channels")
    for path, name in _texts(document.value, "paging", "channel"):
        if isinstance(channels, dict) and name not in channels:
            document.blame(path, f"There is no channel `{name}` in `channels`.{did_you_mean(name, channels)}")
        kind = (
            channels[name].get("kind") if isinstance(channels, dict) and isinstance(channels.get(name), dict) else None
        )
        if kind in single and "to" in document.value["paging"][path[1]]:
            document.blame((*path[:2], "to"), f"A channel of the kind {kind} has one recipient only. Remove `to`.")
    for path, name in _texts(document.value, "sources", "brands"):
        if name not in brands:
            document.blame(path, f"There is no brand `{name}` in `brands`.{did_you_mean(name, brands)}")
    _blame_shared_aliases(document)
    _blame_repeated_sources(document)


def _blame_shared_aliases(document: Document) -> None:
    names = [*_texts(document.value, "brands", "name"), *_texts(document.value, "brands", "aliases")]
    owners: dict[str, Path] = {}
    for path, alias in sorted(names, key=lambda name: name[0][1]):
        owner = owners.setdefault(fold_name(alias), path)
        if owner[1] != path[1]:
            other = document.place(owner)
            document.blame(path, f"Another brand is called `{alias}` too ({other}). Give each brand words of its own.")


def _blame_repeated_sources(document: Document) -> None:
    kinds = {path[:2]: kind for path, kind in _texts(document.value, "sources", "kind")}
    first: dict[tuple[str, str], Path] = {}
    for path, url in _texts(document.value, "sources", "url"):
        known = first.setdefault((kinds.get(path[:2], ""), url), path)
        if known != path:
            document.blame(
                path, f"This source is listed already ({document.place(known)}). Keep one, with the brands of both."
            )


def _texts(data: Any, group: str, key: str) -> Iterator[tuple[Path, str]]:
    """The texts at `group.N.key`, or in the list there, with their paths."""
    items = data.get(group)
    for number, item in enumerate(items if isinstance(items, list) else ()):
        value = item.get(key) if isinstance(item, dict) else None
        if isinstance(value, str):
            yield (group, number, key), value
        for index, text in enumerate(value if isinstance(value, list) else ()):
            if isinstance(text, str):
                yield (group, number, key, index), text
