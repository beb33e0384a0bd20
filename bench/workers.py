"""Two workers against one.

The server, pgbench and the pooler share the cores of this machine, so that throughput says how fast the machine is, not how fast
the pooler. What is measured instead is what two workers could carry with a core each: each worker thread's CPU time per
transaction tells what it would do in a whole second, and the fuller one ends first.

    capacity = transactions / CPU seconds of the busiest worker

One worker has only itself. Locks that are waited for do not show in CPU time; they show as a lower throughput at the same CPU.
"""

from load import run
from processes import cpu_seconds_by_thread


def measure(peer, pgbench, clients, seconds, sampling, workers):
    before = cpu_seconds_by_thread(peer.child.pid)
    result = run(peer, pgbench, "simple", clients, seconds, sampling)
    after = cpu_seconds_by_thread(peer.child.pid)
    used = sorted((after[thread] - before.get(thread, 0.0) for thread in after), reverse=True)
    busy = used[:workers]
    result["worker_seconds"] = busy
    result["worker_share_max"] = busy[0] / sum(busy)
    result["capacity_tps"] = result["transactions"] / busy[0]
    return result
