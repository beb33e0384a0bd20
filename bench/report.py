"""What a benchmark has measured, as ratios with their spread."""

from statistics import median


def ratios(rounds, ours, theirs, key):
    """Ours over theirs, round by round: what happened side by side is compared."""
    return [a[key] / b[key] for a, b in zip(rounds[ours], rounds[theirs]) if a[key] and b[key]]


def spread(values, digits=2):
    """Median and range."""
    if not values:
        return "–"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def middle(rounds, name, key):
    return median(sample[key] for sample in rounds[name])


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def load_section(load, ours, peers):
    """A table for each peer."""
    parts = []
    for peer in peers:
        rows = []
        for case in load:
            rounds = case["rounds"]
            rows.append([
                case["protocol"], case["clients"],
                f"{middle(rounds, ours, 'cpu_us'):.1f}", f"{middle(rounds, peer.name, 'cpu_us'):.1f}",
                spread(ratios(rounds, ours, peer.name, "cpu_us")),
                spread(ratios(rounds, ours, peer.name, "tps")),
                spread(ratios(rounds, ours, peer.name, "p99_us")),
            ])
        head = ["protocol", "clients", "ours, CPU µs/tx", "theirs", "CPU ratio", "throughput ratio", "p99 ratio"]
        notes = "".join(f"\n\n{note}" for note in peer.notes)
        parts.append(f"### Against {peer.name}\n\n{table(head, rows)}{notes}")
    return "\n\n".join(parts)


def idle_section(idle, clients, ours):
    rows = []
    for name, memory in idle.items():
        row = [name]
        for moment in ("empty", "logged_in", "used"):
            row.append(f"{memory[moment]['rss'] / 1024:.1f}")
        row.append(f"{(memory['used']['rss'] - memory['empty']['rss']) / clients:.2f}")
        row.append(f"{idle[ours]['logged_in']['rss'] / memory['logged_in']['rss']:.2f}")
        row.append(f"{idle[ours]['used']['rss'] / memory['used']['rss']:.2f}")
        rows.append(row)
    head = ["", "empty, MiB", "logged in, MiB", "after a statement each, MiB", "KiB per client", "ratio logged in", "ratio after"]
    return table(head, rows)


def workers_section(rounds):
    rows = []
    for name in rounds:
        share = median(sample["worker_share_max"] for sample in rounds[name])
        rows.append([name, f"{middle(rounds, name, 'cpu_us'):.1f}", f"{share:.2f}", f"{middle(rounds, name, 'capacity_tps'):,.0f}"])
    names = list(rounds)
    ratio = spread(ratios(rounds, names[1], names[0], "capacity_tps"))
    head = ["", "CPU µs/tx", "share of the busiest worker", "transactions per second of its CPU"]
    return f"{table(head, rows)}\n\nTwo workers carry {ratio} times what one carries."
