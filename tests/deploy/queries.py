"""What dashboard and alert rules ask Prometheus, and which metrics there are."""

import json
import re
from pathlib import Path

import yaml
from prometheus_client.metrics import MetricWrapperBase

from services.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "tocsin.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
PREPARED = {"$__rate_interval": "10s", "$brand": ".*"}
"""What Grafana puts in place of its variables, here for a scrape every second."""


def panels() -> list[tuple[str, str]]:
    """Title and query of each target of each panel, variables replaced."""
    found = []
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for variable, value in PREPARED.items():
                query = query.replace(variable, value)
            found.append((panel["title"], query))
    return found


def alerts() -> list[dict[str, object]]:
    """The alert rules."""
    return [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def series() -> dict[str, set[str]]:
    """Name of each series that `/metrics` can show -> its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(Metrics()).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        (family,) = metric.describe()
        labels = set(metric._labelnames)
        match family.type:
            case "counter":
                found[f"{family.name}_total"] = labels
            case "histogram":
                found |= {
                    f"{family.name}_bucket": labels | {"le"},
                    f"{family.name}_count": labels,
                    f"{family.name}_sum": labels,
                }
            case "info":
                found[f"{family.name}_info"] = labels
            case _:
                found[family.name] = labels
    return found


def asked(query: str) -> set[str]:
    """Names of the series in a query."""
    return set(re.findall(r"\btocsin_[a-z_]+", query))


def selected(query: str) -> list[tuple[str, set[str]]]:
    """Each `name{label=...}` of a query as name and labels."""
    return [
        (name, set(re.findall(r"(\w+)\s*[=!]~?", inside)))
        for name, inside in re.findall(r"(tocsin_\w+)\{([^}]*)\}", query)
    ]


def grouped(query: str) -> set[str]:
    """Labels that a query keeps by `by (...)`."""
    return {label.strip() for inside in re.findall(r"\bby \(([^)]*)\)", query) for label in inside.split(",")}
