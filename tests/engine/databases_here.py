"""Database servers of this machine, started for a test and stopped after it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

PASSWORD = "s3cret&word"
"""In a URL its sign has to be written in another way: both spellings must stay hidden."""


def free_port() -> int:
    """Port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_user(*names: str) -> list[str]:
    """Words before a command that a server refuses to run as root."""
    import pwd

    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("this machine has no setpriv, and the server does not run as root")
    known = {user.pw_name: user for user in pwd.getpwall()}
    user = next((known[name] for name in names if name in known), known["nobody"])
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def wait_until(works: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for a server that starts."""
    end = time.monotonic() + seconds
    while not works():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not start in {seconds:g} seconds")
        time.sleep(0.1)


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{command[-8:]} failed: {done.stderr[-500:]}")


class Server:
    """A server that runs, with its URL; it may be stopped and started."""

    def __init__(self, start: list[str], url: str, works: Callable[[], bool], what: str) -> None:
        self._start, self._works, self._what = start, works, what
        self.url = url
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for it; again where what a killed one left is still in its way."""

        def works() -> bool:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    self._start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            return self._works()

        wait_until(works, self._what)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


@contextmanager
def postgres_server() -> Iterator[Server]:
    """PostgreSQL of the system in a folder of its own; skips where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")) or [
        Path(path) for path in [shutil.which("postgres")] if path
    ]
    if not found:
        pytest.skip("this machine has no PostgreSQL server (Debian: postgresql)")
    pytest.importorskip("adbc_driver_postgresql", reason="the extra postgres is not installed")
    user = as_user("postgres", "nobody")
    with _folder(user) as folder:
        server = _postgres(folder, found[-1].parent, user)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _postgres(folder: Path, programs: Path, user: list[str]) -> Server:
    data, secret, port = folder / "data", folder / "password", free_port()
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    options = ["-D", data, "-U", "crm", f"--pwfile={secret}", "--auth=scram-sha-256"]
    options += ["--encoding=UTF8", "--no-locale", "--no-sync"]
    _run([*user, programs / "initdb", *options])
    command = [*user, str(programs / "postgres"), "-D", str(data), "-k", str(folder)]
    command += ["-p", str(port), "-c", "listen_addresses=", "-c", "fsync=off"]
    command += ["-c", "dynamic_shared_memory_type=mmap"]
    url = f"postgresql://crm:{quote(PASSWORD)}@/postgres?host={folder}&port={port}"

    def works() -> bool:
        ready = [programs / "pg_isready", "-q", "-h", folder, "-p", str(port)]
        return subprocess.run(ready, check=False).returncode == 0

    return Server(command, url, works, "PostgreSQL")


@contextmanager
def mariadb_server() -> Iterator[Server]:
    """MariaDB of the system in a folder of its own; skips where there is none."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if program is None or install is None:
        pytest.skip("this machine has no MariaDB server (Debian: mariadb-server)")
    pymysql = pytest.importorskip("pymysql", reason="the extra mysql is not installed")
    user = as_user("mysql", "nobody")
    with _folder(user) as folder:
        server = _mariadb(folder, program, install, user)
        server.start()
        try:
            place = str(folder / "server.sock")
            with pymysql.connect(unix_socket=place, user="root") as con, con.cursor() as cursor:
                cursor.execute("CREATE DATABASE crm")
                cursor.execute("CREATE USER crm@'%%' IDENTIFIED BY %s", [PASSWORD])
                cursor.execute("GRANT ALL ON crm.* TO crm@'%'")
            yield server
        finally:
            server.stop()


def _mariadb(folder: Path, program: str, install: str, user: list[str]) -> Server:
    import pymysql

    place, port, data = folder / "server.sock", free_port(), folder / "data"
    options = ["--no-defaults", f"--datadir={data}", "--skip-test-db"]
    options += ["--auth-root-authentication-method=normal"]
    _run([*user, install, *options])
    command = [*user, program, "--no-defaults", f"--datadir={data}", f"--socket={place}"]
    command += [f"--port={port}", "--bind-address=127.0.0.1", "--innodb-flush-method=fsync"]
    command += ["--innodb-buffer-pool-size=16M", f"--pid-file={folder / 'pid'}"]

    def works() -> bool:
        try:
            pymysql.connect(unix_socket=str(place), user="root").close()
        except pymysql.Error:
            return False
        return True

    url = f"mysql://crm:{quote(PASSWORD)}@127.0.0.1:{port}/crm"
    return Server(command, url, works, "MariaDB")


@contextmanager
def _folder(user: list[str]) -> Iterator[Path]:
    """Folder of a server's user: short, since the name of a socket in it may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="cx-"))
    try:
        if user:
            os.chown(folder, int(user[1].split("=")[1]), -1)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
