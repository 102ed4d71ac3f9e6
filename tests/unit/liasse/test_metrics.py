"""Counters of several processes."""

from __future__ import annotations

import os
import threading
from typing import get_args

import pytest

from liasse.metrics import BUCKETS, CUTS, Counter, Metrics
from soap.http import CutReason


def test_counts_of_all_processes_are_added() -> None:
    metrics = Metrics(3)
    metrics.count("liasse_requests", "ITI-18", "success")
    children = []
    for row in (1, 2):
        child = os.fork()
        if child == 0:
            metrics.use_row(row)
            metrics.count("liasse_requests", "ITI-18", "success", by=row * 10)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert metrics.total("liasse_requests", "ITI-18", "success") == 31
    assert b'liasse_requests_total{outcome="success",transaction="ITI-18"} 31.0' in metrics.render({})


def test_threads_of_one_process_lose_no_count() -> None:
    metrics = Metrics(1)

    def work() -> None:
        for _ in range(2000):
            metrics.count("liasse_cut_connections", "slow")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.total("liasse_cut_connections", "slow") == 8000


def test_durations_fall_into_cumulative_buckets() -> None:
    metrics = Metrics(2)
    for seconds in (0.0005, 0.03, 0.05, 99.0):
        metrics.observe("liasse_request_seconds", "ITI-41", seconds=seconds)
    text = metrics.render({}).decode()

    def bucket(limit: str) -> float:
        prefix = f'liasse_request_seconds_bucket{{le="{limit}",transaction="ITI-41"}} '
        (line,) = (line for line in text.splitlines() if line.startswith(prefix))
        return float(line.removeprefix(prefix))

    assert [bucket(limit) for limit in ("0.001", "0.025", "0.05", "10.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert 'liasse_request_seconds_count{transaction="ITI-41"} 4.0' in text
    assert 'liasse_request_seconds_sum{transaction="ITI-41"} 99.0805' in text
    assert len(BUCKETS) == len(set(BUCKETS))


def test_gauges_are_rendered_with_their_help() -> None:
    text = Metrics(1).render({"liasse_free_bytes": ("Bytes free.", 12.0)}).decode()
    assert "# HELP liasse_free_bytes Bytes free.\n" in text
    assert "liasse_free_bytes 12.0\n" in text


def test_an_unknown_name_or_label_value_is_an_error() -> None:
    metrics = Metrics(1, [Counter("a", "A.", {"kind": ("x",)})])
    with pytest.raises(KeyError):
        metrics.count("a", "Some Patient")
    with pytest.raises(KeyError):
        metrics.count("b")
    with pytest.raises(IndexError, match="row 1 of 1"):
        metrics.use_row(1)


def test_every_reason_to_cut_a_connection_is_counted() -> None:
    assert get_args(CutReason) == CUTS
