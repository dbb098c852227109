import errno
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from services.cli import COMMANDS, HIDDEN, app, load_command
from services.cli.failures import explain
from services.cli.reference import MINIMAL
from services.runtime.broker import Busy, LogUnavailable
from services.runtime.database import DatabaseUnavailable, WrongRevision
from services.runtime.yaml_lines import ConfigError, Place, Problem
from tests.support.command import ROOT, SECRETS, tocsin, tocsin_process

ALL = [name for group in COMMANDS.values() for name in group]
HEAVY = {"numpy", "pydantic", "sqlalchemy", "httpx", "yaml", "onnxruntime", "feedparser", "asyncio"}


def test_the_help_names_every_command_in_its_group() -> None:
    answer = tocsin_process("--help")
    assert answer.returncode == 0
    places = [answer.stdout.index(f" {group} ") for group in COMMANDS]
    assert places == sorted(places)
    for name in ALL:
        assert f"│ {name} " in answer.stdout
    for name in HIDDEN:
        assert f"│ {name} " not in answer.stdout
    assert "First steps: tocsin init" in answer.stdout


def test_the_help_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['tocsin', '--help']\nfrom services.cli import main\ntry: main()\nfinally: print(*sorted(sys.modules), file=sys.stderr)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "COMMAND" in answer.stdout
    assert not HEAVY & set(answer.stderr.split())


@pytest.mark.parametrize("name", [*ALL, *HIDDEN])
def test_every_command_can_be_loaded_and_explains_itself(name: str) -> None:
    command = load_command(name)
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", "") or not parameter.opts[0].startswith("-"), f"{parameter.opts} has no help"
    answer = CliRunner().invoke(app, [name, "--help"])
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("name", ["check", "run", "collector", "classifier", "alerter", "pager", "migrate"])
def test_commands_that_read_the_configuration_share_its_options(name: str) -> None:
    options = {option for parameter in load_command(name).params for option in parameter.opts}
    assert {"--config", "-c", "--set"} <= options


def test_version_and_shell_completion() -> None:
    assert tocsin_process("--version").stdout.startswith("tocsin 0.")
    completed = tocsin_process(
        environment={"_TOCSIN_COMPLETE": "complete_bash", "COMP_WORDS": "tocsin cl", "COMP_CWORD": "1"}
    )
    assert completed.stdout.split() == ["classifier", "classify"]
    options = tocsin_process(
        environment={"_TOCSIN_COMPLETE": "complete_bash", "COMP_WORDS": "tocsin migrate --se", "COMP_CWORD": "2"}
    )
    assert options.stdout.split() == ["--set"]


def test_a_mistyped_command_is_answered_with_the_right_one() -> None:
    answer = tocsin_process("chek")
    assert answer.returncode == 2
    assert "Did you mean 'check'?" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_wrong_configuration_is_said_in_lines_that_an_editor_can_jump_to(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(MINIMAL + "detector: {sensitivity: lowd}\n")
    answer = tocsin("migrate", folder=tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.splitlines() == [
        "tocsin.yaml:9: The environment variable SLACK_WEBHOOK is not set. Set it before you start Tocsin.",
        "tocsin.yaml:10: detector.sensitivity: Write one of: quiet, normal, loud. Found: lowd",
        "2 mistakes in the configuration. Nothing was started.",
    ]


def test_tocsin_debug_shows_where_it_comes_from(tmp_path: Path) -> None:
    answer = tocsin_process("migrate", folder=tmp_path, environment={"TOCSIN_DEBUG": "1"})
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr and "There is no such file." in answer.stderr


def test_the_configuration_can_be_named_in_the_environment(tmp_path: Path) -> None:
    answer = tocsin("migrate", environment={"TOCSIN_CONFIG": str(tmp_path / "other.yaml")})
    assert answer.stderr.startswith(f"{tmp_path / 'other.yaml'}: There is no such file. Write one with `tocsin init`")


def test_init_writes_the_example_and_never_over_a_file(tmp_path: Path) -> None:
    first = tocsin("init", folder=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    file = tmp_path / "tocsin.yaml"
    example = file.read_text()
    file.write_text("mine")
    second = tocsin("init", folder=tmp_path)
    assert second.returncode == 2
    assert second.stderr == "tocsin.yaml is there already. Name another file, or write over it with --force.\n"
    assert file.read_text() == "mine"
    assert tocsin("init", "--force", folder=tmp_path).returncode == 0
    assert file.read_text() == example


def test_init_where_it_cannot_write_gives_one_sentence(tmp_path: Path) -> None:
    answer = tocsin("init", str(tmp_path / "nowhere" / "tocsin.yaml"))
    assert answer.returncode == 1
    assert answer.stderr == f"{tmp_path / 'nowhere' / 'tocsin.yaml'}: No such file or directory.\n"


def test_what_init_writes_needs_only_its_secret(tmp_path: Path) -> None:
    tocsin("init", folder=tmp_path)
    answer = tocsin("migrate", folder=tmp_path, environment=SECRETS)
    assert answer.returncode == 0, answer.stderr


def test_migrate_says_the_revision_before_and_after(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(MINIMAL)
    first = tocsin("migrate", "--set", "database.url=sqlite:///deep/er/t.db", folder=tmp_path, environment=SECRETS)
    assert first.returncode == 0, first.stderr
    assert f"{tmp_path}/deep/er/t.db went from revision none to " in first.stdout
    revision = first.stdout.strip().removesuffix(".").rpartition(" ")[2]
    second = tocsin("migrate", "--set", "database.url=sqlite:///deep/er/t.db", folder=tmp_path, environment=SECRETS)
    assert second.stdout.endswith(f"deep/er/t.db is at revision {revision} already.\n")


def test_a_database_that_does_not_answer_gives_one_sentence_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed; run: pip install '.[postgres]'")
    (tmp_path / "tocsin.yaml").write_text(MINIMAL)
    url = "database.url=postgresql+psycopg://tocsin:hush@127.0.0.1:1/tocsin"
    answer = tocsin("migrate", "--set", url, folder=tmp_path, environment=SECRETS)
    assert answer.returncode == 1
    assert answer.stderr.startswith("The database ")
    assert "hush" not in answer.stderr and "Traceback" not in answer.stderr and answer.stderr.count("\n") == 1


IN_USE = OSError(
    errno.EADDRINUSE, "error while attempting to bind on address ('127.0.0.1', 8080): address already in use"
)
WRONG = ConfigError([Problem(Place("tocsin.yaml", 7), "Write a number.")])


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (WRONG, 2, "tocsin.yaml:7: Write a number.\n1 mistake in the configuration. Nothing was started.\n"),
        (WrongRevision("Run `tocsin migrate`."), 1, "Run `tocsin migrate`.\n"),
        (DatabaseUnavailable("The database is away."), 1, "The database is away.\n"),
        (LogUnavailable("The log is away."), 1, "The log is away.\n"),
        (Busy("Process 7 reads it."), 1, "Process 7 reads it.\n"),
        (IN_USE, 1, "The address 127.0.0.1:8080 is in use by another program. Stop it, or choose another address with --set http.listen=HOST:PORT.\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/log.db"), 1, "The disk is full: /x/log.db. Make room and start again.\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "/x: Permission denied.\n"),
        (OperationalError("SELECT 1", {}, Exception("FATAL: password authentication failed\nmore")), 1, "The database failed: FATAL: password authentication failed.\n"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1, "The package torch is not installed. Run: pip install 'tocsin[transformer]'\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (ExceptionGroup("stages", [LogUnavailable("The log is away."), ExceptionGroup("", [LogUnavailable("The log is away.")])]), 1, "The log is away.\n"),
        (BaseExceptionGroup("stages", [KeyboardInterrupt()]), 130, "Interrupted.\n"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    fault: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as left, explain():
        raise fault
    assert left.value.exit_code == code
    assert capsys.readouterr().err == said


def test_a_mistake_of_our_own_says_so_and_shows_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, explain():
        raise KeyError("brand")
    assert left.value.exit_code == 1
    assert "mistake in its own code: KeyError: 'brand'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault", [typer.Exit(3), typer.Abort(), typer.BadParameter("no"), BrokenPipeError(errno.EPIPE, "closed")]
)
def test_what_typer_knows_passes(fault: Exception) -> None:
    with pytest.raises(type(fault)), explain():
        raise fault
