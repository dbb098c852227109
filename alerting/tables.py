"""What the alerter and the pager keep.

Truth: mention, sighting, poll, progress, path, incident, incident_event, silence, outbox.
Cache, rebuilt when code or configuration changed: bin, detector_checkpoint.
All times are seconds since the epoch, UTC; event time unless a column says wall time.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from ingest.tables import metadata

__all__ = ["metadata"]

Id = BigInteger().with_variant(Integer, "sqlite")

mention = Table(
    "mention",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("brand", String(200), nullable=False),
    Column("time", Float, nullable=False, comment="event time"),
    Column("label", String(10), nullable=False),
    Column("negative", Float, nullable=False),
    Column("neutral", Float, nullable=False),
    Column("positive", Float, nullable=False),
    Column("relevance", Float, nullable=False),
    Column("language", String(10), nullable=False),
    Column("model", String(100), nullable=False),
    Column("url", Text),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("author", Text),
    Column("source", String(200), nullable=False, comment="of its first live sighting"),
    Column("kind", String(40), nullable=False),
    Column("collected", Float, nullable=False),
    Column("history", Boolean, nullable=False, comment="kept, never counted"),
    Column("late", Boolean, nullable=False, comment="came after its bin was sealed: kept, not counted"),
    Column("revision", Integer, nullable=False),
    Index("ix_mention_brand_time", "brand", "time"),
)

sighting = Table(
    "sighting",
    metadata,
    Column("mention", String(32), ForeignKey("mention.id", ondelete="CASCADE"), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("at", Float, nullable=False),
)

poll = Table(
    "poll",
    metadata,
    Column("partition", Integer, primary_key=True, comment="of mentions.scored: each has its own account of polls"),
    Column("source", String(200), primary_key=True),
    Column("at", Float, primary_key=True),
    Column("answered", Boolean, nullable=False),
    Column("reason", String(60), nullable=False),
    Column("items", Integer, nullable=False),
    Index("ix_poll_partition_at", "partition", "at"),
)

progress = Table(
    "progress",
    metadata,
    Column("partition", Integer, primary_key=True, comment="of mentions.scored"),
    Column("partitions", Integer, nullable=False, comment="how many there were; the alerter refuses another number"),
    Column("log", String(100), nullable=False, comment="identity of the log"),
    Column("next_offset", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False, comment="grows whenever an alerter takes the partition"),
    Column("clock", Float, comment="end of the last bin that was evaluated"),
    Column("lost", BigInteger, nullable=False, server_default="0", comment="records that retention took before us"),
)

path = Table(
    "path",
    metadata,
    Column("partition", Integer, primary_key=True, comment="of mentions.scored"),
    Column("collector", String(200), primary_key=True),
    Column("via", Integer, primary_key=True, comment="partition of mentions"),
    Column("at", Float, nullable=False, comment="the collector's clock, as last heard on this path"),
)

source_service = Table(
    "source_service",
    metadata,
    Column("brand", String(200), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("since", Float, nullable=False, comment="its first answer for this brand; evidence from 2 days later on"),
    Column("last_answer", Float, nullable=False, comment="what was published up to here has been seen"),
)

bin = Table(
    "bin",
    metadata,
    Column("brand", String(200), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("negative", Integer, nullable=False),
    Column("copies", Integer, nullable=False),
    Column("unsure", Integer, nullable=False),
    Column("total", Integer, nullable=False),
)

detector_checkpoint = Table(
    "detector_checkpoint",
    metadata,
    Column("brand", String(200), primary_key=True),
    Column("at", Float, nullable=False, comment="end of the last bin it has seen; nothing before it changes any more"),
    Column("state", LargeBinary, nullable=False),
    Column("config", String(64), nullable=False, comment="hash of what it depends on"),
)

incident = Table(
    "incident",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("brand", String(200), nullable=False),
    Column("state", String(12), nullable=False, comment="open | acknowledged | closed"),
    Column("opened", Float, nullable=False),
    Column("opened_wall", Float, nullable=False, comment="wall time, for escalation"),
    Column("closed", Float),
    Column("snapshot", JSON, nullable=False, comment="alerting.incident.Incident after its last event"),
    Index(
        "uq_incident_one_open_a_brand",
        "brand",
        unique=True,
        sqlite_where=text("state <> 'closed'"),
        postgresql_where=text("state <> 'closed'"),
    ),
)

incident_event = Table(
    "incident_event",
    metadata,
    Column("incident", String(32), ForeignKey("incident.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False, comment="wall time"),
    Column("kind", String(30), nullable=False),
    Column("body", JSON, nullable=False),
)

silence = Table(
    "silence",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("brand", String(200)),
    Column("begins", Float, nullable=False, comment="wall time"),
    Column("ends", Float, nullable=False, comment="wall time"),
    Column("author", Text, nullable=False),
    Column("comment", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column(
        "key", String(100), nullable=False, unique=True, comment="incident, step and kind: the same at every attempt"
    ),
    Column("incident", String(32), ForeignKey("incident.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("channel", String(100), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("page", JSON, nullable=False, comment="alerting.channel.Page"),
    Column("state", String(12), nullable=False, comment="waiting | delivered | refused | obsolete"),
    Column("due", Float, nullable=False, comment="wall time of the next attempt"),
    Column("created", Float, nullable=False, comment="wall time"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("claimed_by", String(200)),
    Column("claimed_until", Float, nullable=False, server_default="0", comment="wall time"),
    Column("outcome", Text, nullable=False, server_default=""),
    Column("settled", Float, comment="wall time"),
    Index("ix_outbox_state_due", "state", "due"),
    Index("ix_outbox_incident", "incident"),
)
