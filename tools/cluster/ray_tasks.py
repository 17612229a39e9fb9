#!/usr/bin/env python3
"""Do a plan with Ray, and commit it: ray_tasks.py PLAN [--cpus N] [--tries N].

Every node must see the folders of the plan and have the same helix-build (HELIX, default helix-build). Ray does not retry:
this script does, except for segments that fail wherever they are tried (exit code 65).
"""

import argparse
import os
import subprocess
import sys

import ray

DONE, INCOMPLETE, POISONED = 0, 3, 65


def numbers(text):
    """Return the numbers of a list like 1,3,7-9."""
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=os.path.abspath)
    parser.add_argument("--cpus", type=int, default=2, help="cores of a task")
    parser.add_argument("--tries", type=int, default=3, help="how often a task is tried")
    args = parser.parse_args()
    helix = os.environ.get("HELIX", "helix-build")
    ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=True)

    @ray.remote(num_cpus=args.cpus, max_retries=0)
    def task(segment):
        command = [helix, "worker", "--plan", args.plan, "--segment", str(segment), "-q"]
        return subprocess.run(command, check=False).returncode

    for attempt in range(1, args.tries + 1):
        listed = subprocess.run([helix, "missing", "--plan", args.plan], check=True, stdout=subprocess.PIPE, text=True)
        running = {task.remote(segment): segment for segment in numbers(listed.stdout)}
        if not running:
            break
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            segment = running.pop(done)
            try:
                code = ray.get(done)
            except ray.exceptions.RayError as error:
                code = f"lost: {error}"
            if code not in (DONE, INCOMPLETE):
                print(f"try {attempt}: segment {segment} ended with {code}", file=sys.stderr)
    sys.exit(subprocess.run([helix, "commit", "--plan", args.plan], check=False).returncode)


if __name__ == "__main__":
    main()
