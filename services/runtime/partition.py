"""Which partition a record goes to: the same in both logs, and the same as Kafka's own clients."""

from collections.abc import Sequence
from functools import lru_cache
from struct import unpack

from services.runtime.broker import MAX_RECORD_BYTES, Outgoing

_MIX = 0x5BD1E995
_WORD = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """32-bit MurmurHash2 with Kafka's seed, unsigned (org.apache.kafka.common.utils.Utils.murmur2)."""
    whole = len(data) & ~3
    h = 0x9747B28C ^ len(data)
    for word in unpack(f"<{whole >> 2}I", data[:whole]):
        k = word * _MIX & _WORD
        h = (h * _MIX ^ (k ^ k >> 24) * _MIX) & _WORD
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * _MIX & _WORD
    h = (h ^ h >> 13) * _MIX & _WORD
    return h ^ h >> 15


@lru_cache(4096)
def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key, 0 .. partitions - 1, as Kafka's default partitioner says."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def by_partition(records: Sequence[Outgoing], partitions: int, turn: int) -> dict[int, list[Outgoing]]:
    """The records of each partition, in order. Those without key and partition all go to partition `turn % partitions`.

    Raises ValueError for a partition that is not there and for a record that no log would take.
    """
    found: dict[int, list[Outgoing]] = {}
    for record in records:
        found.setdefault(_choose(record, partitions, turn), []).append(record)
    return found


def _choose(record: Outgoing, partitions: int, turn: int) -> int:
    size = len(record.value) + len(record.key or b"")
    if size > MAX_RECORD_BYTES:
        raise ValueError(
            f"A record of {size:,} bytes is too large for the log: at most {MAX_RECORD_BYTES:,} are possible."
        )
    if record.partition is None:
        return turn % partitions if record.key is None else partition_of(record.key, partitions)
    if not 0 <= record.partition < partitions:
        raise ValueError(f"There is no partition {record.partition}: the topic has 0 to {partitions - 1}.")
    return record.partition
