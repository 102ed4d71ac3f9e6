"""The settings file: its names, its defaults, its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from liasse.settings import Settings, sections
from liasse.settings_file import SettingsError, load_settings, sample

ROOT = Path(__file__).resolve().parents[3]

EVERY_NAME_OF_THE_MANUAL = """
profile = "dmp"
retry = "message-id"
retry_window = 3600
[server]
host = "0.0.0.0"
port = 9000
unix_socket = "run/liasse.sock"
workers = 3
[admin]
host = "::1"
port = 9001
[storage]
directory = "store"
database = "postgresql://db.example/liasse"
[repository]
unique_id = "1.2.250.1.9"
registry = "https://registry.example/registry"
content_check = "refuse"
[affinity_domain]
codes = "codes.json"
patients = "known"
assigning_authorities = ["1.2.250.1.213.1.4.8", "&1.2.250.1.213.1.4.10&ISO"]
home_community_id = "1.2.250.1.10"
[access]
policy = "open"
[feed]
host = "127.0.0.2"
port = 0
[limits]
staged_per_peer = 1000
staged_total = 2000
free_space = 5000
[log]
level = "debug"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "liasse.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load_settings(write(tmp_path, text))
    return refused.value.problems


def test_every_name_of_the_manual_is_read(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, EVERY_NAME_OF_THE_MANUAL))
    assert (settings.profile, settings.retry, settings.retry_window) == ("dmp", "message-id", 3600)
    assert (settings.server.host, settings.server.port, settings.worker_count) == ("0.0.0.0", 9000, 3)
    assert settings.server.unix_socket == tmp_path / "run/liasse.sock"
    assert (settings.admin.host, settings.admin.port) == ("::1", 9001)
    assert settings.storage.directory == tmp_path / "store"
    assert settings.storage.run_directory == tmp_path / "store/run"
    assert settings.storage.database == "postgresql://db.example/liasse"
    assert settings.repository.unique_id == "1.2.250.1.9"
    assert settings.repository.registry == "https://registry.example/registry"
    assert settings.repository.content_check == "refuse"
    assert settings.affinity_domain.codes == str(tmp_path / "codes.json")
    assert settings.affinity_domain.patients == "known"
    assert settings.affinity_domain.assigning_authorities == ("1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.10")
    assert settings.affinity_domain.home_community_id == "urn:oid:1.2.250.1.10"
    assert settings.access.policy == "open"
    assert (settings.feed.host, settings.feed.port) == ("127.0.0.2", 0)
    assert (settings.limits.staged_per_peer, settings.limits.staged_total, settings.limits.free_space) == (1000, 2000, 5000)
    assert settings.log.level == "debug"


def test_an_empty_file_is_the_defaults_beside_that_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ""))
    assert settings.storage.directory == tmp_path / "data"
    assert settings.model_copy(update={"storage": Settings().storage}) == Settings()


def test_without_a_file_paths_are_below_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None).storage.directory == tmp_path / "data"


def test_a_built_in_set_of_codes_is_not_a_path(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, '[affinity_domain]\ncodes = "toolkit"')).affinity_domain.codes == "toolkit"


def test_defaults_listen_on_this_machine_only() -> None:
    settings = Settings()
    assert [settings.server.host, settings.admin.host, settings.feed.host] == ["127.0.0.1"] * 3
    assert settings.feed.port == 2575
    assert (settings.limits.staged_per_peer, settings.limits.staged_total) == (32 * 2**20, 256 * 2**20)
    assert settings.retry_window == 24 * 3600


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Settings().server, "port", 1)  # noqa: B010  (an assignment would not type-check)


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = problems(
        tmp_path, '[server]\nport = "80"\nworkers = -1\n[feed]\nport = 70000\n[repository]\nunique_id = "1.02"\n'
    )
    path = tmp_path / "liasse.toml"
    assert found == (
        f"{path}:2: server.port: found '80', expected a valid integer",
        f"{path}:3: server.workers: found -1, expected greater than or equal to 0",
        f"{path}:5: feed.port: found 70000, expected less than or equal to 65535",
        f"{path}:7: repository.unique_id: found '1.02', "
        "expected an OID of at most 64 characters, such as 1.2.250.1.213.1.4.8",
    )


@pytest.mark.parametrize(
    ("text", "line", "advice"),
    [
        ("[server]\nprot = 1", 2, "server.prot: unknown key; the nearest known key is port"),
        ("profil = 'ihe'", 1, "profil: unknown key; the nearest known key is profile"),
        ("[sevrer]\nport = 1", 1, "sevrer: unknown key; the nearest known key is server"),
        ("[server]\nstaged_total = 1", 2, "server.staged_total: unknown key; did you mean limits.staged_total?"),
        ("port = 1", 1, "port: unknown key; did you mean admin.port?"),
        ("[server]\nzzzz = 1", 2, "server.zzzz: unknown key"),
        ("server.prot = 1", 1, "server.prot: unknown key; the nearest known key is port"),
    ],
)
def test_an_unknown_key_comes_with_the_nearest_known_one(tmp_path: Path, text: str, line: int, advice: str) -> None:
    assert problems(tmp_path, text) == (f"{tmp_path / 'liasse.toml'}:{line}: {advice}",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server = 3", "server: found 3, expected a table: [server]"),
        ("[admin]\nhost = '0.0.0.0'", "admin.host: found '0.0.0.0', expected a loopback address"),
        ("[admin]\nhost = 'example'", "admin.host: found 'example', expected a loopback address"),
        (
            "[repository]\nregistry = 'ftp://h'",
            "repository.registry: found 'ftp://h', expected a URL that begins with http://",
        ),
        ("[limits]\nfree_space = '7'", "limits.free_space: found '7', expected bytes (0 or more), a percentage"),
        ("[limits]\nfree_space = -1", "limits.free_space: found -1, expected bytes"),
        ("[limits]\nstaged_per_peer = 2\nstaged_total = 1", "limits: staged_per_peer must not exceed staged_total"),
        ("[affinity_domain]\nassigning_authorities = ['1.2', 'x']", "assigning_authorities: found 'x', expected an OID"),
        (
            "[repository]\nregistry = 'http://h'\n[access]\npolicy = 'x'",
            "access.policy = 'x' needs the registry of this instance",
        ),
        ("[server]\nworkers = true", "server.workers: found True, expected a valid integer"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert expected in problem


def test_a_database_url_is_never_repeated(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, '[storage]\ndatabase = "mysql://someone:password@h/d"')
    assert "storage.database" in problem
    assert "password" not in problem


def test_a_file_that_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "profile = \n")
    assert "not TOML" in problem
    assert "line 1" in problem


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"# \xe9")
    with pytest.raises(SettingsError, match="not UTF-8 at byte 2"):
        load_settings(binary)


@pytest.mark.parametrize(
    ("value", "total", "low"),
    [
        ("123", 10**12, 123),
        ('"10%"', 1000, 100),
        ('"auto"', 10**12, 2_000_000_000),
        ('"auto"', 10**9, 50_000_000),
    ],
)
def test_low_water_mark(tmp_path: Path, value: str, total: int, low: int) -> None:
    assert load_settings(write(tmp_path, f"[limits]\nfree_space = {value}")).limits.low_water(total) == low


def test_the_number_of_workers_is_that_of_the_processors_unless_set() -> None:
    assert Settings().worker_count >= 1
    assert Settings().with_workers(7).worker_count == 7


def test_the_sample_lists_every_option_at_its_default(tmp_path: Path) -> None:
    text = (ROOT / "config.sample.toml").read_text(encoding="utf-8")
    assert text == sample(), "write it again with: liasse config sample > config.sample.toml"
    plain = "\n".join(line.removeprefix("#") if line[:1] == "#" and line[1:2] != " " else line for line in text.splitlines())
    assert load_settings(write(tmp_path, plain)) == load_settings(write(tmp_path, ""))
    for name, table in sections().items():
        for key, field in table.model_fields.items():
            if name or key not in sections():
                assert f"\n#{key} = " in text
                assert field.description
                assert field.description.endswith(".")


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_files_are_valid(path: Path) -> None:
    assert load_settings(path).storage.directory.is_relative_to(ROOT / "data")


def test_the_lab_file_has_what_labs_expect() -> None:
    settings = load_settings(ROOT / "config" / "connectathon.toml")
    domain = settings.affinity_domain
    assert (domain.codes, domain.patients) == ("toolkit", "known")
    assert domain.assigning_authorities == ("1.3.6.1.4.1.21367.13.20.1000",)
    assert settings.retry == "message-id"


def test_risky_choices_are_named(tmp_path: Path) -> None:
    text = (
        '[server]\nhost = "0.0.0.0"\n[repository]\nunique_id = "1.2.3"\ncontent_check = "off"\n'
        '[affinity_domain]\npatients = "known"\n[feed]\nhost = "192.0.2.1"\n'
    )
    named = [line.split(":")[0] for line in load_settings(write(tmp_path, text)).cautions()]
    assert named == [
        "assertions.required = false",
        "access.policy = open",
        "server.host = 0.0.0.0",
        "feed.host = 192.0.2.1",
        "audit.collector",
        "repository.content_check = off",
    ]
    assert any(line.startswith("affinity_domain.patients = any") for line in Settings().cautions())


def test_a_responder_belongs_to_an_authority(tmp_path: Path) -> None:
    text = '[tls]\nclient_ca = ["ca.pem"]\nocsp = [{issuer = "ca.pem", url = "https://ocsp.example:8443/ca?x=1"}]\n'
    settings = load_settings(write(tmp_path, text))
    (found,) = settings.tls.ocsp
    assert (found.issuer, found.url) == (tmp_path / "ca.pem", "https://ocsp.example:8443/ca?x=1")
    assert not [line for line in settings.cautions() if line.startswith("tls.crl")]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('url = "http://ocsp.example"', "Field required"),
        ('issuer = "ca.pem"', "Field required"),
        ('issuer = "ca.pem", url = "http://ocsp.example", nonce = false', "unknown key"),
        *(
            (f'issuer = "ca.pem", url = "{url}"', "expected a URL that begins with http:// or https://")
            for url in (
                "", "ocsp.example", "file:///etc/passwd", "ftp://ocsp.example/", "http://", "http://:80/", "http://u:p@host/",
                "http://host/#part", "http://host:port/", "http://[::1/", "http://host:0/", "http://ho st/", "http://host?x",
            )
        ),
    ],
)  # fmt: skip
def test_a_responder_that_cannot_be_asked(tmp_path: Path, table: str, said: str) -> None:
    (problem,) = problems(tmp_path, f"[tls]\nocsp = [{{{table}}}]\n")
    assert problem.startswith(f"{tmp_path / 'liasse.toml'}:2: tls.ocsp: ")
    assert said in problem


def test_a_responder_is_asked_again_within_fifteen_minutes(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[tls]\nocsp_refresh = 901\n")
    assert "tls.ocsp_refresh: found 901, expected less than or equal to 900" in problem


def test_the_profile_dmp_needs_a_policy_that_is_named(tmp_path: Path) -> None:
    """Nobody runs a shared record open by not saying so."""
    [said] = problems(tmp_path, 'profile = "dmp"\n[access]\n')
    assert "access.policy: the profile dmp needs one that is named" in said
    for policy in ("open", "dmp"):
        assert load_settings(write(tmp_path, f'profile = "dmp"\n[access]\npolicy = "{policy}"\n')).access.policy == policy
    assert load_settings(write(tmp_path, "")).access.policy == "open"
