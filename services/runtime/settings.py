"""The configuration: one YAML file, secrets from the environment, `--set` on the command line.

`load` reads it and reports every mistake at once, each with its line and one sentence that says what to do.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from alerting.channel import ChannelConfig
from alerting.channels import KINDS as CHANNEL_KINDS
from classify.language import PROMISED
from ingest.brand import Brand
from ingest.source import SourceConfig
from ingest.sources import KINDS as SOURCE_KINDS
from services.runtime.mistakes import blame_references, blame_values
from services.runtime.overrides import override
from services.runtime.sections import (
    DatabaseSettings,
    DetectorSettings,
    HttpSettings,
    LogSettings,
    ModelSettings,
    PagingStep,
    Section,
    wrong,
)
from services.runtime.yaml_lines import ConfigError, Document, Place, Problem, read_yaml

__all__ = ["ConfigError", "Settings", "load"]

MAX_BYTES = 2_000_000


def _by_kind(kinds: Mapping[str, Any], what: str) -> Callable[[Any], Any]:
    """A validator that hands a section to the configuration of its kind."""
    known = ", ".join(kinds)

    def validate(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        kind = value.get("kind")
        if kind is None:
            raise wrong(f"`kind` is missing. Say which kind of {what} it is: {known}.")
        if kind not in kinds:
            raise PydanticCustomError("kind", "unknown kind", {"kind": str(kind), "known": list(kinds), "what": what})
        return kinds[kind].Config.model_validate(value)

    return validate


def _language(code: str) -> str:
    if code not in PROMISED:
        raise PydanticCustomError("choice", "{known}", {"known": PROMISED})
    return code


Source = Annotated[SerializeAsAny[SourceConfig], BeforeValidator(_by_kind(SOURCE_KINDS, "source"))]
Channel = Annotated[SerializeAsAny[ChannelConfig], BeforeValidator(_by_kind(CHANNEL_KINDS, "channel"))]


class Settings(Section):
    """Everything that a configuration file says."""

    brands: tuple[Brand, ...] = Field(min_length=1, description="What to watch for.")
    sources: tuple[Source, ...] = Field(min_length=1, description="Where to look.")
    languages: tuple[Annotated[str, AfterValidator(_language)], ...] = Field(
        default=PROMISED,
        min_length=1,
        description="Languages to expect. A mention in another one is kept, and never judged.",
    )
    detector: DetectorSettings = Field(
        default_factory=dict, validate_default=True, description=DetectorSettings.__doc__
    )
    channels: dict[Annotated[str, Field(min_length=1, max_length=100)], Channel] = Field(
        min_length=1, description="How people are told: a name of your own for each."
    )
    paging: tuple[PagingStep, ...] = Field(
        default=(), min_length=1, description="Who is told, and when. Without it, every channel at once."
    )
    log: LogSettings = Field(default_factory=dict, validate_default=True, description=LogSettings.__doc__)
    database: DatabaseSettings = Field(
        default_factory=dict, validate_default=True, description=DatabaseSettings.__doc__
    )
    model: ModelSettings = Field(default_factory=dict, validate_default=True, description=ModelSettings.__doc__)
    http: HttpSettings = Field(default_factory=dict, validate_default=True, description=HttpSettings.__doc__)

    @model_validator(mode="before")
    @classmethod
    def _page_every_channel(cls, data: Any) -> Any:
        if isinstance(data, dict) and "paging" not in data and isinstance(data.get("channels"), Mapping):
            return {**data, "paging": [{"channel": name} for name in data["channels"]]}
        return data


def load(path: Path, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Settings:
    """Read, fill in and check a configuration.

    Args:
        path: the file; paths inside it are relative to its folder.
        overrides: `a.b=c`, as `--set` takes them.
        environment: where `${NAME}` is looked up; by default the environment of the process.

    Raises:
        ConfigError: with every mistake that was found.
    """
    environment = os.environ if environment is None else environment
    document = read_yaml(_read(path), str(path), environment)
    if not isinstance(document.value, dict):
        document.blame((), "The file must hold `key: value` lines, such as `brands:`. See `tocsin init`.")
        document.value = {}
    for option in overrides:
        override(document, option, environment)
    settings = _validated(document, path.absolute().parent)
    blame_references(document, [name for name, kind in CHANNEL_KINDS.items() if not kind.RECIPIENTS])
    if document.problems or settings is None:
        raise ConfigError(sorted(document.problems.values(), key=lambda p: (p.place.line is None, p.place.line or 0)))
    return settings


def _validated(document: Document, folder: Path) -> Settings | None:
    """The settings that the document makes, or None after blaming what is wrong."""
    try:
        return Settings.model_validate(document.value, context={"folder": folder})
    except ValidationError as fault:
        blame_values(document, fault, lambda path: section_at(document.value, path))
        return None


def section_at(data: Any, path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model of the section at `path`, to know which keys it has."""
    match path:
        case ():
            return Settings
        case ("brands", int()):
            return Brand
        case ("paging", int()):
            return PagingStep
        case ("sources" | "channels" as group, key):
            kind = data[group][key].get("kind")
            config: type[BaseModel] | None = (SOURCE_KINDS[kind] if group == "sources" else CHANNEL_KINDS[kind]).Config
            return config
        case (str() as name,) if isinstance(section := Settings.model_fields[name].annotation, type):
            return section if issubclass(section, BaseModel) else None
        case _:
            return None


def _read(path: Path) -> str:
    def refuse(sentence: str) -> ConfigError:
        return ConfigError([Problem(Place(str(path)), sentence)])

    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as fault:
        raise refuse(
            "There is no such file. Write one with `tocsin init`, or name another with --config FILE."
        ) from fault
    except OSError as fault:
        raise refuse(f"The file cannot be read: {fault.strerror}.") from fault
    if len(content) > MAX_BYTES:
        raise refuse(f"The file is larger than {MAX_BYTES // 1_000_000} MB. Is it the right one?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise ConfigError(
            [Problem(Place(str(path), line), "This is not text in UTF-8. Save the file as UTF-8.")]
        ) from fault
