"""One run of pgbench against one pooler: what it got done, how long that took, what it cost the pooler."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from peers import USER
from processes import Failed

# So many latencies at most are kept of a run.
SAMPLED_PER_SECOND = 4000


def run(peer, pgbench, protocol, clients, seconds, sampling):
    """A run of `pgbench -S`. CPU is that of the pooler's process, logins included."""
    with tempfile.TemporaryDirectory() as logs:
        command = [
            pgbench, "-n", "-S", "-M", protocol, "-c", clients, "-j", min(2, clients), "-T", seconds,
            "--log", f"--sampling-rate={sampling:.3f}", "-h", "127.0.0.1", "-p", peer.port, "-U", USER, peer.database(protocol),
        ]
        before = peer.cpu_seconds()
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=logs)
        cpu = peer.cpu_seconds() - before
        if done.returncode != 0:
            raise Failed(f"pgbench against {peer.name} ({protocol}, {clients} clients) failed:\n{done.stderr[-2000:]}")
        transactions = number(r"transactions actually processed: (\d+)", done.stdout)
        failed = number(r"number of failed transactions: (\d+)", done.stdout)
        if transactions == 0 or failed:
            raise Failed(f"pgbench against {peer.name}: {transactions} transactions, {failed} failed")
        latencies = sorted(read_latencies(logs))
    return {
        "transactions": int(transactions),
        "cpu_us": cpu / transactions * 1e6,
        "tps": number(r"tps = ([\d.]+)", done.stdout),
        "p50_us": quantile(latencies, 0.50),
        "p99_us": quantile(latencies, 0.99),
    }


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else 0.0


def read_latencies(folder):
    for path in Path(folder).glob("pgbench_log.*"):
        with open(path) as lines:
            for line in lines:
                yield int(line.split(maxsplit=3)[2])


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def find_pgbench(postgres):
    path = postgres.bin / "pgbench"
    found = str(path) if path.exists() else shutil.which("pgbench")
    if found is None:
        raise Failed("There is no pgbench here. On Debian: apt-get install postgresql")
    return found
