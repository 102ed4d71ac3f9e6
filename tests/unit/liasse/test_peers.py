"""Where commands send to: options first, then the settings file, then this machine's default."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from liasse.commands.peers import Peers, config_path, find_peers


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
    text = 'profile = "dmp"\n[server]\nport = 9000\n[repository]\nunique_id = "1.2.3"\n'
    peers = find_peers(written(tmp_path / "a.toml", text), None, None)
    assert urls(peers) == ("http://127.0.0.1:9000/registry", "http://127.0.0.1:9000/repository")
    assert (peers.profile.name, peers.codes.name, peers.repository_id) == ("dmp", "dmp", "1.2.3")


def test_options_go_before_the_settings(tmp_path: Path) -> None:
    config = written(tmp_path / "a.toml", 'profile = "dmp"\n')
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
