"""Names as text, in the spellings of RFC 4514, RFC 2253 and common software."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from pki.names import rdns_of, read_name

NAME = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"), x509.NameAttribute(NameOID.COMMON_NAME, "A, B+C")])


@pytest.mark.parametrize(
    "text",
    [
        r"C=FR,CN=A\, B\+C",
        r"c = FR ; cn = A\2C B\2BC",
        'OID.2.5.4.6=FR, CN="A, B+C"',
        r"2.5.4.6=FR,2.5.4.3=#0C06412C20422B43",
    ],
)
def test_one_name_in_several_spellings(text: str) -> None:
    assert read_name(text) == rdns_of(NAME)


@pytest.mark.parametrize(
    "text",
    ["", "   ", "FR", "Z=1", 'CN="open', "CN=#zz", "CN=#0C05414", "CN=#02014142", "C=FR," + "O=x," * 1000],
)
def test_what_is_no_name_is_none(text: str) -> None:
    assert read_name(text) is None


def test_values_of_one_relative_name_have_no_order() -> None:
    assert read_name("CN=a+SN=b,C=FR") == read_name("SN=b+CN=a,C=FR")
    assert read_name("CN=a,C=FR") != read_name("C=FR,CN=a")


def test_blanks_at_the_end_count_where_they_are_escaped() -> None:
    assert read_name("CN=a  ,C=FR") == read_name("CN=a,C=FR")
