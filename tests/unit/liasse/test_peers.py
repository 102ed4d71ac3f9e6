"""Where commands send to: options first, then the settings file, then this machine's default."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from liasse.commands.peers import Peers, config_path, find_peers
from pki.testca import TestPki
from xua.kinds.vihf_table import NORMAL


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIASSE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def urls(peers: Peers) -> tuple[str, str]:
    return peers.endpoints.registry, peers.endpoints.repository


def test_without_anything_it_is_this_machine() -> None:
    peers = find_peers(None, None, None)
    assert urls(peers) == ("http://127.0.0.1:8080/registry", "http://127.0.0.1:8080/repository")
    assert (peers.profile.name, peers.codes.name, peers.repository_id) == ("ihe", "any", None)


def test_the_settings_name_server_dialect_codes_and_repository(tmp_path: Path) -> None:
    text = 'profile = "dmp"\n[access]\npolicy = "open"\n[server]\nport = 9000\n[repository]\nunique_id = "1.2.3"\n'
    peers = find_peers(written(tmp_path / "a.toml", text), None, None)
    assert urls(peers) == ("http://127.0.0.1:9000/registry", "http://127.0.0.1:9000/repository")
    assert (peers.profile.name, peers.codes.name, peers.repository_id) == ("dmp", "dmp", "1.2.3")


def test_options_go_before_the_settings(tmp_path: Path) -> None:
    config = written(tmp_path / "a.toml", 'profile = "dmp"\n[access]\npolicy = "open"\n')
    peers = find_peers(config, "http://a/x", "http://b/y", profile="ihe", codes="toolkit")
    assert urls(peers) == ("http://a/x", "http://b/y")
    assert (peers.profile.name, peers.codes.name, peers.repository_id) == ("ihe", "connectathon", None)


@pytest.mark.parametrize(
    ("host", "base"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("localhost", "localhost")],
)
def test_the_address_of_a_listener_is_one_to_connect_to(tmp_path: Path, host: str, base: str) -> None:
    config = written(tmp_path / "a.toml", f'[server]\nhost = "{host}"\nport = 9000\n')
    assert urls(find_peers(config, None, None))[0] == f"http://{base}:9000/registry"


def test_a_registry_elsewhere_is_asked_where_it_is(tmp_path: Path) -> None:
    config = written(tmp_path / "a.toml", '[repository]\nregistry = "https://there/registry"\n')
    assert urls(find_peers(config, None, None)) == ("https://there/registry", "http://127.0.0.1:8080/repository")


def test_a_unix_socket_is_no_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = written(tmp_path / "a.toml", '[server]\nunix_socket = "s"\n')
    with pytest.raises(typer.Exit) as ended:
        find_peers(config, "http://a/x", None)
    assert ended.value.exit_code == 2
    assert "give --repository" in capsys.readouterr().err
    assert urls(find_peers(config, "http://a/x", None, repository_needed=False))[0] == "http://a/x"


def test_the_settings_file_is_an_option_a_variable_or_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_path(None) is None
    written(tmp_path / "config.toml", "")
    assert config_path(None) == Path("config.toml")
    monkeypatch.setenv("LIASSE_CONFIG", "elsewhere.toml")
    assert config_path(None) == Path("elsewhere.toml")
    assert config_path(Path("given.toml")) == Path("given.toml")


def called(peers: Peers, **given: Path | str) -> Peers:
    """With what connects and signs; nothing unless given."""
    paths = {name: Path(given[name]) if name in given else None for name in ("card", "authorities", "certificate", "key")}
    return peers.called_by(
        paths["card"],
        str(given.get("mode", NORMAL)),
        str(given.get("reason", "")),
        paths["authorities"],
        paths["certificate"],
        paths["key"],
    )


HTTPS = ("https://a/x", "https://b/y")


@pytest.mark.parametrize(
    ("where", "given", "expected"),
    [
        (HTTPS, {"mode": "bris_de_glace"}, "--mode and --reason need --card"),
        (HTTPS, {"reason": "why", "certificate": "a.pem"}, "--mode and --reason need --card"),
        (HTTPS, {"key": "a.key"}, "--client-key needs --client-certificate"),
        ((None, None), {"authorities": "a.pem"}, "are for https, http://127.0.0.1:8080/registry is not"),
        (("http://a/x", None), {"certificate": "a.pem"}, "are for https, http://a/x is not"),
        (HTTPS, {"card": "absent"}, "--card: absent"),
    ],
)
def test_what_does_not_go_together_is_told(
    where: tuple[str | None, str | None], given: dict[str, str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        called(find_peers(None, *where), **given)
    assert ended.value.exit_code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"authorities": "absent.pem"}, "absent.pem: authorities cannot be read: No such file or directory"),
        ({"certificate": "absent.pem"}, "absent.pem: no certificate with its key: No such file or directory"),
        ({"certificate": "text.pem"}, "text.pem: no certificate with its key: "),
        ({"certificate": "c.pem", "key": "secret.key"}, "secret.key: no certificate with its key: a key under a password"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, given: dict[str, str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "text.pem", "a diary")
    made = TestPki.create(tmp_path / "pki", keys="ec").issue("client", "client")
    certificate, key, _ = made.load()
    (tmp_path / "c.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    hidden = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    (tmp_path / "secret.key").write_bytes(hidden)
    with pytest.raises(typer.Exit) as ended:
        called(find_peers(None, *HTTPS), **given).client()
    assert ended.value.exit_code == 2
    assert expected in capsys.readouterr().err


def test_without_a_card_nothing_is_signed(tmp_path: Path) -> None:
    peers = find_peers(None, *HTTPS)
    assert called(peers) is peers
    caller = called(peers, authorities=TestPki.create(tmp_path / "pki", keys="ec").authorities).caller
    assert caller is not None
    assert (caller.sign(lambda: 0), caller.tls().verify_mode) == (None, ssl.CERT_REQUIRED)
