"""`tocsin ack` and `tocsin incidents`, as a person types them."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Connection

from alerting import incident_store, outbox
from alerting.channel import Delivered
from alerting.incident import Closed, Incident, apply
from alerting.policy import Step
from services.runtime.database import Database
from tests.support.command import Ended, tocsin
from tests.support.pages import AT, opening

STEPS = (Step("slack"), Step("mail", None, 600.0))


class Runner:
    """Types a command in a folder with a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str) -> Ended:
        return tocsin(*arguments, folder=self.folder)


@pytest.fixture
def run(tmp_path: Path, database_url: str) -> Runner:
    (tmp_path / "tocsin.yaml").write_text(
        f"brands: [{{name: Kometa}}]\n"
        f"sources: [{{kind: feed, url: 'https://x.example/feed.xml'}}]\n"
        f"channels: {{slack: {{kind: slack, url: 'https://x.example/'}}}}\n"
        f"database: {{url: '{database_url}'}}\n"
    )
    return Runner(tmp_path)


def open_one(connection: Connection, brand: str = "Kometa") -> Incident:
    incident, event = opening(brand)
    incident_store.append(connection, incident, event, AT)
    incident, _ = outbox.enqueue_due(connection, incident, STEPS, AT)
    (claimed,) = outbox.claim(connection, "w", "slack", 1, AT)
    outbox.settle(connection, claimed, Delivered("ok"), AT)
    return incident


def close_one(connection: Connection, incident: Incident) -> None:
    event = Closed(at=AT + 600, reason="over")
    incident_store.append(connection, apply(incident, event), event, AT + 600)


def test_without_incidents(run: Runner) -> None:
    assert run("incidents").stdout == "No incident is open. Closed ones: --all.\n"
    assert run("incidents", "--all").stdout == "There are no incidents.\n"
    assert run("incidents", "--json").stdout == ""


def test_an_incident_is_taken_over(run: Runner, database: Database) -> None:
    incident = database.run_here(open_one)
    shown = run("incidents").stdout
    for said in (incident.id, "Kometa", "open", "2026-03-02 14:35", "41", "6.1", "slack delivered"):
        assert said in shown
    taken = run("ack", incident.id, "--by", "Anna")
    assert taken.stdout == f"Incident {incident.id} about Kometa is with Anna now: nobody else is paged.\n"
    assert taken.returncode == 0
    assert "with Anna" in run("incidents").stdout
    again = run("ack", incident.id, "--by", "Bob")
    assert (again.returncode, again.stderr) == (1, f"Incident {incident.id} was acknowledged by Anna already.\n")


def test_an_unknown_and_a_closed_id_get_a_sentence(run: Runner, database: Database) -> None:
    unknown = run("ack", "nonsense")
    assert unknown.returncode == 1
    assert unknown.stderr == "There is no incident nonsense. See the open ones with `tocsin incidents`.\n"
    incident = database.run_here(open_one)
    database.run_here(close_one, incident)
    closed = run("ack", incident.id)
    assert closed.returncode == 1
    assert closed.stderr == f"Incident {incident.id} is closed: there is nothing to acknowledge any more.\n"


def test_json_for_programs(run: Runner, database: Database) -> None:
    first, second = database.run_here(open_one), database.run_here(open_one, "Żółw")
    database.run_here(close_one, first)
    (listed,) = [json.loads(line) for line in run("incidents", "--json").stdout.splitlines()]
    assert listed == {
        "id": second.id,
        "brand": "Żółw",
        "state": "open",
        "since": "2026-03-02T14:35:00Z",
        "opened": "2026-03-02T15:00:00Z",
        "closed": None,
        "observed": 41,
        "expected": 6.1,
        "acknowledged_by": None,
        "sent": [{"channel": "slack", "kind": "page", "state": "delivered"}],
    }
    everything = [json.loads(line) for line in run("incidents", "--json", "--all").stdout.splitlines()]
    assert {one["id"]: one["state"] for one in everything} == {first.id: "closed", second.id: "open"}


def test_a_database_that_was_never_migrated_gets_a_sentence(run: Runner, tmp_path: Path) -> None:
    answer = run("incidents", "--set", f"database.url=sqlite:///{tmp_path}/other.db")
    assert answer.returncode == 1
    assert "run `tocsin migrate`" in answer.stderr
    assert "Traceback" not in answer.stderr
