#!/usr/bin/env python3
"""What a request costs the load generator: `make bench-load`.

`paceline load`, wrk, oha and hey ask the same nginx in turns. CPU is what the kernel says of the ended process (wait4), in user and
kernel; requests are counted by nginx. BENCH_SECONDS and BENCH_ROUNDS set how long (3 and 5), PACELINE, WRK, OHA and HEY name other
binaries. A tool that is not there is left out, and named. Prints Markdown, and keeps it with every sample in bench/results/.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from processes import Child, Failed, Identity, free_port

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
CONNECTIONS = 16
OPEN_RATE = 4000
BAR_WRK = 2.5

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{{"id": 1, "title": "Engineer", "remote": true}}'; }}
    location /status {{ stub_status; }}
  }}
}}
"""


def tools(url, seconds):
    """Name, where it is (None: nowhere), and its command."""
    def find(variable, name):
        return os.environ.get(variable) or shutil.which(name)

    ours = os.environ.get("PACELINE", ROOT / "target" / "release" / "paceline")
    load = [ours, "load", "--url", url, "--duration", f"{seconds}s", "--warmup", "0ms", "--quiet"]
    wrk, oha, hey = find("WRK", "wrk"), find("OHA", "oha"), find("HEY", "hey")
    oha_call = [oha, "--no-tui", "-z", f"{seconds}s", "-c", CONNECTIONS]
    return [
        ("paceline", ours, [*load, "--connections", CONNECTIONS]),
        ("wrk", wrk, [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]),
        ("oha", oha, [*oha_call, url]),
        ("hey", hey, [hey, "-z", f"{seconds}s", "-c", CONNECTIONS, url]),
        ("paceline, open loop", ours, [*load, "--rate", OPEN_RATE]),
        ("oha, open loop", oha, [*oha_call, "-q", OPEN_RATE, "--latency-correction", url]),
    ]


def counted(url):
    """Requests that nginx has answered, without those that ask for it."""
    text = urllib.request.urlopen(f"{url}status").read().decode()
    return int(text.splitlines()[2].split()[2])


def measure(command, url):
    """Requests, and CPU seconds in user and kernel."""
    before = counted(url)
    process = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"{command[0]} failed:\n{output[-2000:]}")
    requests = counted(url) - before - 1
    if requests <= 0:
        raise Failed(f"{command[0]} sent nothing:\n{output[-2000:]}")
    return {"requests": requests, "user_s": usage.ru_utime, "system_s": usage.ru_stime}


def microseconds(sample):
    return (sample["user_s"] + sample["system_s"]) * 1e6 / sample["requests"]


def table(samples, seconds):
    lines = [
        "| tool | CPU µs per request: median (range) | of it in user | requests/s | against wrk in the same round |",
        "|---|---|---|---|---|",
    ]
    wrk = samples.get("wrk", [])
    for name, rounds in samples.items():
        costs = [microseconds(sample) for sample in rounds]
        user = [sample["user_s"] * 1e6 / sample["requests"] for sample in rounds]
        rate = statistics.median(sample["requests"] / seconds for sample in rounds)
        ratios = [cost / microseconds(one) for cost, one in zip(costs, wrk)]
        against = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else "-"
        lines.append(
            f"| {name} | {statistics.median(costs):.1f} ({min(costs):.1f} to {max(costs):.1f}) "
            f"| {statistics.median(user):.1f} | {rate:.0f} | {against} |")
    return "\n".join(lines)


def judged(samples):
    def median(name):
        return statistics.median(microseconds(sample) for sample in samples[name])

    lines = []
    if "wrk" in samples:
        ratio = median("paceline") / median("wrk")
        lines.append(f"CPU per request is {ratio:.2f} × wrk's; the bar is {BAR_WRK} ×: {'kept' if ratio <= BAR_WRK else 'MISSED'}.")
    if "oha" in samples:
        ratio = median("paceline") / median("oha")
        lines.append(f"It is {ratio:.2f} × oha's; the bar is below 1 ×: {'kept' if ratio < 1 else 'MISSED'}.")
    return lines


def main():
    seconds, rounds = int(os.environ.get("BENCH_SECONDS", 3)), int(os.environ.get("BENCH_ROUNDS", 5))
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise Failed("nginx is missing: apt-get install nginx-light wrk")
    with tempfile.TemporaryDirectory(prefix="paceline-bench-") as folder:
        identity = Identity()
        os.chmod(folder, 0o755)
        identity.own(folder)
        port = free_port()
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(NGINX.format(folder=folder, port=port))
        server = Child([nginx, "-c", configuration, "-p", folder], Path(folder) / "log", identity)
        try:
            server.await_port(port)
            url = f"http://127.0.0.1:{port}/"
            calls = tools(url, seconds)
            missing = sorted({name for name, path, _ in calls if path is None or not Path(path).exists()})
            calls = [call for call in calls if call[0] not in missing]
            samples = {name: [] for name, _, _ in calls}
            for turn in range(rounds):
                # Who comes first changes with each round.
                for name, _, command in calls[turn % len(calls):] + calls[:turn % len(calls)]:
                    samples[name].append(measure(command, url))
                    print(f"round {turn + 1}, {name}: {microseconds(samples[name][-1]):.1f} µs", file=sys.stderr)
        finally:
            server.stop()
    text = "\n".join([
        "# What a request costs the load generator", "",
        f"`make bench-load`, {rounds} rounds of {seconds} s in turns, {CONNECTIONS} connections, keep-alive, against one nginx worker that "
        f"answers 45 bytes by itself; open loop at {OPEN_RATE} requests/s. {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} cores, shared by server and generator.", "",
        table(samples, seconds), "", *judged(samples),
        *([f"Not there: {', '.join(missing)}."] if missing else []), ""])
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "load.md").write_text(text)
    (RESULTS / "load.json").write_text(json.dumps({"seconds": seconds, "samples": samples}, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench-load: {failure}")
