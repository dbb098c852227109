"""The log on Apache Kafka, over aiokafka; the only file that imports it.

What aiokafka does on its own and must not decide here: it delivers while an assignment callback still loads, swallows
the callback's exceptions, restarts silently at `earliest` after a seek too far, retries commits and idempotent sends
for ever, and hides admin errors inside responses. So a partition is paused the moment it comes; the reader's own task
asks `starts`, seeks and resumes; there is no automatic offset reset; everything that waits has a deadline; and a
producer that failed or is stuck is thrown away.
"""

import asyncio
import contextlib
import itertools
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    CommitFailedError,
    ConsumerStoppedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from services.runtime.broker import (
    Assigned,
    Batch,
    Incoming,
    Log,
    LogUnavailable,
    Lost,
    NotOwner,
    Outgoing,
    Starts,
    Subscription,
)
from services.runtime.partition import by_partition
from services.runtime.positions import Positions, start_of

T = TypeVar("T")

BATCH_RECORDS = 1_000
PRODUCE_BYTES = 256_000
"""Size of a batch on its way to one partition."""
SENDERS = 2
"""Requests on their way at once."""
TOGETHER = 1_000
"""Publishes that share a request at most."""
POLL_MS = 200
BACKOFF_SECONDS = 0.2
ADMIN_SECONDS = 30.0
COMMIT_SECONDS = 10.0
STOP_SECONDS = 10.0
REPLICAS = 3
"""Copies of each partition, where there are so many brokers."""
PERMANENT = (
    ClusterAuthorizationFailedError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
"""Refusals that another attempt does not change."""


class KafkaLog(Log):
    """A connection to a cluster. `security` and `mechanism` use Kafka's words. Call `open` first.

    `session` is how many seconds a member may be silent before its partitions go to others; a member that takes
    longer than `longest_batch` seconds between two batches leaves the group, too.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT",
        mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN",
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_id: str = "tocsin",
        session: float = 30.0,
        longest_batch: float = 300.0,
    ) -> None:
        self.bootstrap = bootstrap
        self.session = session
        self.common: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            "security_protocol": security,
            "sasl_mechanism": mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
            "ssl_context": _trust(ca_file) if security.endswith("SSL") else None,
            "request_timeout_ms": int((session + 10) * 1000),  # a join is answered when the slowest member is ready
        }
        self.group_settings: dict[str, Any] = {
            "enable_auto_commit": False,
            "auto_offset_reset": "none",  # every start is a seek; what is out of bounds is an error
            "session_timeout_ms": int(session * 1000),
            "heartbeat_interval_ms": int(min(3.0, session / 4) * 1000),
            "max_poll_interval_ms": int(longest_batch * 1000),
            "fetch_max_bytes": 16_000_000,
        }
        self._publisher = _Publisher(self.common)
        self._counts: dict[str, int] = {}
        self._turn = itertools.count()
        self._stops: list[Callable[[], Awaitable[None]]] = []

    async def open(self) -> None:
        """Connect. Raises LogUnavailable."""
        self._admin = AIOKafkaAdminClient(**self.common)
        self._asker = AIOKafkaConsumer(**self.common)
        self._stops = [self._admin.close, self._asker.stop]
        try:
            async with self.answering(ADMIN_SECONDS):
                await self._admin.start()
                await self._asker.start()
            self.identity = str((await self._ask(self._admin.describe_cluster))["cluster_id"])
        except BaseException:
            await self.close()
            raise

    async def create(self, topics: Mapping[str, int], *, retention: float) -> None:
        """Create the topics that do not exist; those that do stay as they are."""
        cluster = await self._ask(self._admin.describe_cluster)
        known = await self._topics()
        copies = min(REPLICAS, len(cluster["brokers"]))
        config = {"message.timestamp.type": "LogAppendTime", "retention.ms": str(int(retention * 1000))}
        new = [NewTopic(name, topics[name], copies, topic_configs=config) for name in topics if name not in known]
        if new:
            answer = await self._ask(lambda: self._admin.create_topics(new))
            for name, code, *said in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise LogUnavailable(f"Kafka does not create the topic {name}: {for_code(code).__name__} {said}")
        async with self.answering(ADMIN_SECONDS):
            while not topics.keys() <= (await self._topics()).keys():
                await asyncio.sleep(0.05)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises LookupError when there is no such topic."""
        if topic not in self._counts:
            # all topics: asking for one by name would create it on a cluster that is set up to do so
            self._counts.update(await self._topics())
        if topic not in self._counts:
            raise LookupError(f"There is no topic {topic!r} in Kafka at {self.bootstrap}.")
        return self._counts[topic]

    async def publish(self, topic: str, records: Sequence[Outgoing], *, deadline: float = 30.0) -> None:
        """Durable on all in-sync replicas when it returns. Raises LogUnavailable after `deadline` seconds."""
        try:
            async with asyncio.timeout(deadline):
                shares = by_partition(records, await self.partitions(topic), next(self._turn))
                await self._publisher.publish(topic, shares)
        except TimeoutError:
            self._publisher.abandon()
            raise self._silent(deadline) from None
        except PERMANENT as fault:
            raise LogUnavailable(f"Kafka at {self.bootstrap} refuses the records: {fault}.") from fault

    @contextlib.asynccontextmanager
    async def subscribe(
        self, topic: str, group: str, starts: Starts | None = None, lost: Lost | None = None
    ) -> AsyncIterator[Subscription]:
        """Join a group; returns when the group has given partitions out."""
        await self.partitions(topic)
        member = _Member(self, topic, group, starts, lost)
        try:
            async with self.answering(ADMIN_SECONDS + self.session):
                await member.start()
            yield member
        finally:
            await member.stop()

    async def lag(self, topic: str, group: str) -> int:
        """Records that the group has not committed yet, over all partitions."""
        known = await self.bounds(topic, group)
        return sum(b.end - max(b.begin, b.committed or 0) for b in known)

    async def bounds(self, topic: str, group: str) -> list[Assigned]:
        """Each partition as a member of the group would be told."""
        places = [TopicPartition(topic, number) for number in range(await self.partitions(topic))]
        begin = await self._ask(lambda: self._asker.beginning_offsets(places))
        end = await self._ask(lambda: self._asker.end_offsets(places))
        done = await self._ask(lambda: self._admin.list_consumer_group_offsets(group, partitions=places))
        committed = {tp: found.offset for tp, found in done.items() if found.offset >= 0}
        return [Assigned(tp.partition, begin[tp], end[tp], committed.get(tp), self.identity) for tp in places]

    async def read(self, topic: str, partition: int, offset: int, limit: int) -> Batch:
        """Up to `limit` records from `offset` on, at once, outside of any group."""
        if not 0 <= partition < await self.partitions(topic):
            raise LookupError(f"The topic {topic} has no partition {partition}.")
        place = TopicPartition(topic, partition)
        reader = AIOKafkaConsumer(**self.common)
        async with self.answering(ADMIN_SECONDS):
            await reader.start()
            try:
                reader.assign([place])
                begin = (await reader.beginning_offsets([place]))[place]
                end = (await reader.end_offsets([place]))[place]
                reader.seek(place, max(offset, begin))
                found: list[Incoming] = []
                while max(offset, begin) + len(found) < end and len(found) < limit:
                    part = await reader.getmany(place, timeout_ms=POLL_MS, max_records=limit - len(found))
                    found += _incoming(part.get(place, ()))
            finally:
                await within(STOP_SECONDS, reader.stop())
        return Batch(topic, partition, found, found[-1].offset + 1 if found else offset, end)

    async def close(self) -> None:
        """Flush and disconnect, each within a deadline."""
        await self._publisher.close()
        for stop in self._stops:
            await within(STOP_SECONDS, stop())

    @contextlib.asynccontextmanager
    async def answering(self, deadline: float | None) -> AsyncIterator[None]:
        """Say LogUnavailable where Kafka fails or is silent for `deadline` seconds, if there is one."""
        try:
            async with asyncio.timeout(deadline):
                yield
        except TimeoutError:
            raise self._silent(deadline) from None
        except KafkaError as fault:
            raise LogUnavailable(
                f"Kafka at {self.bootstrap} failed: {fault}. Check that it runs and that the log's settings are right."
            ) from fault

    def _silent(self, deadline: float | None) -> LogUnavailable:
        return LogUnavailable(f"Kafka at {self.bootstrap} did not answer within {deadline or 0:g} s.")

    async def _topics(self) -> dict[str, int]:
        found = await self._ask(self._admin.describe_topics)
        return {t["topic"]: len(t["partitions"]) for t in found if t["error_code"] == 0 and t["partitions"]}

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        async with self.answering(ADMIN_SECONDS):
            while True:
                try:
                    return await call()
                except KafkaError as fault:
                    if not fault.retriable:
                        raise
                await asyncio.sleep(BACKOFF_SECONDS)


@dataclass(eq=False, slots=True)
class _Job:
    """What one call of `publish` waits for."""

    topic: str
    shares: Mapping[int, Sequence[Outgoing]]
    done: asyncio.Future[None]


class _Publisher:
    """An idempotent producer that is replaced when it failed or hangs: a sequence that is out of order stays so until
    the producer is a new one, and one that waits for a broker never gives up by itself.

    What waits while a request is on its way goes together in the next one. aiokafka's own queue would send every
    waiting batch alone, and wake all who wait for each.
    """

    def __init__(self, common: Mapping[str, Any]) -> None:
        self._common = common
        self._current: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()
        self._jobs: list[_Job] = []
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def publish(self, topic: str, shares: Mapping[int, Sequence[Outgoing]]) -> None:
        """Return when all is durable; try again for ever where that may help."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._keep_sending()) for _ in range(SENDERS)]
        job = _Job(topic, shares, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._work.set()
        try:
            await job.done
        finally:
            if job in self._jobs:
                self._jobs.remove(job)

    def abandon(self) -> None:
        """Give up on the producer and all it has not delivered."""
        producer, self._current = self._current, None
        if producer:
            task = asyncio.create_task(_throw_away(producer))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Deliver what is on its way, within a deadline."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._current and not await within(STOP_SECONDS, self._current.stop()):
            self.abandon()
        self._current = None
        await asyncio.gather(*self._ending)

    async def _keep_sending(self) -> None:
        while True:
            await self._work.wait()
            if jobs := self._take():
                await self._send_together(jobs)

    def _take(self) -> list[_Job]:
        """What waits for the same topic as the one that has waited longest."""
        waiting = [job for job in self._jobs if not job.done.done()]
        taken = [job for job in waiting if job.topic == waiting[0].topic][:TOGETHER]
        rest = set(waiting).difference(taken)
        self._jobs = [job for job in waiting if job in rest]
        if not self._jobs:
            self._work.clear()
        return taken

    async def _send_together(self, jobs: list[_Job]) -> None:
        shares: dict[int, list[Outgoing]] = {}
        for job in jobs:
            for partition, records in job.shares.items():
                shares.setdefault(partition, []).extend(records)
        producer = None
        try:
            producer = await self._started()
            await _send(producer, jobs[0].topic, shares)
        except PERMANENT as fault:
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(fault.__class__(*fault.args))
        except KafkaError:
            if producer is self._current:
                self.abandon()
            self._jobs[:0] = jobs
            await asyncio.sleep(BACKOFF_SECONDS)
            self._work.set()
        else:
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(None)

    async def _started(self) -> AIOKafkaProducer:
        async with self._turn:
            if self._current is None:
                # no compression: gzip is the only codec that comes with Python, and on short texts it costs more
                # than it saves
                producer = AIOKafkaProducer(
                    **self._common, enable_idempotence=True, acks="all", max_batch_size=PRODUCE_BYTES
                )
                try:
                    await producer.start()
                except BaseException:
                    await within(STOP_SECONDS, producer.stop())
                    raise
                self._current = producer
            return self._current


async def _send(producer: AIOKafkaProducer, topic: str, shares: Mapping[int, Sequence[Outgoing]]) -> None:
    """Whole batches, in order per partition; `send_batch` waits while the one before is not on its way yet."""
    sent: list[asyncio.Future[Any]] = []
    try:
        for partition, records in shares.items():
            batch = producer.create_batch()
            for record in records:
                if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                    sent.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    batch.append(key=record.key, value=record.value, timestamp=None)
            batch.close()  # it does not linger
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*sent)
    finally:
        for future in sent:
            future.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _throw_away(producer: AIOKafkaProducer) -> None:
    """End a producer now. Its own `stop` waits for deliveries that may never happen, and has no deadline."""
    producer._closed = True
    sender = producer._sender.sender_task
    if sender:
        sender.remove_done_callback(producer._sender._fail_all)
        sender.cancel()
    producer._message_accumulator.fail_all(KafkaConnectionError("the producer was given up"))
    await within(STOP_SECONDS, producer.client.close())
    if sender:
        await within(STOP_SECONDS, asyncio.wait([sender]))
        if sender.done() and not sender.cancelled():
            sender.exception()


class _Member(Subscription, ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of a group; `positions` are moved by the callbacks of the rebalance."""

    def __init__(self, log: KafkaLog, topic: str, group: str, starts: Starts | None, lost: Lost | None) -> None:
        self.positions = Positions(lost)
        self._log, self._topic, self._group, self._starts = log, topic, group, starts
        self._ready: deque[tuple[int, Batch]] = deque()
        self._consumer = AIOKafkaConsumer(group_id=group, **log.common, **log.group_settings)

    async def start(self) -> None:
        """Join the group."""
        self._consumer.subscribe([self._topic], listener=self)
        await self._consumer.start()

    async def stop(self) -> None:
        """Leave it, within a deadline."""
        self.positions.leave()
        if not await within(STOP_SECONDS, self._consumer.stop()):
            await within(STOP_SECONDS, self._consumer._client.close())

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Everything goes; what is in the reader's hands is waited for, well within the time a rebalance has."""
        self._ready.clear()
        await self.positions.let_go(self.positions.owned, self._log.session / 2)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Deliver nothing yet; the reader's task asks where to begin."""
        self._consumer.pause(*assigned)
        self.positions.assign(tp.partition for tp in assigned)

    async def batches(self) -> AsyncIterator[Batch]:
        """Batches as they come, until the member leaves.

        Raises what `starts` raises, OutOfBounds, and LogUnavailable where Kafka refuses; a Kafka that is away is waited
        for.
        """
        while not self.positions.left:
            self.positions.release()
            if not self._ready:
                await self._open()
                self._ready.extend(await self._fetch())
            if self._ready:
                position, batch = self._ready.popleft()
                if self.positions.deliver(batch.partition, position, batch.next_offset):
                    yield batch

    async def commit(self, partition: int, next_offset: int) -> None:
        """The group has done everything before `next_offset`. Raises NotOwner, LogUnavailable."""
        self.positions.check(partition, next_offset)
        try:
            async with self._log.answering(COMMIT_SECONDS):
                await self._commit(TopicPartition(self._topic, partition), next_offset)
        finally:
            self.positions.committed(partition, next_offset)

    async def _commit(self, place: TopicPartition, next_offset: int) -> None:
        lost = NotOwner(f"Partition {place.partition} went to another member before its batch was committed.")
        if self._consumer._coordinator.generation < 0:  # where a group has no members, such a commit would be taken
            raise lost
        try:
            await self._consumer.commit({place: next_offset})
        except (CommitFailedError, IllegalStateError) as fault:
            raise lost from fault

    async def _open(self) -> None:
        fresh, epoch = set(self.positions.fresh), self.positions.epoch
        if not fresh:
            return
        known = [a for a in await self._log.bounds(self._topic, self._group) if a.partition in fresh]
        answers = await self._starts(known) if self._starts else {}
        for assigned in known:
            start = start_of(assigned, answers.get(assigned.partition))
            if epoch == self.positions.epoch and assigned.partition in self.positions.fresh:
                place = TopicPartition(self._topic, assigned.partition)
                self._consumer.seek(place, start)
                self._consumer.resume(place)
                self.positions.open(assigned.partition, start)

    async def _fetch(self) -> list[tuple[int, Batch]]:
        positions = self.positions.readable()
        places = [TopicPartition(self._topic, partition) for partition in positions]
        async with self._log.answering(None):
            try:
                found = await self._consumer.getmany(*places, timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
            except (NoOffsetForPartitionError, ConsumerStoppedError):
                return []  # assigned a moment ago, it has no position before the seek; or we have left
            except OffsetOutOfRangeError as fault:
                self._reopen(fault.args[0])
                return []
        return [
            (positions[tp.partition], self._batch(tp, records))
            for tp, records in found.items()
            if tp.partition in positions
        ]

    def _reopen(self, places: Mapping[TopicPartition, int]) -> None:
        """Retention has passed us, or the log lost records: ask again where to begin."""
        self._consumer.pause(*places)
        self.positions.assign(tp.partition for tp in places)

    def _batch(self, tp: TopicPartition, records: Sequence[Any]) -> Batch:
        after = records[-1].offset + 1
        end = max(after, self._consumer.highwater(tp) or 0)
        return Batch(self._topic, tp.partition, _incoming(records), after, end)


def _incoming(records: Sequence[Any]) -> list[Incoming]:
    return [Incoming(r.offset, r.key, r.value, r.timestamp / 1000) for r in records]


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as fault:  # ssl.SSLError is one, too
        raise LogUnavailable(f"The CA file {ca_file} cannot be used: {fault}.") from fault


async def within(seconds: float, what: Awaitable[object]) -> bool:
    """Whether it ended in time, well or not."""
    try:
        async with asyncio.timeout(seconds):
            await what
    except TimeoutError:
        return False
    except KafkaError:
        return True
    return True
