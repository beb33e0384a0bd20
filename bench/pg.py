#!/usr/bin/env python3
"""Compares Paceline with other Postgres poolers, side by side on this machine: `make bench-pg`.

BENCH_SECONDS and BENCH_ROUNDS set how long (4 and 5), BENCH_QUICK=1 makes it a look of two minutes, PGBOUNCER=path adds a build
of PgBouncer, PACELINE=path measures another binary. Prints Markdown, and keeps it with every sample in bench/results/.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import idle
import report
import workers
from load import SAMPLED_PER_SECOND, find_pgbench, run
from peers import Postgres, pgbouncer_binaries, start_others, start_paceline, start_pgbouncer
from processes import Failed, Identity, raise_descriptor_limit

RESULTS = Path(__file__).resolve().parent / "results"
PROTOCOLS = ("simple", "extended", "prepared")
OURS = "paceline"


class Plan:
    """How much is measured."""

    def __init__(self):
        quick = os.environ.get("BENCH_QUICK", "") not in ("", "0")
        self.seconds = int(os.environ.get("BENCH_SECONDS", 2 if quick else 4))
        self.rounds = int(os.environ.get("BENCH_ROUNDS", 3 if quick else 5))
        self.clients = (16,) if quick else (1, 16, 200)
        self.protocols = os.environ.get("BENCH_PROTOCOLS", ",".join(PROTOCOLS)).split(",")
        self.idle_clients = 10_000
        self.scale = 10


def main():
    plan = Plan()
    descriptors = raise_descriptor_limit(plan.idle_clients + 2_000)
    plan.idle_clients = min(plan.idle_clients, descriptors - 500)
    children = []
    with tempfile.TemporaryDirectory(prefix="paceline-bench-") as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        identity = Identity()
        try:
            return measure(plan, folder, identity, children)
        finally:
            for child in reversed(children):
                child.stop()


def measure(plan, folder, identity, children):
    say("starting Postgres and filling it")
    home = folder / "run"
    home.mkdir()
    identity.own(home)
    postgres = Postgres(home, identity, plan.scale)
    children.append(postgres.child)
    peers = start_peers(home, identity, postgres, children)
    pgbench = find_pgbench(postgres)
    found = {
        "machine": machine(), "postgres": postgres.version, "seconds": plan.seconds, "rounds": plan.rounds,
        "load": measure_load(plan, peers, pgbench),
        "idle": {"clients": plan.idle_clients, "memory": measure_idle(plan, home, identity, postgres, children)},
        "workers": measure_workers(plan, home, identity, postgres, children, pgbench),
    }
    keep(found, peers)


def start_peers(home, identity, postgres, children):
    peers = []
    for start in (
        lambda: [start_paceline(home, identity, postgres)],
        lambda: [start_pgbouncer(binary, home, identity, postgres) for binary in pgbouncer_binaries()],
        lambda: start_others(home, identity, postgres),
    ):
        started = start()
        children += [peer.child for peer in started]
        peers += started
    return peers


def measure_load(plan, peers, pgbench):
    """Each case in turns, so that whatever else the machine does meets all alike."""
    cases = []
    for protocol in plan.protocols:
        for clients in plan.clients:
            say(f"pgbench -S, {protocol}, {clients} clients")
            rounds = {peer.name: [] for peer in peers}
            sampling = {}
            for peer in peers:
                # Warms up, and tells how many transactions there will be.
                warm = run(peer, pgbench, protocol, clients, 1, 0.1)
                sampling[peer.name] = min(1.0, SAMPLED_PER_SECOND / warm["tps"])
            for turn in range(plan.rounds):
                for peer in peers[turn % len(peers):] + peers[: turn % len(peers)]:
                    sample = run(peer, pgbench, protocol, clients, plan.seconds, sampling[peer.name])
                    rounds[peer.name].append(sample)
            cases.append({"protocol": protocol, "clients": clients, "rounds": rounds})
            for name, samples in rounds.items():
                say(f"  {name}: " + ", ".join(f"{sample['cpu_us']:.1f} µs" for sample in samples))
    return cases


def measure_idle(plan, home, identity, postgres, children):
    """Each pooler anew, so that nothing is left from the load."""
    say(f"{plan.idle_clients} idle clients")
    folder = home / "idle"
    folder.mkdir()
    identity.own(folder)
    memory = {}
    for peer in start_peers(folder, identity, postgres, children):
        try:
            memory[peer.name] = idle.measure(peer, plan.idle_clients)
        finally:
            peer.child.stop()
    return memory


def measure_workers(plan, home, identity, postgres, children, pgbench):
    say("two workers against one")
    rounds = {"one worker": [], "two workers": []}
    peers = []
    for count, name in ((1, "one worker"), (2, "two workers")):
        peer = start_paceline(home, identity, postgres, workers=count, name=f"workers-{count}")
        children.append(peer.child)
        peers.append((count, name, peer))
        run(peer, pgbench, "simple", 32, 1, 0.1)
    for _ in range(plan.rounds):
        for count, name, peer in peers:
            rounds[name].append(workers.measure(peer, pgbench, 32, plan.seconds, 0.1, count))
    return rounds


def machine():
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    ).stdout.strip()
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine()
    )
    return {
        "cores": os.cpu_count(), "processor": model, "kernel": platform.release(), "revision": revision,
        "load_before": os.getloadavg(), "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def keep(found, peers):
    """Prints the result, and writes it beside every sample."""
    about = found["machine"]
    others = [peer for peer in peers if peer.name != OURS]
    text = "\n\n".join([
        f"# pgbench -S through Paceline and others, {about['time']}",
        f"Revision {about['revision']}, {about['cores']} cores ({about['processor']}), Linux {about['kernel']}, {found['postgres']}. "
        f"Load average before: {about['load_before'][0]:.1f}. {found['rounds']} rounds of {found['seconds']} s in turns; "
        "ratios are ours over theirs, median (least–most) over the rounds.",
        "## CPU, throughput, latency",
        report.load_section(found["load"], OURS, others),
        f"## {found['idle']['clients']:,} idle clients, resident memory",
        report.idle_section(found["idle"]["memory"], found["idle"]["clients"], OURS),
        "## Two workers against one",
        report.workers_section(found["workers"]),
    ])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "pg.md").write_text(text + "\n")
    (RESULTS / "pg.json").write_text(json.dumps(found, indent=1) + "\n")
    print(text)


def say(text):
    print(f"bench-pg: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        say(str(failure))
        sys.exit(2)
