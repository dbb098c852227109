"""The parts of the configuration that belong to no stage: log, database, model, http, paging, detector."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from ingest.duration import Duration

_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]*):(?P<port>\d{1,5})")
_BROKER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,/@\[\]]+):\d{1,5}")


def wrong(sentence: str) -> PydanticCustomError:
    """A mistake that the user reads as this sentence."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


def _absolute(path: str, info: ValidationInfo) -> Path:
    """A path as the configuration file means it: relative to its folder."""
    folder = (info.context or {}).get("folder", Path.cwd())
    return Path(folder, Path(path).expanduser())


def _log_url(url: str, info: ValidationInfo) -> str:
    scheme, _, rest = url.partition(":")
    if scheme == "embedded" and rest:
        return f"embedded:{_absolute(rest, info)}"
    if scheme == "kafka" and rest.startswith("//") and all(map(_BROKER.fullmatch, rest[2:].rstrip("/").split(","))):
        return url.rstrip("/")
    raise wrong("Write embedded:FILE for a log on this machine, or kafka://HOST:PORT[,HOST:PORT] for Apache Kafka.")


def _database_url(url: str, info: ValidationInfo) -> str:
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return f"sqlite:///{_absolute(url.removeprefix('sqlite:///'), info)}"
    if url.startswith("postgresql+psycopg://"):
        return url
    raise wrong("Write sqlite:///FILE, or postgresql+psycopg://USER:PASSWORD@HOST/NAME for PostgreSQL.")


def _model_name(name: str, info: ValidationInfo) -> str:
    return str(_absolute(name, info)) if name.startswith(("./", "../", "~/")) else name


def _contact(contact: str) -> str:
    if "@" in contact and ":" not in contact:
        contact = f"mailto:{contact}"
    if not re.fullmatch(r"(mailto:|https?://)[!-~]+", contact):
        raise wrong("Write an e-mail address or a web address that the owner of a source can use to reach you.")
    return contact


def _listen(address: str) -> str:
    found = _LISTEN.fullmatch(address)
    if not found or int(found["port"]) > 65_535:
        raise wrong("Write HOST:PORT, for example 127.0.0.1:8080, or 0.0.0.0:8080 for every network of this machine.")
    return address


def _upper(word: object) -> object:
    return word.upper() if isinstance(word, str) else word


File = Annotated[Path, BeforeValidator(lambda path, info: _absolute(path, info) if isinstance(path, str) else path)]


class Section(BaseModel):
    """A part of the configuration: no unknown keys, never changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_strip_whitespace=True)


class DetectorSettings(Section):
    """When something is a crisis."""

    pages_per_month: float = Field(
        default=0.5, gt=0, le=1000, description="How many false pages per brand and month are bearable."
    )
    sensitivity: Literal["quiet", "normal", "loud"] = Field(
        default="normal", description="`loud` pages earlier and more often, `quiet` later and less often."
    )


class PagingStep(Section):
    """Who is told, and when. The next step follows as long as nobody acknowledges."""

    channel: str = Field(description="A name from `channels`.")
    to: str | None = Field(
        default=None,
        description="Whom to tell there, where the channel has several recipients, e.g. an e-mail address.",
    )
    after: Duration = Field(default=0.0, description="How long after the first page.")


class LogSettings(Section):
    """Where mentions wait between the stages."""

    url: Annotated[str, AfterValidator(_log_url)] = Field(
        default="embedded:tocsin-log.db",
        validate_default=True,
        description="`embedded:FILE` on one machine, or `kafka://HOST:PORT[,HOST:PORT]`.",
    )
    partitions: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="How many partitions new topics get: at most so many classifiers or alerters share the work. It cannot be changed later. By default 6 on Kafka, and 1 in the embedded log, which one process reads.",
    )
    retention: Duration = Field(
        default=604_800.0, ge=3600, description="How long records are kept in the log. Mentions stay in the database."
    )
    security: Annotated[Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_upper)] = Field(
        default="PLAINTEXT", description="How to connect to Kafka, in its own words."
    )
    mechanism: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(_upper)] = Field(
        default="SCRAM-SHA-512", description="How to log in, where `security` begins with SASL."
    )
    ca: File | None = Field(
        default=None, description="File with the certificate authority of the brokers; without it, those of the system."
    )
    username: str | None = Field(default=None, description="User, where `security` begins with SASL.")
    password: str | None = Field(default=None, repr=False, description="Password, where `security` begins with SASL.")

    @model_validator(mode="after")
    def _login(self) -> Self:
        if self.security.startswith("SASL") and not (self.username and self.password):
            raise wrong(f"`security: {self.security}` needs `username` and `password`. Add them.")
        return self

    @property
    def width(self) -> int:
        """How many partitions new topics get."""
        return self.partitions or (1 if self.embedded else 6)

    @property
    def embedded(self) -> Path | None:
        """File of the embedded log, or None for Kafka."""
        return Path(self.url.removeprefix("embedded:")) if self.url.startswith("embedded:") else None

    @property
    def bootstrap(self) -> str:
        """Kafka's brokers, `host:port,host:port`; empty for the embedded log."""
        return "" if self.embedded else self.url.removeprefix("kafka://")


class DatabaseSettings(Section):
    """Where mentions, incidents and pages are kept."""

    url: Annotated[str, AfterValidator(_database_url)] = Field(
        default="sqlite:///tocsin.db",
        validate_default=True,
        repr=False,
        description="`sqlite:///FILE`, or `postgresql+psycopg://USER:PASSWORD@HOST/NAME`. Special characters of a password are written percent-encoded.",
    )


class ModelSettings(Section):
    """What judges the mentions."""

    name: Annotated[str, AfterValidator(_model_name)] = Field(
        default="bundled",
        min_length=1,
        description="`bundled`, or with the extra `transformer` a model of Hugging Face or a folder (`./folder`).",
    )


class HttpSettings(Section):
    """How Tocsin asks others, and where it answers."""

    contact: Annotated[str, AfterValidator(_contact)] = Field(
        default="",
        description="E-mail or web address that sources see in the User-Agent, so that they can reach you before they block you.",
    )
    listen: Annotated[str, AfterValidator(_listen)] = Field(
        default="127.0.0.1:8080", description="Where `/livez`, `/readyz` and `/metrics` answer."
    )

    @property
    def host(self) -> str:
        """Host part of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Port of `listen`; 0 lets the system choose."""
        return int(self.listen.rpartition(":")[2])
