"""The collector: polls sources politely, publishes mentions, then moves the cursor, then tells how far time has come.

Several collectors share the sources by leases in the database. Progress goes to every partition, after the mentions of
the polls it tells about, at the end of every bin and at least every 15 s of wall time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from alerting.detector import BIN_SECONDS
from ingest import store
from ingest.collect import Decision, decide
from ingest.fetch import Fetcher, Response
from ingest.mention import Mention, Poll, Progress, encode
from ingest.parse import Parser
from ingest.source import SourceConfig, Unparsable
from services.metrics import Metrics
from services.runtime.broker import MENTIONS, Log, LogUnavailable, Outgoing
from services.runtime.clock import Clock
from services.runtime.database import Database, DatabaseUnavailable
from services.runtime.lifecycle import Lifecycle

PROGRESS_SECONDS = 15.0
CONCURRENT = 16
"""Requests under way at once; per host there are fewer."""
RETRY_SECONDS = 2.0

logger = structlog.get_logger()
