"""The log that the configuration names."""

from services.runtime.broker import Log
from services.runtime.clock import Clock
from services.runtime.embedded import EmbeddedLog
from services.runtime.kafka import KafkaLog
from services.runtime.sections import LogSettings


async def open_log(settings: LogSettings, clock: Clock, *, name: str) -> Log:
    """Open the embedded log, or connect to Kafka. Raises LogUnavailable, Busy."""
    if settings.embedded is not None:
        embedded = EmbeddedLog(settings.embedded, now=clock.now)
        await embedded.open()
        return embedded
    kafka = KafkaLog(
        settings.bootstrap,
        client_id=f"tocsin-{name}",
        security=settings.security,
        mechanism=settings.mechanism,
        ca_file=str(settings.ca) if settings.ca else None,
        username=settings.username,
        password=settings.password,
    )
    await kafka.open()
    return kafka
