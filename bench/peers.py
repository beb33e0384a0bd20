"""The poolers that are compared: how each is configured alike, and started."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from processes import Child, Failed, cpu_seconds, free_port

DATABASE = "bench"
USER = "bench"
POOL_SIZE = 20
CLIENTS_MAX = 12_000
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Peer:
    """A pooler that runs. `databases` names the database to ask for, by pgbench's protocol."""

    name: str
    child: Child
    port: int
    databases: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    def database(self, protocol):
        return self.databases.get(protocol, DATABASE)

    def cpu_seconds(self):
        return cpu_seconds(self.child.pid)


class Postgres:
    """A private server that does not wait for disks."""

    def __init__(self, folder, identity, scale):
        self.folder = Path(folder) / "postgres"
        self.identity = identity
        self.port = free_port()
        self.bin = postgres_bin()
        self.folder.mkdir()
        identity.own(self.folder)
        self._run("initdb", "-D", self.folder, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "512MB", "max_connections": 400,
            "autovacuum": "off", "log_min_messages": "fatal", "max_wal_size": "4GB", "checkpoint_timeout": "1h",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.child = Child([self.bin / "postgres", "-D", self.folder, *options], folder / "postgres.log", identity)
        self.child.await_port(self.port)
        self._await_ready()
        self._run("createdb", *self.where(), DATABASE)
        self._run("pgbench", *self.where(), "-i", "-q", "-s", scale, DATABASE)
        self.version = self._run("postgres", "--version").strip()

    def _await_ready(self, seconds=60.0):
        """A port that is open is no server that lets anybody in yet."""
        command = [str(self.bin / "pg_isready"), "-q", *map(str, self.where())]
        end = time.monotonic() + seconds
        while subprocess.run(command).returncode != 0:
            if time.monotonic() > end:
                raise Failed(f"Postgres is not ready after {seconds:.0f} s; {self.folder.parent / 'postgres.log'} may say why.")
            time.sleep(0.05)

    def where(self):
        return ["-h", "127.0.0.1", "-p", self.port, "-U", USER]

    def _run(self, program, *arguments):
        command = [str(self.bin / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **self.identity.options())
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        return done.stdout


def postgres_bin():
    """The folder of the newest Postgres here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path is None:
        raise Failed("There is no Postgres server here. On Debian: apt-get install postgresql")
    return Path(on_path).resolve().parent


def start_paceline(folder, identity, postgres, workers=1, name="paceline"):
    """Paceline as it ships: everything observed, nothing switched off."""
    binary = Path(os.environ.get("PACELINE") or Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/paceline")
    if not binary.exists():
        raise Failed(f"{binary} is not there. `make build` makes it; PACELINE=path names another.")
    port = free_port()
    config = folder / f"{name}.toml"
    config.write_text(
        f'mode = "fix"\nworkers = {workers}\n\n'
        f'[postgres]\nlisten = "127.0.0.1:{port}"\n'
        f'url = "postgres://{USER}@127.0.0.1:{postgres.port}/{DATABASE}"\n'
        f"pool_size = {POOL_SIZE}\nclients_max = {CLIENTS_MAX}\n\n"
        f'[admin]\nlisten = "127.0.0.1:{free_port()}"\n\n[log]\nlevel = "warn"\n'
    )
    # A copy that the other user can reach, wherever the repository lies.
    copy = folder / "paceline"
    if not copy.exists():
        shutil.copy2(binary, copy)
        copy.chmod(0o755)
    child = Child([copy, "run", "--config", config], folder / f"{name}.log", identity, cwd=folder)
    child.await_port(port)
    return Peer(name, child, port)


def pgbouncer_binaries():
    """Debian's, and those that PGBOUNCER names (separated by colons)."""
    named = [path for path in os.environ.get("PGBOUNCER", "").split(":") if path]
    debian = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    found = ([debian] if debian else []) + named
    if not found:
        raise Failed("There is no PgBouncer here. On Debian: apt-get install pgbouncer; or PGBOUNCER=path names one.")
    return list(dict.fromkeys(found))


def start_pgbouncer(binary, folder, identity, postgres):
    """PgBouncer in transaction mode. One before 1.21 has no prepared statements there: it gets a database in session mode."""
    told = subprocess.run([binary, "--version"], capture_output=True, text=True)
    match = re.search(r"PgBouncer (\d+)\.(\d+)\.(\d+)", told.stdout + told.stderr)
    if match is None:
        raise Failed(f"{binary} does not say its version: is it PgBouncer?")
    version = tuple(map(int, match.groups()))
    has_prepared = version >= (1, 21, 0)
    name = "pgbouncer-" + ".".join(map(str, version))
    port, where = free_port(), f"host=127.0.0.1 port={postgres.port} dbname={DATABASE} user={USER}"
    users = folder / f"{name}.users"
    users.write_text(f'"{USER}" ""\n')
    config = folder / f"{name}.ini"
    config.write_text(
        f"[databases]\n{DATABASE} = {where}\nby_session = {where} pool_mode=session pool_size=220\n\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\n"
        f"pool_mode = transaction\ndefault_pool_size = {POOL_SIZE}\nmax_client_conn = {CLIENTS_MAX}\n"
        "server_check_delay = 30\nlog_connections = 0\nlog_disconnections = 0\nlogfile =\npidfile =\n"
        + ("max_prepared_statements = 500\n" if has_prepared else "")
    )
    copy = folder / f"{name}.bin"
    shutil.copy2(binary, copy)
    copy.chmod(0o755)
    child = Child([copy, config], folder / f"{name}.log", identity, cwd=folder)
    child.await_port(port)
    databases = {} if has_prepared else {"prepared": "by_session"}
    notes = [] if has_prepared else ["prepared: session mode, for it has no prepared statements in transaction mode"]
    return Peer(name, child, port, databases, notes)


def start_others(folder, identity, postgres):
    """Those that happen to be installed."""
    starters = {"pgcat": start_pgcat, "pgdog": start_pgdog, "odyssey": start_odyssey}
    return [
        start(binary, folder, identity, postgres)
        for name, start in starters.items()
        if (binary := shutil.which(name)) is not None
    ]


def start_pgcat(binary, folder, identity, postgres):
    port, config = free_port(), folder / "pgcat.toml"
    config.write_text(
        f'[general]\nhost = "127.0.0.1"\nport = {port}\nworker_threads = 1\nadmin_username = "admin"\nadmin_password = "admin"\n'
        "prepared_statements_cache_size = 500\n\n"
        f'[pools.{DATABASE}]\npool_mode = "transaction"\nquery_parser_enabled = false\n\n'
        f'[pools.{DATABASE}.users.0]\nusername = "{USER}"\npassword = ""\npool_size = {POOL_SIZE}\n\n'
        f'[pools.{DATABASE}.shards.0]\nservers = [["127.0.0.1", {postgres.port}, "primary"]]\ndatabase = "{DATABASE}"\n'
    )
    child = Child([binary, config], folder / "pgcat.log", identity, cwd=folder)
    child.await_port(port)
    return Peer("pgcat", child, port)


def start_pgdog(binary, folder, identity, postgres):
    port = free_port()
    (folder / "pgdog.toml").write_text(
        f'[general]\nhost = "127.0.0.1"\nport = {port}\nworkers = 1\ndefault_pool_size = {POOL_SIZE}\nauth_type = "trust"\n\n'
        f'[[databases]]\nname = "{DATABASE}"\nhost = "127.0.0.1"\nport = {postgres.port}\n'
    )
    (folder / "users.toml").write_text(f'[[users]]\nname = "{USER}"\ndatabase = "{DATABASE}"\npassword = ""\n')
    command = [binary, "--config", folder / "pgdog.toml", "--users", folder / "users.toml"]
    child = Child(command, folder / "pgdog.log", identity, cwd=folder)
    child.await_port(port)
    return Peer("pgdog", child, port)


def start_odyssey(binary, folder, identity, postgres):
    port, config = free_port(), folder / "odyssey.conf"
    config.write_text(
        f'daemonize no\nlog_to_stdout yes\nlog_query no\nworkers 1\nlisten {{ host "127.0.0.1" port {port} }}\n'
        f'storage "postgres" {{ type "remote" host "127.0.0.1" port {postgres.port} }}\n'
        f'database default {{ user default {{ authentication "none" storage "postgres" storage_db "{DATABASE}" '
        f'storage_user "{USER}" pool "transaction" pool_size {POOL_SIZE} pool_reserve_prepared_statement yes }} }}\n'
    )
    child = Child([binary, config], folder / "odyssey.log", identity, cwd=folder)
    child.await_port(port)
    return Peer("odyssey", child, port)
