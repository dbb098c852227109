"""Partitions of keys: the values of Kafka's own test, and aiokafka's implementation as a second witness."""

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.broker import Outgoing
from services.runtime.partition import by_partition, murmur2, partition_of

GOLDEN = {
    # org.apache.kafka.common.utils.UtilsTest.testMurmur2
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", GOLDEN)
def test_murmur2_of_kafkas_test(key: bytes) -> None:
    assert murmur2(key) == GOLDEN[key] & 0xFFFFFFFF


@given(st.binary(max_size=80))
def test_murmur2_as_aiokafka_computes_it(key: bytes) -> None:
    assert murmur2(key) == aiokafka_murmur2(key)


@given(
    st.lists(st.tuples(st.none() | st.binary(max_size=8), st.none() | st.integers(0, 4)), max_size=50),
    st.integers(0, 99),
)
def test_every_record_goes_to_one_partition_in_order(made: list[tuple[bytes | None, int | None]], turn: int) -> None:
    records = [Outgoing(str(i).encode(), key, partition) for i, (key, partition) in enumerate(made)]
    found = by_partition(records, 5, turn)
    assert sorted(r.value for share in found.values() for r in share) == sorted(r.value for r in records)
    for partition, share in found.items():
        assert [r for r in records if r in share] == share
        for record in share:
            expected = turn % 5 if record.key is None else partition_of(record.key, 5)
            assert partition == (expected if record.partition is None else record.partition)
