"""The list of metrics: complete, documented, bounded, and each of them counted somewhere."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from services.metrics import BRANDS, Metrics

ROOT = Path(__file__).parents[2]
SUFFIX = {"counter": "_total", "info": "_info"}


def declared(metrics: Metrics) -> dict[str, MetricWrapperBase]:
    """Attribute of `Metrics` -> metric."""
    return {name: value for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}


def row(metric: MetricWrapperBase) -> str:
    """A metric as its line in docs/metrics.md."""
    (family,) = metric.describe()
    labels = ", ".join(f"`{name}`" for name in metric._labelnames)
    return f"| `{family.name}{SUFFIX.get(family.type, '')}` | {family.type} | {labels} | {family.documentation} |"


def test_the_table_in_the_documentation_is_the_list_of_metrics():
    lines = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `tocsin_")] == [row(m) for m in declared(Metrics()).values()]


def test_everything_in_the_registry_is_a_declared_metric():
    metrics = Metrics()
    declared_names = {m.describe()[0].name for m in declared(metrics).values()}
    assert {family.name for family in metrics.registry.collect()} == declared_names


@pytest.mark.parametrize("metric", declared(Metrics()).values(), ids=lambda m: m.describe()[0].name)
def test_names_are_what_prometheus_recommends(metric: MetricWrapperBase):
    (family,) = metric.describe()
    name = family.name
    assert re.fullmatch(r"tocsin_[a-z_]+", name)
    assert family.documentation.endswith(".")
    assert not re.search(r"_(ms|millis|minutes|hours|percent|kb|mb)\b", name), "base units only"
    assert family.type != "histogram" or name.endswith("_seconds")
    assert family.type != "gauge" or not name.endswith("_total")
    assert "le" not in metric._labelnames


def test_no_brand_on_a_histogram():
    for metric in declared(Metrics()).values():
        assert not (metric.describe()[0].type == "histogram" and "brand" in metric._labelnames)


def test_every_metric_is_counted_somewhere():
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "services").rglob("*.py") if path.name != "metrics.py"
    )
    unused = [name for name in declared(Metrics()) if not re.search(rf"\b_?metrics\.{name}\b", source)]
    assert unused == []


def test_brands_beyond_the_first_hundred_share_a_label():
    metrics = Metrics()
    names = [metrics.brand(f"brand {n}") for n in range(BRANDS + 50)]
    assert names[:BRANDS] == [f"brand {n}" for n in range(BRANDS)]
    assert set(names[BRANDS:]) == {"other"}
    assert metrics.brand("brand 3") == "brand 3"


def test_what_may_happen_is_zero_before_it_happens():
    metrics = Metrics()
    metrics.expect(["Kometa"], ["team"])
    families = text_string_to_metric_families(metrics.exposition().decode())
    zeros = {(s.name, *sorted(s.labels.values())) for family in families for s in family.samples if s.value == 0}
    assert ("tocsin_mentions_total", "Kometa", "negative") in zeros
    assert ("tocsin_notifications_total", "refused", "team") in zeros
    assert ("tocsin_incidents_total", "Kometa", "opened") in zeros
    assert ("tocsin_dead_letters_total", "mentions", "unreadable") in zeros
    assert ("tocsin_database_failures_total", "pager") in zeros
