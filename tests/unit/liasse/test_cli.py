"""The program as people call it: commands, exit codes, and what its processes load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 40.0
COMMANDS = [
    *("serve", "init", "migrate", "doctor", "config", "demo"),
    *("patient", "submit", "find", "get", "conformance"),
    *("fsck", "scrub", "reindex", "backup", "restore", "withdraw"),
]


def liasse(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "liasse.cli", *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "LIASSE_CONFIG"} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=PATIENCE)


def write(tmp_path: Path, extra: str = "", port: int = 0) -> Path:
    path = tmp_path / "liasse.toml"
    text = f"[server]\nport = {port}\nworkers = 1\n[admin]\nport = 0\n[feed]\nport = 0\n[limits]\nfree_space = 0\n{extra}"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_valid_settings_file_ends_with_zero(tmp_path: Path) -> None:
    done = liasse("config", "check", str(write(tmp_path)), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'liasse.toml'}: valid\n")
    assert "note: access.policy = open" in done.stderr


def test_an_unknown_key_ends_with_one_and_the_nearest_known_key(tmp_path: Path) -> None:
    done = liasse("config", "check", str(write(tmp_path, "[log]\nlevle = 'info'\n")), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path / 'liasse.toml'}:11: log.levle: unknown key; the nearest known key is level\n"


def test_the_sample_is_printed(tmp_path: Path) -> None:
    done = liasse("config", "sample", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, (ROOT / "config.sample.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve", "--workers", "0"], ["serve", "--nonsense"], ["config", "check"], []]
)
def test_wrong_use_ends_with_two(tmp_path: Path, arguments: list[str]) -> None:
    assert liasse(*arguments, cwd=tmp_path).returncode == 2


def test_the_version_is_printed(tmp_path: Path) -> None:
    done = liasse("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("liasse ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there_and_explains_itself(tmp_path: Path, command: str) -> None:
    done = liasse(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"liasse {command}" in " ".join(done.stdout.split())


def test_init_makes_the_storage_and_doctor_finds_it_fit(tmp_path: Path) -> None:
    config = str(write(tmp_path))
    done = liasse("init", "--config", config, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"storage ready: {tmp_path / 'data'}\n")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert liasse("init", "--config", config, cwd=tmp_path).returncode == 0
    examined = liasse("doctor", "--config", config, "--json", cwd=tmp_path)
    checks = {check["name"]: check for check in json.loads(examined.stdout)}
    assert (examined.returncode, checks["database"]["detail"]) == (0, "has the schema of this program")
    planned = liasse("migrate", "--plan", "--config", config, cwd=tmp_path)
    assert (planned.returncode, planned.stdout) == (0, "to apply: nothing\n")


def test_an_unfit_machine_is_refused_with_the_reason(tmp_path: Path) -> None:
    config = str(write(tmp_path))
    (tmp_path / "data").write_bytes(b"a file, no folder")
    examined = liasse("doctor", "--config", config, cwd=tmp_path)
    assert examined.returncode == 1
    assert "is no folder" in examined.stdout
    served = liasse("serve", "--config", config, cwd=tmp_path)
    assert (served.returncode, served.stdout) == (1, "")
    assert f"liasse serve: permissions: {tmp_path / 'data'} is no folder\n" in served.stderr


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("[log]\nlevel = 'loud'\n", "log.level: found 'loud', expected 'debug', 'info', 'warning' or 'error'"),
        ("[access]\npolicy = 'none'\n", "'none' is not installed"),
        ("[affinity_domain]\ncodes = 'absent.json'\n", "absent.json"),
    ],
)
def test_settings_that_cannot_be_served_end_with_one_and_say_why(tmp_path: Path, extra: str, reason: str) -> None:
    done = liasse("serve", "--config", str(write(tmp_path, extra)), cwd=tmp_path)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_makes_a_new_storage_serves_and_stops_with_zero(tmp_path: Path) -> None:
    config = write(tmp_path)
    log = tmp_path / "log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "liasse.cli", "serve", "--config", str(config), "--workers", "2"], stderr=err, cwd=ROOT
        )
    try:
        facts = ready(process, log)
        assert facts["workers"] == 2
        assert facts["pid"] == process.pid, "the server takes the place of the command"
        assert len(children(process.pid)) == 3
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, object]:
    """The event of readiness, once /health has answered 200."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        events = {line["event"]: line for line in map(json.loads, log.read_text(encoding="utf-8").splitlines())}
        if "the server is ready" in events:
            address = events["the server starts"]["address"]
            with urllib.request.urlopen(f"http://{address}/health", timeout=PATIENCE) as answer:
                assert answer.status == 200
            found: dict[str, object] = events["the server is ready"]
            return found
        time.sleep(0.05)
    pytest.fail(log.read_text(encoding="utf-8"))


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def test_the_server_never_loads_the_libraries_of_the_command_line() -> None:
    program = (
        "import sys, liasse.serve\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'typer', 'zeep', 'hypothesis'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
