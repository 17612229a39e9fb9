#!/usr/bin/env python3
"""Simulates how long 1 to 1,000 workers take for a plan, against the least time that is possible.

    tools/scale_makespan.py --times TIMES --plan PLAN [--seed N]

TIMES has a line `SEGMENT USER SYSTEM ...` of CPU seconds for each segment of the small plan PLAN, as `time -f "N %U %S"` writes
them: seconds a MiB and their spread come from it. The corpora are made up: sizes of roots by a Zipf law, cut into segments as
the planner cuts (0.5 to 2 MiB, 1.05 MiB on average). Ideal is the larger of all work over all workers and the longest segment.
"""

import argparse
import heapq
import json
import random


# Of docs/benchmarks.md: tokens of a corpus of 7.0 MB, and tokens a CPU-second of builds with large models.
TOKENS_PER_MIB = 4_955_184 / 7.0 * 2**20 / 1e6
MINILM_TOKENS_PER_S = 7_600
SPLADE_TOKENS_PER_S = 835


def measured(times, plan):
    """Return seconds a MiB of each segment of at least half a MiB."""
    with open(plan, encoding="utf-8") as file:
        head = json.loads(file.readline())
    sizes = [segment["bytes"] for shard in head["shards"] for segment in shard.get("segments", [])]
    rates = []
    with open(times, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if len(words) >= 3 and words[0].isdigit() and int(words[0]) < len(sizes) and sizes[int(words[0])] >= 1 << 19:
                rates.append((float(words[1]) + float(words[2])) / (sizes[int(words[0])] / 2**20))
    return rates


def corpus(mib, n_roots, skew, dice):
    """Return the segments of each shard in MiB, largest shard first."""
    weights = [1 / (n + 1) ** skew for n in range(n_roots)]
    shards = []
    for weight in weights:
        left = mib * weight / sum(weights)
        segments = []
        while left > 0:
            size = min(left, dice.uniform(0.5, 1.0) + dice.expovariate(3.3), 2.0)
            segments.append(size)
            left -= size
        shards.append(segments)
    return sorted(shards, key=sum, reverse=True)


def makespan(durations, workers):
    """Return the end of the last of tasks that are taken in order by whoever is free."""
    free = [0.0] * min(workers, len(durations))
    for duration in durations:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", required=True)
    parser.add_argument("--plan", required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rates = measured(args.times, args.plan)
    mean = sum(rates) / len(rates)
    print(f"{len(rates)} segments measured: {mean:.2f} s a MiB, {min(rates):.2f} to {max(rates):.2f}\n")
    factors = [rate / mean for rate in rates]
    # Seconds a MiB, and seconds to start a task: a process that opens its encoders.
    encoders = [
        ("built-in", mean, 0.1),
        ("MiniLM on the CPU", TOKENS_PER_MIB / MINILM_TOKENS_PER_S, 0.4),
        ("SPLADE on the CPU", TOKENS_PER_MIB / SPLADE_TOKENS_PER_S, 1.3),
    ]
    corpora = [("even: 1,000 roots of 10 MiB", 10_000, 1_000, 0.0), ("Zipf 1: 1,000 roots, the largest 1.3 GiB", 10_000, 1_000, 1.0),
               ("one root of 10 GiB", 10_000, 1, 0.0), ("small: 30 roots, 100 MiB, Zipf 1", 100, 30, 1.0)]
    workers = [1, 10, 100, 300, 1000]
    print("| corpus | encoders | segments | " + " | ".join(f"{n:,}" for n in workers) + " |")
    print("|---|---|---|" + "---|" * len(workers))
    for name, mib, n_roots, skew in corpora:
        shards = corpus(mib, n_roots, skew, random.Random(args.seed))
        for encoder, rate, start in encoders:
            dice = random.Random(args.seed)
            durations = [size * rate * dice.choice(factors) + start for shard in shards for size in shard]
            cells = []
            for n in workers:
                ideal = max(sum(durations) / n, max(durations))
                took = makespan(durations, n)
                cells.append(f"{short(took)} ({took / ideal:.2f})")
            print(f"| {name} | {encoder} | {len(durations):,} | " + " | ".join(cells) + " |")


def short(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


if __name__ == "__main__":
    main()
