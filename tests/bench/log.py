"""How fast the logs are: `python -m tests.bench.log` (Kafka too where KAFKA_HOME or KAFKA_BOOTSTRAP_SERVERS says so).

Records of 500 bytes, each batch durable before the next of the same publisher. The embedded log is measured against a
goal in records per second; Kafka through our Protocol against aiokafka alone (send_batch, getmany, the same acks,
compression and batches), in turns in the same run.
"""

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from services.runtime.broker import MENTIONS, Log, Outgoing
from services.runtime.embedded import EmbeddedLog
from services.runtime.kafka import BATCH_RECORDS, PRODUCE_BYTES, KafkaLog
from tests.kafka_server import MISSING, shared_kafka

PARTITIONS = 6
BATCH = 500
ROUNDS = 5
PUBLISHERS = 4
EMBEDDED_RECORDS, KAFKA_RECORDS = 60_000, 60_000
names = (f"bench-{number}-{time.time_ns()}" for number in itertools.count())


def records(count: int) -> list[Outgoing]:
    """500 bytes each, keyed as mentions are."""
    return [Outgoing(os.urandom(250).hex().encode(), os.urandom(16).hex().encode()) for _ in range(count)]


async def in_turns(
    batches: Sequence[Sequence[Outgoing]], send: Callable[[Sequence[Outgoing]], Awaitable[None]]
) -> float:
    """Seconds that a few publishers take for all batches, each waiting for its last one."""
    left = iter(batches)

    async def publisher() -> None:
        for batch in left:
            await send(batch)

    began = time.perf_counter()
    await asyncio.gather(*(publisher() for _ in range(PUBLISHERS)))
    return time.perf_counter() - began


async def produce(log: Log, topic: str, sent: Sequence[Outgoing]) -> float:
    """Records per second into a log."""
    batches = [sent[i : i + BATCH] for i in range(0, len(sent), BATCH)]
    return len(sent) / await in_turns(batches, lambda batch: log.publish(topic, batch))


async def consume(log: Log, topic: str, count: int) -> float:
    """Records per second out of it, each batch committed; from the end of the first batch on, so without joining."""
    async with log.subscribe(topic, "bench") as subscription:
        began, seen, first = 0.0, 0, 0
        async for batch in subscription.batches():
            await subscription.commit(batch.partition, batch.next_offset)
            seen += len(batch.records)
            if not first:
                began, first = time.perf_counter(), seen
            if seen >= count:
                return (seen - first) / (time.perf_counter() - began)
    raise AssertionError


async def bare_produce(bootstrap: str, topic: str, sent: Sequence[Outgoing]) -> float:
    """The same with aiokafka alone, whose partitioner says where each key goes."""
    partitioner, every = DefaultPartitioner(), list(range(PARTITIONS))
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        max_batch_size=PRODUCE_BYTES,
        request_timeout_ms=600_000,  # send_batch counts its waiting several times over and gives up too early
    )
    await producer.start()

    async def send(batch: Sequence[Outgoing]) -> None:
        builders = [producer.create_batch() for _ in range(PARTITIONS)]
        for record in batch:
            place = partitioner(record.key, every, every)
            builders[place].append(key=record.key, value=record.value, timestamp=None)
        futures = [await producer.send_batch(builder, topic, partition=p) for p, builder in enumerate(builders)]
        await asyncio.gather(*futures)

    try:
        return len(sent) / await in_turns([sent[i : i + BATCH] for i in range(0, len(sent), BATCH)], send)
    finally:
        await producer.stop()


async def bare_consume(bootstrap: str, topic: str, count: int) -> float:
    """The same with aiokafka alone."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id="bare", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        began, seen, first = 0.0, 0, 0
        while seen < count:
            for tp, found in (await consumer.getmany(timeout_ms=200, max_records=BATCH_RECORDS)).items():
                await consumer.commit({TopicPartition(*tp): found[-1].offset + 1})
                seen += len(found)
                if not first:
                    began, first = time.perf_counter(), seen
        return (seen - first) / (time.perf_counter() - began)
    finally:
        await consumer.stop()


@asynccontextmanager
async def opened(log: EmbeddedLog | KafkaLog) -> AsyncIterator[EmbeddedLog | KafkaLog]:
    """An open log."""
    await log.open()
    try:
        yield log
    finally:
        await log.close()


async def embedded() -> None:
    """Print the embedded log's figures."""
    sent = records(EMBEDDED_RECORDS)
    produced, consumed = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as directory:
            async with opened(EmbeddedLog(Path(directory) / "log.db")) as log:
                await log.create({MENTIONS: PARTITIONS}, retention=86_400)
                produced.append(await produce(log, MENTIONS, sent))
                consumed.append(await consume(log, MENTIONS, len(sent)))
    show("embedded, produced in batches of 500", produced, 30_000)
    show("embedded, consumed and committed", consumed, 100_000)


async def kafka(bootstrap: str) -> None:
    """Print Kafka's figures, ours and aiokafka's alone, taking turns."""
    sent = records(KAFKA_RECORDS)
    ours: dict[str, list[float]] = {"produced": [], "consumed": []}
    bare: dict[str, list[float]] = {"produced": [], "consumed": []}
    async with opened(KafkaLog(bootstrap)) as log:
        for number in range(ROUNDS + 1):
            topics = [next(names), next(names)]
            await log.create(dict.fromkeys(topics, PARTITIONS), retention=86_400)
            for topic in topics:  # until every partition has its leader
                await log.publish(topic, [Outgoing(b"", partition=p) for p in range(PARTITIONS)])
            produced = await produce(log, topics[0], sent), await bare_produce(bootstrap, topics[1], sent)
            consumed = await consume(log, topics[0], len(sent)), await bare_consume(bootstrap, topics[1], len(sent))
            if number:  # the first round warms Kafka up
                for name, (mine, alone) in {"produced": produced, "consumed": consumed}.items():
                    ours[name].append(mine)
                    bare[name].append(alone)
    for name, rates in ours.items():
        show(f"Kafka, {name}, aiokafka alone", bare[name])
        show(f"Kafka, {name}, through the Protocol", rates)
        share = statistics.median(rates) / statistics.median(bare[name])
        print(f"{'':44}{share:10.0%} of aiokafka alone (goal 80%) {'reached' if share >= 0.8 else 'MISSED'}")


def show(what: str, rates: Sequence[float], goal: int = 0) -> None:
    """One line."""
    rate = statistics.median(rates)
    verdict = f"(goal {goal:,}) {'reached' if rate >= goal else 'MISSED'}" if goal else ""
    print(f"{what:44}{rate:10,.0f} records/s, {min(rates):,.0f} to {max(rates):,.0f} in {len(rates)} rounds {verdict}")


if __name__ == "__main__":
    asyncio.run(embedded())
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    server = None if given else shared_kafka()
    address = given or (server.bootstrap if server else None)
    if address:
        asyncio.run(kafka(address))
    else:
        print(f"Kafka: {MISSING}.")
