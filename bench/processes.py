"""Child processes of a benchmark: started as a user who is not root, watched through /proc, ended with the benchmark."""

import os
import pwd
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something that the benchmark needs is missing or does not work; the text says what to do."""


def plain_user():
    """Postgres and PgBouncer refuse to run as root: who they run as instead. None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failed("There is neither a user 'postgres' nor 'nobody' to run servers as. Run this as a user who is not root.")


class Identity:
    """The user that children run as, as arguments of subprocess."""

    def __init__(self):
        self.user = plain_user()

    def options(self):
        if self.user is None:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def own(self, path):
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)


def free_port():
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raise_descriptor_limit(wanted):
    """Lets us and our children open so many descriptors. Gives how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if os.geteuid() == 0 and hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
        except (ValueError, OSError):
            pass
    goal = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if goal > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
    return max(goal, soft)


class Child:
    """A server process. Its output goes to a file, which is shown when it does not start."""

    def __init__(self, command, log, identity, cwd=None):
        self.command = [str(word) for word in command]
        self.log = Path(log)
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                start_new_session=True, **identity.options(),
            )
        self.pid = self.process.pid

    def await_port(self, port, seconds=20.0):
        """Waits until it accepts connections."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise Failed(f"{self.command[0]} does not accept connections on port {port}:\n{tail}")

    def stop(self, how=signal.SIGTERM, seconds=10.0):
        if self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cpu_seconds(pid):
    """CPU time that a process has used in all its threads, in user and kernel."""
    return _stat_seconds(f"/proc/{pid}/stat")


def cpu_seconds_by_thread(pid):
    """The same, by thread."""
    threads = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        threads[int(task)] = _schedstat_seconds(f"/proc/{pid}/task/{task}/schedstat")
    return threads


def _stat_seconds(path):
    # The name in parentheses may hold spaces; utime and stime are the 14th and 15th field.
    fields = Path(path).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _schedstat_seconds(path):
    # On the CPU, in nanoseconds: finer than the ticks of `stat`.
    return int(Path(path).read_text().split()[0]) / 1e9


def memory_kib(pid):
    """Resident and proportional memory of a process."""
    values = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0])
    return {"rss": values["Rss"], "pss": values["Pss"]}
