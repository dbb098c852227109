import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from classify.language import PROMISED
from ingest.duration import format_duration, parse_duration
from services.cli.init import EXAMPLE
from services.cli.reference import MINIMAL, reference_page
from services.runtime.settings import SOURCE_KINDS, ConfigError, Settings, load
from services.runtime.yaml_lines import read_yaml
from tests.support.command import ROOT, SECRETS


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    file = tmp_path / "tocsin.yaml"
    file.write_text(MINIMAL, encoding="utf-8")
    return file


def read(file: Path, text: str, overrides: Sequence[str] = ()) -> Settings:
    file.write_text(text, encoding="utf-8")
    return load(file, overrides, SECRETS)


def mistakes(file: Path, text: str, overrides: Sequence[str] = ()) -> list[str]:
    """Every mistake, with the file cut down to its name."""
    with pytest.raises(ConfigError) as caught:
        read(file, text, overrides)
    return [str(problem).replace(str(file), "tocsin.yaml") for problem in caught.value.problems]


def only_mistake(file: Path, text: str, overrides: Sequence[str] = ()) -> str:
    (mistake,) = mistakes(file, text, overrides)
    return mistake


def test_a_minimal_configuration_has_ten_lines_and_everything_else_has_a_default(configuration: Path) -> None:
    lines = configuration.read_text().splitlines()
    settings = load(configuration, (), SECRETS)
    assert len(lines) <= 10
    assert [brand.name for brand in settings.brands] == ["Kometa"]
    assert settings.sources[0].kind == "feed"
    assert settings.languages == PROMISED and len(PROMISED) == 32
    assert (settings.detector.pages_per_month, settings.detector.sensitivity) == (0.5, "normal")
    assert settings.model.name == "bundled"
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert (settings.log.width, settings.log.retention) == (1, 7 * 86_400)


def test_without_paging_every_channel_is_paged_at_once_in_the_order_given(configuration: Path) -> None:
    more = configuration.read_text() + "  other:\n" + "".join(configuration.read_text().splitlines(keepends=True)[-2:])
    settings = read(configuration, more)
    assert [(step.channel, step.to, step.after) for step in settings.paging] == [("team", None, 0), ("other", None, 0)]


def test_file_names_are_relative_to_the_folder_of_the_configuration(configuration: Path) -> None:
    settings = load(configuration, ["log.ca=certificates/ca.pem", "model.name=./model"], SECRETS)
    folder = configuration.parent
    assert settings.log.embedded == folder / "tocsin-log.db"
    assert settings.database.url == f"sqlite:///{folder}/tocsin.db"
    assert settings.log.ca == folder / "certificates" / "ca.pem"
    assert settings.model.name == str(folder / "model")


@pytest.mark.parametrize(
    ("option", "read"),
    [
        ("sources.0.every=5m", lambda settings: settings.sources[0].every == 300),
        ("detector.sensitivity=loud", lambda settings: settings.detector.sensitivity == "loud"),
        ("languages=[pl, no]", lambda settings: settings.languages == ("pl", "no")),
        ("brands.1.name=1984", lambda settings: settings.brands[1].name == "1984"),
        ("paging=[{channel: team, after: 10m}]", lambda settings: settings.paging[0].after == 600),
        ("sources.0.private=true", lambda settings: settings.sources[0].private is True),
        ("log.url=kafka://a:9092,[::1]:9092", lambda settings: settings.log.bootstrap == "a:9092,[::1]:9092"),
        ("log.url=embedded:/x/log.db", lambda settings: settings.log.embedded == Path("/x/log.db")),
        ("database.url=sqlite:////x/t.db", lambda settings: settings.database.url == "sqlite:////x/t.db"),
        ("http.listen='[::]:0'", lambda settings: (settings.http.host, settings.http.port) == ("::", 0)),
        ("http.contact=press@acme.example", lambda settings: settings.http.contact == "mailto:press@acme.example"),
        ("detector.sensitivity=", lambda settings: settings.detector.sensitivity == "normal"),
        ("log.password=${SLACK_WEBHOOK}", lambda settings: settings.log.password == SECRETS["SLACK_WEBHOOK"]),
    ],
)
def test_set_changes_one_value(configuration: Path, option: str, read) -> None:
    assert read(load(configuration, [option], SECRETS))


def test_the_last_set_of_a_key_wins_and_mends_what_the_file_says(configuration: Path) -> None:
    text = configuration.read_text() + "detector: {sensitivity: '${UNSET}'}\n"
    settings = read(configuration, text, ["detector.sensitivity=loud", "detector.sensitivity=quiet"])
    assert settings.detector.sensitivity == "quiet"


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("detector.sensitivty=loud", "--set detector.sensitivty: detector.sensitivty: There is no key `sensitivty`. Did you mean `sensitivity`?"),
        ("sources.5.every=5m", "--set sources.5.every: `sources` is a list. Write the number of an item, 0 to 1, instead of `5`."),
        ("sources.first.every=5m", "--set sources.first.every: `sources` is a list. Write the number of an item, 0 to 1, instead of `first`."),
        ("sources.0.kind.x=5m", "--set sources.0.kind.x: `sources.0.kind` holds one value and has no `x` inside. Check the path before the `=`."),
        ("sources", "--set sources: Write it as --set KEY.KEY=VALUE, for example --set sources.0.every=10m."),
        ("sources.0.every=often", "--set sources.0.every: sources.0.every: Write a number and a unit: s, m, h or d. Examples: 90s, 10m, 2h, 1d. Found: often"),
        ("paging=[{channel: team, to: me}]", "--set paging: A channel of the kind slack has one recipient only. Remove `to`."),
        ("log.password=${UNSET}", "--set log.password: The environment variable UNSET is not set. Set it before you start Tocsin."),
    ],
)  # fmt: skip
def test_a_mistake_in_set_names_the_option(configuration: Path, option: str, says: str) -> None:
    assert only_mistake(configuration, configuration.read_text(), [option]) == says


def test_broken_yaml_in_set_names_the_option(configuration: Path) -> None:
    said = only_mistake(configuration, configuration.read_text(), ["languages=[pl, "])
    assert said.startswith("--set languages: This is not valid YAML")


WRONG = """brands:
  - name: Kometa
    aliases: [комета, Kometa Sp]
  - name: "Kometa  SP"
    alias: x
  - name: ""
sources:
  - kind: feed
    url: https://example.com/${TOKEN}
    every: 10 minutes
    brands: [Komet]
  - kind: fead
    url: https://example.com/a
  - url: https://example.com/b
  - just a text
  - {kind: feed, url: https://example.com/c}
  - {kind: feed, url: https://example.com/c}
languages: [pl, no, xx]
detector:
  sensitivity: lound
  pages_per_month: often
  pages_per_month: 3
channels:
  team: {kind: slack}
paging:
  - {channel: tema}
  - {channel: team, after: 5}
database: {url: postgres://x}
log: {url: "kafka://a", partitions: 0}
http: {contact: me, listen: 80}
modle: {name: bundled}
"""


def test_every_mistake_is_told_at_once_each_with_its_line_and_what_to_do(configuration: Path) -> None:
    kinds = ", ".join(SOURCE_KINDS)
    told = mistakes(configuration, WRONG)
    expected = [
        f"4: Another brand is called `Kometa  SP` too ({configuration}:3). Give each brand words of its own.",
        "5: brands.1.alias: There is no key `alias`. Did you mean `aliases`?",
        "6: brands.2.name: This must not be empty. Write a text.",
        "9: The environment variable TOKEN is not set. Set it before you start Tocsin.",
        "10: sources.0.every: Write a number and a unit: s, m, h or d. Examples: 90s, 10m, 2h, 1d. Found: 10 minutes",
        "11: There is no brand `Komet` in `brands`. Did you mean `Kometa`?",
        f"12: sources.1: There is no kind of source `fead`. Did you mean `feed`? The kinds are: {kinds}.",
        f"14: sources.2: `kind` is missing. Say which kind of source it is: {kinds}.",
        "15: sources.3: Write `key: value` lines here, indented. Found: just a text",
        f"17: This source is listed already ({configuration}:16). Keep one, with the brands of both.",
        f"18: languages.2: Write one of: {', '.join(PROMISED)}. Found: xx",
        "20: detector.sensitivity: Write one of: quiet, normal, loud. Found: lound",
        "21: detector.pages_per_month: Write a number. Found: often",
        "22: `pages_per_month` is written twice (first in line 21). Keep one of them.",
        "24: channels.team.url: `url` is missing. Add it: Address of the incoming webhook",
        "26: There is no channel `tema` in `channels`. Did you mean `team`?",
        "27: paging.1.after: Write a number and a unit: s, m, h or d. Examples: 90s, 10m, 2h, 1d. Found: 5",
        "28: database.url: Write sqlite:///FILE, or postgresql+psycopg://USER:PASSWORD@HOST/NAME for PostgreSQL.",
        "29: log.partitions: Write 1 or more. Found: 0",
        "29: log.url: Write embedded:FILE for a log on this machine, or kafka://HOST:PORT[,HOST:PORT] for Apache Kafka.",
        "30: http.contact: Write an e-mail address or a web address that the owner of a source can use to reach you.",
        "30: http.listen: Write HOST:PORT, for example 127.0.0.1:8080, or 0.0.0.0:8080 for every network of this machine.",
        "31: modle: There is no key `modle`. Did you mean `model`?",
    ]
    found = [mistake.removeprefix("tocsin.yaml:").replace("tocsin.yaml", str(configuration)) for mistake in told]
    assert len(found) == len(expected)
    for said, wanted in zip(sorted(found), sorted(expected), strict=True):
        assert said.startswith(wanted)
    assert [int(said.split(":")[0]) for said in found] == sorted(int(said.split(":")[0]) for said in found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("brands: [a\nsources: x\n", "tocsin.yaml:2: This is not valid YAML"),
        ("brands:\n\t- name: x\n", "tocsin.yaml:2: There is a tab character. Use spaces instead."),
        ("brands: a: b\n", "tocsin.yaml:1: There is a second `:` in this line"),
        ("channels: {a: {kind: slack, url: ${URL}}}\n", "tocsin.yaml:1: Inside { } put a variable in quotes"),
        ("- brands\n", "tocsin.yaml:1: The file must hold `key: value` lines"),
        ("brands: &a [*a]\n", "tocsin.yaml:1: The values are nested too deeply."),
        ("[" * 600, "tocsin.yaml:1: The values are nested too deeply."),
        ("a: \x00\n", "tocsin.yaml:1: This is not text in YAML"),
    ],
)
def test_what_is_no_configuration_at_all_gives_one_sentence(configuration: Path, text: str, says: str) -> None:
    assert only_mistake(configuration, text).startswith(says)


def test_an_alias_bomb_ends_soon(configuration: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "nested too deeply" in only_mistake(configuration, bomb)


def test_a_file_that_is_missing_unreadable_or_not_text_gives_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tocsin\.yaml: There is no such file\. Write one with `tocsin init`"):
        load(tmp_path / "tocsin.yaml", (), {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, (), {})
    (tmp_path / "latin.yaml").write_bytes("brands:\n  - name: Żuk\n".encode("iso-8859-2"))
    with pytest.raises(ConfigError, match=r"latin\.yaml:2: This is not text in UTF-8"):
        load(tmp_path / "latin.yaml", (), {})


def test_an_empty_file_misses_what_it_needs(configuration: Path) -> None:
    told = mistakes(configuration, "# nothing yet\nbrands:\n")
    assert [said.split(": ")[1] for said in told] == ["sources", "channels", "brands"]
    assert told[2].startswith("tocsin.yaml:2: brands: `brands` is missing. Add it: What to watch for.")


def test_an_empty_variable_counts_as_not_set(configuration: Path) -> None:
    with pytest.raises(ConfigError, match=r":9: The environment variable SLACK_WEBHOOK is not set"):
        load(configuration, (), {"SLACK_WEBHOOK": ""})


def test_no_secret_is_shown_in_a_mistake_or_in_the_settings(configuration: Path) -> None:
    text = (
        configuration.read_text() + "detector: {sensitivity: '${SLACK_WEBHOOK}'}\nlog: {password: '${SLACK_WEBHOOK}'}\n"
    )
    assert "hush" not in only_mistake(configuration, text)
    assert "hush" not in repr(read(configuration, text, ["detector.sensitivity="]).log)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        read_yaml(text, "tocsin.yaml", {})
    except ConfigError as fault:
        assert str(fault).startswith("tocsin.yaml:") and str(fault).endswith(".")


@settings(deadline=None)
@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_values_come_back_as_they_were_written(value: object) -> None:
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    document = read_yaml(text, "tocsin.yaml", {})
    if not document.problems and "${" not in text:
        assert document.value == value


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=10**7))
def test_durations_go_out_and_in_again(seconds: int) -> None:
    written = format_duration(seconds)
    assert parse_duration(written) == pytest.approx(seconds, rel=0.05)
    assert len(re.findall(r"[dhms]", written)) <= 2


@pytest.mark.parametrize("wrong", ["", "5", "-5m", "5 minutes", "m", "5m x", "٥m٥", "1e9s", "9" * 50 + "s"])
def test_what_is_no_duration_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="Examples: 90s, 10m, 2h, 1d"):
        parse_duration(wrong)


def test_the_example_lacks_nothing_but_its_secrets(tmp_path: Path) -> None:
    file, text = tmp_path / "tocsin.yaml", EXAMPLE.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, (), {})
    asked = [re.search(r"environment variable (\w+) is not set", problem.sentence) for problem in caught.value.problems]
    assert all(asked)
    load(file, (), {match[1]: SECRETS["SLACK_WEBHOOK"] for match in asked if match})


def test_the_commented_keys_of_the_example_are_right_too(tmp_path: Path) -> None:
    """Every line `# key: value` of the example can be switched on."""
    text = re.sub(r"(?m)^( *)# (?=(?: *- | *)[{]?[a-z_-]+:(?: |$))", r"\1", EXAMPLE.read_text(encoding="utf-8"))
    file = tmp_path / "tocsin.yaml"
    file.write_text(text, encoding="utf-8")
    load(file, (), dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), SECRETS["SLACK_WEBHOOK"]))


def test_the_reference_page_is_what_the_models_say() -> None:
    assert Path(ROOT, "docs", "configuration.md").read_text(encoding="utf-8") == reference_page(), (
        "run: tocsin reference > docs/configuration.md"
    )


def test_every_key_has_a_description() -> None:
    undescribed = re.findall(r"(?m)^\| `\w+` \|  ?\|", reference_page())
    assert not undescribed
