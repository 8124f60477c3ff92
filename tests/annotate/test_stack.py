"""The stack: real servers and tiny real programs as children; what was started never outlives its starter."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import click
import psycopg
import pytest
from rich.console import Console

from annotate import migrate
from annotate.cli import COMMANDS
from annotate.cli import main as cli
from annotate.settings import WebSettings
from annotate.stack.home import (
    AlreadyRunning,
    Home,
    StackSettings,
    find_home,
    instance_environment,
    open_home,
)
from annotate.stack.port import port_trouble
from annotate.stack.process import Process, Service, StackError, User, may_enter, open_log, service_user, tail
from annotate.stack.supervisor import Supervisor
from annotate.stack.valkey import Valkey
from annotate.worker import SCHEDULE, load_jobs
from payments.settings import PaymentSettings
from tasks.queue import celery
from tasks.settings import Settings, TaskSettings

ROOT = Path(__file__).parents[2]

KEEPER = """
import sys
from pathlib import Path
from annotate.stack.process import Service
from annotate.stack.supervisor import Stopped, Supervisor

mark = Path(sys.argv[1])
program = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
def written(path):
    return lambda pid: path.exists() and path.read_text() == str(pid)

services = [
    Service(name, [sys.executable, "-Sc", program, str(mark / name)], ready=written(mark / name))
    for name in ("first", "second")
]
supervisor = Supervisor()
try:
    with supervisor.running():
        supervisor.start(*services)
        print("kept", flush=True)
        supervisor.keep()
except Stopped:
    sys.exit(0)
"""


def python(*lines: str) -> list[str]:
    """Give the command line of a tiny program."""
    return [sys.executable, "-Sc", "\n".join(lines)]


def quiet() -> tuple[Supervisor, StringIO]:
    """Make a supervisor that does not pause, and what it says."""
    said = StringIO()
    return Supervisor(Console(file=said, width=200), first_pause=0), said


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process that is not ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([descriptor], [], [], 20)
    os.close(descriptor)
    assert ended, f"process {pid} still runs"


@pytest.fixture
def home() -> Iterator[Home]:
    """A state directory where the servers' user may go, which pytest's own is not for root."""
    with tempfile.TemporaryDirectory(
        prefix="fairlabel-home-", dir="/tmp", ignore_cleanup_errors=True
    ) as place:
        yield open_home({"FAIRLABEL_HOME": place})


def test_the_embedded_server_opens_no_port_and_lets_only_its_user_in(server_url: str) -> None:
    if os.environ.get("TEST_SERVER_URL"):
        pytest.skip("TEST_SERVER_URL names a server that is not ours")
    with psycopg.connect(server_url) as connection:
        (addresses,) = connection.execute("SELECT current_setting('listen_addresses')").fetchone() or (None,)
        (place,) = connection.execute("SELECT current_setting('unix_socket_directories')").fetchone() or ("",)
    assert addresses == ""
    assert Path(place).stat().st_mode & 0o777 == 0o700


def test_migrations_bring_an_empty_database_to_the_newest_shape(empty_database: str) -> None:
    migrate.upgrade(empty_database)
    assert migrate.is_current(empty_database)
    migrate.upgrade(empty_database)


def test_valkey_answers_on_its_socket_and_stops(home: Home) -> None:
    valkey = Valkey(home)
    valkey.prepare()
    process = Process(valkey.service())
    try:
        process.wait_ready()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(valkey.socket))
            client.sendall(b"CONFIG GET appendonly\r\n")
            assert b"yes" in client.recv(200)
    finally:
        process.stop()
    assert process.ended()
    assert (home.root / "valkey").stat().st_mode & 0o777 == 0o700


def test_the_last_words_of_a_program_that_ends_at_its_start_are_told(tmp_path: Path) -> None:
    argv = python("print('no such table')", "raise SystemExit(3)")
    process = Process(Service("Clerk", argv, log=tmp_path / "clerk.log", ready=lambda _: False))
    with pytest.raises(StackError, match=r"Clerk ended at its start \(exit code 3\)[\s\S]*no such table"):
        process.wait_ready()


def test_a_program_that_is_never_ready_is_given_up() -> None:
    process = Process(Service("Sleeper", ["sleep", "600"], ready=lambda _: False, start_limit=0))
    try:
        with pytest.raises(StackError, match="Sleeper was not ready"):
            process.wait_ready()
    finally:
        process.stop()


def test_a_program_that_cannot_be_started_says_why() -> None:
    with pytest.raises(StackError, match="Ghost could not be started"):
        Process(Service("Ghost", ["/nonexistent/program"]))


def test_stopping_ends_deaf_programs_and_their_children(tmp_path: Path) -> None:
    told = tmp_path / "child"
    argv = python(
        "import os, pathlib, signal, subprocess, time",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "child = subprocess.Popen(['sleep', '600'])",
        f"draft = pathlib.Path({str(tmp_path / 'draft')!r})",
        "draft.write_text(str(child.pid))",
        f"draft.rename({str(told)!r})",
        "time.sleep(600)",
    )
    process = Process(Service("Deaf", argv, ready=lambda _: told.exists()))
    process.wait_ready()
    process.stop(limit=0)
    assert process.popen.returncode == -signal.SIGKILL
    wait_until_gone(int(told.read_text()))


def test_a_service_that_dies_is_started_again(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    argv = python(
        "import time",
        f"file = open({str(runs)!r}, 'a+')",
        "file.write('x')",
        "file.close()",
        "time.sleep(600)",
    )
    supervisor, said = quiet()
    with supervisor.running():
        supervisor.start(Service("Clerk", argv, log=tmp_path / "clerk.log", ready=lambda _: runs.exists()))
        process = supervisor.kept[0].process
        assert process is not None
        process.popen.kill()
        process.popen.wait()
        supervisor.look_after()
        supervisor.look_after()
        again = supervisor.kept[0].process
        assert again is not None
        assert again.pid != process.pid
        assert not again.ended()
    assert again.ended()
    assert (
        f"Clerk died (killed by SIGKILL); starting it again in 0 s. Log: {tmp_path / 'clerk.log'}"
        in said.getvalue()
    )


def test_a_service_that_dies_five_times_stops_everything(tmp_path: Path) -> None:
    supervisor, said = quiet()
    argv = python("print('the roof is on fire')", "raise SystemExit(1)")
    with supervisor.running():
        supervisor.start(Service("Bystander", ["sleep", "600"]))
        bystander = supervisor.kept[0].process
        supervisor.start(Service("Clerk", argv, log=tmp_path / "clerk.log"))
        with pytest.raises(StackError, match=r"Clerk died 5 times within a minute[\s\S]*roof is on fire"):
            supervisor.keep()
    assert said.getvalue().count("Clerk died") == 4
    assert bystander is not None
    assert bystander.ended()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)])
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal to orphans is Linux's")
def test_nothing_outlives_the_supervisor(tmp_path: Path, number: signal.Signals, code: int) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with keeper:
        assert keeper.stdout is not None
        while keeper.stdout.readline() != "kept\n":
            assert keeper.poll() is None
        children = [int((tmp_path / name).read_text()) for name in ("first", "second")]
        keeper.send_signal(number)
        assert keeper.wait(timeout=20) == code
    for pid in children:
        wait_until_gone(pid)


def test_the_secret_key_is_made_once_and_readable_by_its_owner_alone(home: Home) -> None:
    key = home.secret_key()
    assert home.secret_key() == key
    assert (home.root / "secret.key").stat().st_mode & 0o777 == 0o600
    assert WebSettings(secret_key=key).secret_key == key


def test_a_second_command_on_the_same_state_is_told_so(home: Home) -> None:
    home.remember({"FAIRLABEL_BASE_URL": "http://localhost:8123"})
    told = pytest.raises(AlreadyRunning, match=r"is running on .* \(http://localhost:8123\)")
    with home.lock(), told, home.lock():
        pass


def test_what_the_environment_says_wins_over_the_embedded_servers(home: Home) -> None:
    given = {"FAIRLABEL_HOME": str(home.root), "DATABASE_URL": "postgresql://elsewhere/x", "BROKER_URL": ""}
    env = instance_environment(given)
    assert env["DATABASE_URL"] == "postgresql://elsewhere/x"
    assert env["BROKER_URL"] == home.broker_url


def test_a_deep_state_directory_gets_a_short_place_for_its_sockets() -> None:
    deep = find_home({"FAIRLABEL_HOME": "/srv/" + "deep/" * 30})
    assert len(str(deep.run / "postgres" / ".s.PGSQL.5432.lock")) < 107
    assert deep.run != find_home({"FAIRLABEL_HOME": "/srv/" + "deep/" * 31}).run


def test_only_open_parents_let_another_user_pass(tmp_path: Path) -> None:
    stranger = User("stranger", 64_321, 64_321)
    inside = tmp_path / "closed" / "inside"
    inside.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    assert not may_enter(inside, stranger)
    assert may_enter(Path("/usr/bin"), stranger)
    assert (service_user() is None) == (os.geteuid() != 0)


def test_a_long_log_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"x" * 8_000_001)
    with open_log(log) as descriptor:
        os.write(descriptor, b"one\ntwo\nthree\n")
    assert tail(log, 2) == "    two\n    three"
    assert (tmp_path / "web.log.1").stat().st_size == 8_000_001


def test_a_taken_port_is_named_with_the_remedy_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_trouble("127.0.0.1", port) == f"Port {port} is taken"
        env = {**os.environ, "FAIRLABEL_HOME": str(tmp_path / "none")}
        command = [sys.executable, "-m", "annotate.cli", "up", "--port", str(port)]
        ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"PORT={port + 1} make run" in ended.stderr
    assert not (tmp_path / "none").exists()


def fairlabel(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on a state directory of its own."""
    command = [sys.executable, "-m", "annotate.cli", *arguments]
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
    env |= {"FAIRLABEL_HOME": str(home), "PAYMENTS_LOG_KEY": "k" * 64}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_every_command_takes_json_and_says_its_exit_codes() -> None:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        several = list(command.commands.values()) if isinstance(command, click.Group) else [command]
        told = [[option for one in part.params for option in one.opts] for part in several]
        # The verifier's options are its own program's.
        assert name == "verify" or all("--json" in options for options in told), name
        assert command.epilog, name


@pytest.mark.parametrize(
    ("arguments", "title", "exit_code"),
    [
        (("bundle", "--period", "2026-W47", "--out", "/nowhere/x.zip"), "WrongCommand", 2),
        (("bundle", "--out", "x.zip"), "WrongCommand", 2),
        (("replay", "/nowhere"), "NoRecording", 1),
        (("migrate",), "StackError", 1),
    ],
)
def test_what_is_wrong_is_one_document_with_json(
    arguments: tuple[str, ...], title: str, exit_code: int, tmp_path: Path
) -> None:
    ended = fairlabel(*arguments, "--json", home=tmp_path)
    assert ended.returncode == exit_code, ended.stderr
    said = json.loads(ended.stdout)
    assert (said["title"], said["exit_code"]) == (title, exit_code)
    assert said["detail"]
    assert "Traceback" not in ended.stderr
    plain = fairlabel(*arguments, home=tmp_path)
    assert (plain.returncode, plain.stdout) == (exit_code, "")
    assert plain.stderr.strip()
    assert "Traceback" not in plain.stderr


def test_serving_on_a_taken_port_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = fairlabel("serve", "--port", str(port), home=tmp_path)
        told = fairlabel("serve", "--port", str(port), "--json", home=tmp_path)
    assert ended.returncode == told.returncode == 2
    assert f"Port {port} is taken. Choose another: `fairlabel serve --port {port + 1}`." in ended.stderr
    assert "is taken" in json.loads(told.stdout)["detail"]


def test_doctor_prints_one_document_and_fails_where_nothing_runs(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
    env["FAIRLABEL_HOME"] = str(tmp_path)
    command = [sys.executable, "-m", "annotate.cli", "doctor", "--json"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    found = json.loads(ended.stdout)
    works = {check["check"]: check["works"] for check in found["checks"]}
    assert ended.returncode == 1
    assert found["works"] is False
    assert (works["database"], works["broker"]) == (False, False)


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from annotate.cli import main; main(['--help'], standalone_mode=False); "
        "sys.exit(','.join({'sqlalchemy', 'celery', 'litestar', 'rich', 'psycopg'} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "doctor" in ended.stdout


def test_every_sweep_of_the_schedule_is_a_job() -> None:
    load_jobs()
    assert set(SCHEDULE) <= set(celery.tasks)


def test_the_example_names_every_setting_and_no_other() -> None:
    classes: list[type[Settings]] = [TaskSettings, PaymentSettings, WebSettings, StackSettings]
    wanted = {variable for settings in classes for variable in settings.variables().values()}
    lines = (ROOT / "deploy" / "env.example").read_text().splitlines()
    named = [
        line.lstrip("#").partition("=")[0]
        for line in lines
        if "=" in line and line[:1].isupper() | (line[1:2].isupper() and line[0] == "#")
    ]
    assert sorted(named) == sorted(wanted)
