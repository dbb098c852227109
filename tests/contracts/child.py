"""Processes for the suite to kill: `python -m tests.contracts.child`, told what to do by JSON lines on its input.

It forks a child for each line, so that a child costs a few milliseconds; all of them write lines to the same output:
`PID WORD REST`. A line `{"reap": PID}` waits for a child that was killed and writes `PID gone`.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
from typing import Any

from services.runtime.broker import NotOwner, Outgoing
from tests.contracts.places import log_of


def say(*words: object) -> None:
    """One line, in one piece (a pipe keeps up to 4,096 bytes together)."""
    os.write(1, (" ".join(map(str, [os.getpid(), *words])) + "\n").encode())


async def publish(order: dict[str, Any]) -> None:
    """Publish three records at a time, for ever; say which are acknowledged."""
    log = log_of(order["log"])
    await log.open()
    for number in itertools.count():
        name = f"{order['name']}-{number}"
        records = [Outgoing(f"{name}-{i}".encode(), f"{name}-{i}".encode()) for i in range(3)]
        await log.publish(order["topic"], records, deadline=120.0)
        say("acknowledged", name)


async def consume(order: dict[str, Any]) -> None:
    """Say what came, then commit it, for ever."""
    log = log_of(order["log"])
    await log.open()
    async with log.subscribe(order["topic"], "g") as subscription:
        say("joined")
        async for batch in subscription.batches():
            for some in (batch.records[i : i + 50] for i in range(0, len(batch.records), 50)):
                say("got", *(record.value.decode() for record in some))
            try:
                await subscription.commit(batch.partition, batch.next_offset)
            except NotOwner:
                say("lost", batch.partition)


async def hold(order: dict[str, Any]) -> None:
    """Take one batch; commit it only after SIGCONT."""
    go_on = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGCONT, go_on.set)
    log = log_of(order["log"])
    await log.open()
    async with log.subscribe(order["topic"], "g") as subscription:
        batch = await anext(subscription.batches())
        say("holds", batch.partition, batch.next_offset)
        await go_on.wait()
        try:
            await subscription.commit(batch.partition, batch.next_offset)
            say("committed")
        except NotOwner:
            say("lost")
        await log.lag(order["topic"], "g")


def run(order: dict[str, Any]) -> None:
    """A child, until it is killed or done."""
    role = {"publish": publish, "consume": consume, "hold": hold}[order["role"]]
    try:
        asyncio.run(role(order))
    except Exception as fault:
        say("failed", repr(fault))
    finally:
        os._exit(0)


def main() -> None:
    """Fork what is asked for."""
    for line in sys.stdin:
        order = json.loads(line)
        if "reap" in order:
            os.waitpid(order["reap"], 0)
            os.write(1, f"{order['reap']} gone\n".encode())
        elif not (pid := os.fork()):
            run(order)
        else:
            os.write(1, f"{pid} started {order['tag']}\n".encode())


if __name__ == "__main__":
    main()
