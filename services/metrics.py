"""Every metric of Tocsin, once (the only file that imports prometheus_client).

Names: base units, `_total`, `_seconds`, `_timestamp_seconds`. Labels are bounded: a brand is never on a histogram, and
brands beyond the first `BRANDS` are counted as `other`.
"""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

BRANDS = 100
DELAY_BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200)
FAST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """One registry with everything that a process counts."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry(auto_describe=True)
        self._brands: set[str] = set()
        # fmt: off
        self.build = Info("tocsin_build", "Version of Tocsin and of its model.", registry=r)
        self.ready = Gauge("tocsin_ready", "1 when the stage is at work.", ["stage"], registry=r)
        self.polls = Counter("tocsin_polls_total", "Requests to sources.", ["kind", "outcome"], registry=r)
        self.poll_seconds = Histogram("tocsin_poll_duration_seconds", "From a request to its parsed items.", ["kind"], buckets=FAST_BUCKETS, registry=r)
        self.source_failing = Gauge("tocsin_sources_failing", "Sources whose last poll failed.", ["kind"], registry=r)
        self.source_silent = Gauge("tocsin_source_oldest_answer_timestamp_seconds", "Last answer of the source that has not answered for longest.", ["kind"], registry=r)
        self.mentions = Counter("tocsin_mentions_collected_total", "Mentions published, by what they are.", ["kind", "what"], registry=r)
        self.scored = Counter("tocsin_mentions_scored_total", "Mentions scored.", ["language", "label"], registry=r)
        self.score_seconds = Histogram("tocsin_score_duration_seconds", "Time to score one batch.", buckets=FAST_BUCKETS, registry=r)
        self.sentiment = Counter("tocsin_mentions_total", "New mentions that were counted, by brand and judgement.", ["brand", "label"], registry=r)
        self.not_counted = Counter("tocsin_mentions_not_counted_total", "Mentions that were kept and not counted, and why.", ["reason"], registry=r)
        self.skipped = Counter("tocsin_records_skipped_total", "Wire records of an unknown kind.", ["topic"], registry=r)
        self.dead = Counter("tocsin_dead_letters_total", "Records moved to the dead letters.", ["topic", "cause"], registry=r)
        self.progress_refused = Counter("tocsin_progress_refused_total", "Progress whose clock disagrees with the log's.", registry=r)
        self.lag = Gauge("tocsin_lag_records", "Records of a partition that wait for this stage.", ["stage", "partition"], registry=r)
        self.oldest = Gauge("tocsin_oldest_unprocessed_timestamp_seconds", "When the oldest record in hand was written.", ["stage"], registry=r)
        self.clock = Gauge("tocsin_clock_timestamp_seconds", "Up to when everything has been judged.", ["partition"], registry=r)
        self.lost = Counter("tocsin_records_lost_total", "Records that retention took before they were read.", ["stage"], registry=r)
        self.observed = Gauge("tocsin_detector_observed", "Negative mentions in the last hour.", ["brand"], registry=r)
        self.expected = Gauge("tocsin_detector_expected", "Negative mentions that are usual for the last hour.", ["brand"], registry=r)
        self.score = Gauge("tocsin_detector_score", "Evidence for a crisis, in nats.", ["brand"], registry=r)
        self.exposure = Gauge("tocsin_exposure_ratio", "Share of the brand's usual flow that was seen in the last hour.", ["brand"], registry=r)
        self.incidents = Counter("tocsin_incidents_total", "Incidents by what happened to them.", ["brand", "event"], registry=r)
        self.open = Gauge("tocsin_incidents_open", "Incidents that are not closed.", registry=r)
        self.decision_delay = Histogram("tocsin_decision_delay_seconds", "From a mention's publication to its count.", buckets=DELAY_BUCKETS, registry=r)
        self.notifications = Counter("tocsin_notifications_total", "Attempts to send, by channel and outcome.", ["channel", "outcome"], registry=r)
        self.delivery_delay = Histogram("tocsin_delivery_delay_seconds", "From the decision to page to its delivery.", buckets=DELAY_BUCKETS, registry=r)
        self.undelivered = Gauge("tocsin_oldest_undelivered_timestamp_seconds", "When the oldest waiting page was written; 0 when none waits.", registry=r)
        self.database = Counter("tocsin_database_failures_total", "Transactions that the database refused.", ["stage"], registry=r)
        self.log = Counter("tocsin_log_failures_total", "Times that the log did not answer in time.", ["stage"], registry=r)
        # fmt: on
        for stage in ("classifier", "alerter"):
            self.lost.labels(stage)
        for stage in ("collector", "classifier", "alerter", "pager"):
            self.database.labels(stage)
            self.log.labels(stage)
        for topic in ("mentions", "mentions.scored"):
            self.skipped.labels(topic)
            self.dead.labels(topic, "unreadable")

    def expect(self, brands: Iterable[str], channels: Iterable[str]) -> None:
        """Show zeros for what may happen: the first event is an increase only where a zero was seen before it."""
        for brand in map(self.brand, brands):
            for label in ("negative", "neutral", "positive", "unsure"):
                self.sentiment.labels(brand, label)
            for event in ("opened", "closed"):
                self.incidents.labels(brand, event)
        for channel in (*channels, "unknown"):
            for outcome in ("delivered", "try_again", "refused"):
                self.notifications.labels(channel, outcome)

    def brand(self, name: str) -> str:
        """The label for a brand: its name, or `other` beyond the first hundred."""
        if name not in self._brands and len(self._brands) >= BRANDS:
            return "other"
        self._brands.add(name)
        return name

    def forget(self, stage: str, partitions: Iterable[int]) -> None:
        """Partitions that another process works on now: what was true of them here is not any more."""
        for partition in partitions:
            for gauge, labels in ((self.lag, (stage, str(partition))), (self.clock, (str(partition),))):
                if stage == "alerter" or gauge is self.lag:
                    gauge.remove(*labels)

    def forget_brands(self, brands: Iterable[str]) -> None:
        """Brands that another process judges now."""
        for brand in map(self.brand, brands):
            for gauge in (self.observed, self.expected, self.score, self.exposure):
                gauge.remove(brand)

    def exposition(self) -> bytes:
        """What `/metrics` answers."""
        return generate_latest(self.registry)
