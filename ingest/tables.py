"""What collectors remember: each source's schedule and validators, and the posts they have seen.

A lease with an epoch fences: `epoch` grows whenever another collector takes a source, and a write that names an older
one changes nothing. Collecting is: publish, then move the cursor; so a crash between the two publishes again, and the
mention's id makes that harmless.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables of Tocsin, whichever folder they belong to."""

source = Table(
    "source",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("first_contact", Float, comment="when it answered first; None until then"),
    Column("next_due", Float, nullable=False, server_default="0", comment="when to ask again, s since epoch"),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("body_hash", String(64)),
    Column("failures", Integer, nullable=False, server_default="0", comment="in a row"),
    Column("last_poll", Float),
    Column("last_answer", Float),
    Column("last_reason", Text, nullable=False, server_default=""),
    Column("posts_per_day", Float, comment="publishing rate, for the adaptive interval"),
    Column("document_interval", Float, comment="seconds between polls that the document asks for"),
    Column("owner", String(200), comment="collector that holds the lease"),
    Column("lease_until", Float, nullable=False, server_default="0"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
)

seen = Table(
    "seen",
    metadata,
    Column("source", String(200), ForeignKey("source.id", ondelete="CASCADE"), primary_key=True),
    Column("post", String(600), primary_key=True),
    Column("hash", LargeBinary(16), nullable=False, comment="of title and text: another one is an edit"),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("history", Boolean, nullable=False),
    Column("last_seen", Float, nullable=False),
    Index("ix_seen_source_last_seen", "source", "last_seen"),
)

collector = Table(
    "collector",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("alive", Float, nullable=False, comment="wall time of its last sign of life"),
)
"""Who writes Progress. One that died is taken over: another collector says goodbye on its behalf."""
