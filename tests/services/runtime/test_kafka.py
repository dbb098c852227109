"""What only Kafka does: logins over TLS, a producer that has to be replaced, retention that passes a reader."""

import asyncio
import uuid

import pytest

from services.runtime.broker import LogUnavailable, Outgoing
from services.runtime.kafka import KafkaLog
from tests.contracts.places import Starts
from tests.contracts.reading import PATIENCE, keyed, read_all, values
from tests.kafka_server import PASSWORD, USER, KafkaServer, free_port, kafka_bootstrap, kafka_server, make_ca  # noqa: F401


def topic() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.mark.asyncio
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_login_over_tls_with_a_ca_of_ones_own(kafka_server: KafkaServer, mechanism) -> None:  # type: ignore[no-untyped-def] # noqa: F811
    name = topic()
    log = KafkaLog(
        kafka_server.secure_bootstrap,
        security="SASL_SSL",
        mechanism=mechanism,
        username=USER,
        password=PASSWORD,
        ca_file=str(kafka_server.ca_file),
    )
    await log.open()
    await log.create({name: 1}, retention=3600.0)
    await log.publish(name, keyed(5))
    assert len(values(await read_all(log, name, "g", 5))) == 5
    await log.close()


@pytest.mark.asyncio
async def test_a_wrong_password_and_a_wrong_ca_are_refused(kafka_server: KafkaServer, tmp_path) -> None:  # type: ignore[no-untyped-def] # noqa: F811
    make_ca(tmp_path / "other.pem", tmp_path / "unused.pem")
    for password, ca_file in ((PASSWORD + "x", kafka_server.ca_file), (PASSWORD, tmp_path / "other.pem")):
        log = KafkaLog(
            kafka_server.secure_bootstrap, security="SASL_SSL", username=USER, password=password, ca_file=str(ca_file)
        )
        with pytest.raises(LogUnavailable, match="Check that it runs and that the log's settings are right"):
            await log.open()


def test_a_ca_file_that_is_none_is_refused_in_a_sentence(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(LogUnavailable, match=f"The CA file .*{name} cannot be used"):
            KafkaLog("127.0.0.1:9092", security="SSL", ca_file=str(tmp_path / name))


@pytest.mark.asyncio
async def test_where_no_kafka_listens_open_says_so() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(LogUnavailable, match=f"Kafka at {address} failed"):
        await KafkaLog(address).open()


@pytest.mark.asyncio
async def test_publishes_on_their_way_survive_a_producer_that_is_given_up(kafka_bootstrap: str) -> None:  # noqa: F811
    name, log = topic(), KafkaLog(kafka_bootstrap)
    await log.open()
    await log.create({name: 2}, retention=3600.0)
    await log.publish(name, keyed(1))
    sending = [asyncio.create_task(log.publish(name, keyed(50, name=f"{i}"))) for i in range(20)]
    await asyncio.sleep(0)
    log._publisher.abandon()
    await asyncio.gather(*sending)
    log._publisher.abandon()
    await log.publish(name, keyed(1, name="last"))
    wanted = {r.value for i in range(20) for r in keyed(50, name=f"{i}")} | {b"r-0", b"last-0"}
    seen: set[bytes] = set()
    async with log.subscribe(name, "g") as subscription, asyncio.timeout(PATIENCE):
        async for batch in subscription.batches():
            seen.update(values([batch]))
            if seen == wanted:
                break
    await log.close()


@pytest.mark.asyncio
async def test_a_reader_that_retention_has_passed_is_asked_again_where_to_begin(kafka_server: KafkaServer) -> None:  # noqa: F811
    name, log = topic(), KafkaLog(kafka_server.bootstrap)
    await log.open()
    await log.create({name: 1}, retention=1.0)
    for _ in range(12):  # more than a consumer fetches ahead
        await log.publish(name, [Outgoing(bytes(300_000))])
    async with log.subscribe(name, "g", starts := Starts()) as subscription, asyncio.timeout(60):
        reading = subscription.batches()
        assert (await anext(reading)).records[0].offset == 0
        while (await log.bounds(name, "g"))[0].begin < 12:
            await asyncio.sleep(0.1)
        await log.publish(name, [Outgoing(b"new")])
        while values([await anext(reading)]) != [b"new"]:
            pass
    assert starts.told[0].begin == 12
    await log.close()
