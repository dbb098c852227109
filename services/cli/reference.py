"""`tocsin reference`: docs/configuration.md, written from the models that read the configuration."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

INTRODUCTION = """# Configuration

Tocsin reads one YAML file: `tocsin.yaml` in the current folder, or the one that `--config FILE` or `TOCSIN_CONFIG` names.
`tocsin init` writes an example with comments, `tocsin check` tries yours.

This is a whole configuration:

```yaml
{minimal}```

- **Secrets** come from the environment: `${{NAME}}` stands for a variable anywhere in a text.
- **Durations** are numbers with a unit: `90s`, `10m`, `2h`, `1d`.
- **File names** are relative to the folder of the configuration.
- **`--set KEY.KEY=VALUE`** changes one value for one run: `--set detector.sensitivity=loud`, `--set sources.0.every=10m`
  (items of lists are counted from 0). The value is YAML; an empty one means the default.
- A key without a value means the default. Unknown keys are mistakes. Every mistake is told at once, with its line.

"""

MINIMAL = """brands:
  - name: Kometa
sources:
  - kind: feed
    url: https://news.example.com/feed.xml
channels:
  team:
    kind: slack
    url: ${SLACK_WEBHOOK}
"""
"""The shortest configuration there is."""


def reference() -> None:
    """Prints the reference of the configuration in Markdown."""
    import typer

    typer.echo(reference_page(), nl=False)


def reference_page() -> str:
    """docs/configuration.md: every key of the configuration, what it means and its default."""
    from alerting.channels import KINDS as CHANNEL_KINDS
    from ingest.brand import Brand
    from ingest.sources import KINDS as SOURCE_KINDS
    from services.runtime.sections import PagingStep
    from services.runtime.settings import Settings

    fields = Settings.model_fields
    parts = [INTRODUCTION.format(minimal=MINIMAL), _section("Top level", "", Settings)]
    parts += [_section("`brands`", f"{fields['brands'].description} A list of:", Brand)]
    parts += [f"## `sources`\n\n{fields['sources'].description} A list; each kind has keys of its own.\n\n"]
    parts += [_section(f"`kind: {name}`", _terms(kind), kind.Config, "###") for name, kind in SOURCE_KINDS.items()]
    parts += [f"## `channels`\n\n{fields['channels'].description}\n\n"]
    parts += [_section(f"`kind: {name}`", "", kind.Config, "###") for name, kind in CHANNEL_KINDS.items()]
    parts += [_section("`paging`", f"{fields['paging'].description} A list of:", PagingStep)]
    for name in ("detector", "log", "database", "model", "http"):
        section = fields[name].annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            parts.append(_section(f"`{name}`", section.__doc__ or "", section))
    return "".join(parts).rstrip() + "\n"


def _terms(kind: Any) -> str:
    return f"Terms of use: {kind.TERMS}"


def _section(title: str, text: str, model: type[BaseModel], level: str = "##") -> str:
    return f"{level} {title}\n\n" + (f"{text}\n\n" if text else "") + "".join(_table(model.model_fields)) + "\n"


def _table(fields: Mapping[str, FieldInfo]) -> Iterable[str]:
    yield "| key | what it means | default |\n|---|---|---|\n"
    for name, key in fields.items():
        if name == "kind":
            continue
        yield f"| `{key.alias or name}` | {' '.join(_meaning(key))} | {_default(key)} |\n"


def _meaning(key: FieldInfo) -> Iterator[str]:
    yield (key.description or "").replace("|", "\\|")
    choices = [choice for choice in get_args(key.annotation) if isinstance(choice, str)]
    if len(choices) > 1:
        yield f"One of {', '.join(f'`{choice}`' for choice in choices)}."


def _default(key: FieldInfo) -> str:
    from ingest.duration import format_duration

    default = key.get_default(call_default_factory=True)
    if key.is_required():
        return "needed"
    if default is None or default is PydanticUndefined or default in ((), {}, ""):
        return "-"
    if isinstance(default, tuple):
        return f"all {len(default)}" if len(default) > 8 else ", ".join(f"`{item}`" for item in default)
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and any(getattr(data, "func", None) is not None for data in key.metadata):
        return f"`{format_duration(default)}`"
    return f"`{default}`"
