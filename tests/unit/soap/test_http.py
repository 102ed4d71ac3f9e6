"""What the HTTP server counts and forwards, apart from connections themselves (see the attacks on connections)."""

from __future__ import annotations

import pytest

from soap.http import Gate, counted_as


def test_the_gate_counts_each_address() -> None:
    gate = Gate(2)
    assert [gate.admit("a") for _ in range(3)] == [True, True, False]
    assert gate.admit("b")
    gate.leave("a")
    assert gate.admit("a")
    assert not gate.admit("a")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, expected: str) -> None:
    assert counted_as(address) == expected
