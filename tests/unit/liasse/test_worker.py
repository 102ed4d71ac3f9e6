"""What a worker counts of each request."""

from __future__ import annotations

import pytest

from liasse.app import RequestRecord
from liasse.metrics import Metrics
from liasse.worker import count_request


def record(outcome: str, status: int = 200, transaction: str | None = "ITI-41", fault: str | None = None) -> RequestRecord:
    return RequestRecord("POST", "/repository", "192.0.2.1", status, outcome, 7, 11, 0.02, None, fault, transaction)


@pytest.mark.parametrize("outcome", ["success", "partial", "warning", "failure", "fault"])
def test_every_outcome_of_an_answer_has_its_own_counter(outcome: str) -> None:
    metrics = Metrics(1)
    count_request(metrics, record(outcome))
    counted = {name: metrics.total("liasse_requests", "ITI-41", name) for name in ("success", "partial", "warning")}
    counted |= {name: metrics.total("liasse_requests", "ITI-41", name) for name in ("failure", "fault", "http")}
    assert counted == {name: float(name == outcome) for name in counted}
    assert metrics.total("liasse_received_bytes", "ITI-41") == 7
    assert metrics.total("liasse_sent_bytes", "ITI-41") == 11


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (record("page", 200, None), "success"),
        (record("page", 503, None), "http"),
        (record("truncated", 0, None), "http"),
        (record("media-type", 415, None), "http"),
        (record("cut", 200, "ITI-43"), "http"),
    ],
)
def test_what_ended_without_an_answer_counts_as_an_http_matter(seen: RequestRecord, outcome: str) -> None:
    metrics = Metrics(1)
    count_request(metrics, seen)
    assert metrics.total("liasse_requests", seen.transaction or "none", outcome) == 1


def test_a_transaction_the_counters_do_not_know_is_counted_under_none() -> None:
    metrics = Metrics(1)
    count_request(metrics, record("success", transaction="ITI-9999"))
    assert metrics.total("liasse_requests", "none", "success") == 1
