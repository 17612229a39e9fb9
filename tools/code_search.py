#!/usr/bin/env python3
"""Measures the ranking on the code-search benchmark of MinishLab/semble (MIT), or on anything in its form.

    tools/code_search.py BENCHMARK SOURCES [--program target/release/helix-build] [--work DIR] [--json FILE]

BENCHMARK holds repos.json and annotations/, SOURCES a folder for each repository that is there. Each is built with the program's
defaults and asked every question with --explain. NDCG@10 over files, binary, over primary and secondary targets; the mean over
repositories, with 95 % by bootstrap over repositories and questions. Printed as Markdown: by kind of question, by language, without the
ranking, and with each rule taken away. The latter is computed from what --explain says, by files of the first 300 chunks, so that one run
measures all of them. Needs nothing but Python 3.11.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

HITS = 300
RESAMPLES = 1_000
GAINS = ["lexical", "sparse", "dense", "definition", "symbols", "further_chunks", "file_name", "folders"]


def matches(path, target):
    return path == target or path.endswith("/" + target) or target.endswith("/" + path)


def category(item):
    query = item["query"].strip()
    plain = "symbol" if " " not in query else "architecture" if query.lower().startswith("how ") else "semantic"
    return item.get("category") or plain


def ndcg(paths, targets):
    """Of files, best first. A target counts once, where it is found first."""
    gain = 0.0
    for target in targets:
        rank = next((rank for rank, path in enumerate(paths[:10], 1) if matches(path, target)), None)
        gain += 1 / math.log2(rank + 1) if rank else 0
    return gain / sum(1 / math.log2(n + 2) for n in range(min(10, len(targets))))


def files(hits):
    """Files of hits in their order, each once."""
    return list(dict.fromkeys(path for hit in hits for path in hit["paths"]))


def without(hits, rule):
    """Files in the order that they have without one rule. The first hit of a file stands for it."""
    scores = {}
    for hit in hits:
        why, path = hit["explain"], hit["paths"][0]
        # Beyond the candidates of the ranking, hits have no gains.
        if path in scores or "kind" not in (why or {}):
            continue
        total = sum(why[gain] for gain in GAINS if gain != rule)
        scores[path] = total * (1 if rule == "kind" else why["kind"])
    return sorted(scores, key=lambda path: -scores[path])


def ask(program, index, questions, flags):
    """For each question its hits: paths below the root, and what the rules gave."""
    command = [program, "query", index, "--queries", questions, "-k", str(HITS), "--json", *flags]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr}")
    hits = defaultdict(list)
    for line in done.stdout.split("\n"):
        hit = json.loads(line) if line else {}
        if hit.get("type") == "hit":
            paths = dict.fromkeys([hit["path"], *(place["path"] for place in hit["places"])])
            hits[hit["query"]].append({"paths": list(paths), "explain": hit.get("explain")})
    return hits


def measure(arguments, work):
    rows = []
    for repository in json.loads((arguments.benchmark / "repos.json").read_text()):
        name = repository["name"]
        tree = arguments.sources / name
        root = tree / (repository.get("benchmark_root") or "")
        root = root if root.is_dir() else tree
        if not root.is_dir():
            print(f"{name} is not there", file=sys.stderr)
            continue
        root = root.resolve()
        items = json.loads((arguments.benchmark / "annotations" / f"{name}.json").read_text())
        questions = work / f"{name}.txt"
        questions.write_text("".join(item["query"] + "\n" for item in items), encoding="utf-8")
        profile = work / f"{name}.toml"
        profile.write_text(f"roots = [{{ path = {json.dumps(str(root))}, label = \"r\" }}]\n")
        build = [arguments.program, "--profile", profile, "--out-dir", work / name, "--json", "-q"]
        built = subprocess.run(build, capture_output=True, encoding="utf-8")
        if built.returncode not in (0, 3):
            sys.exit(f"building {name} ended with {built.returncode}: {built.stderr}")
        index = json.loads(built.stdout.strip().split("\n")[-1])["output"]
        ranked = ask(arguments.program, index, questions, ["--explain"])
        fused = ask(arguments.program, index, questions, ["--no-ranking"])
        for number, item in enumerate(items):
            targets = [t if isinstance(t, str) else t["path"] for t in item.get("relevant", []) + item.get("secondary", [])]
            below = lambda paths: [os.path.relpath(path, root) if os.path.isabs(path) else path for path in paths]
            scores = {"ranking": ndcg(below(files(ranked[number])), targets)}
            scores["no ranking"] = ndcg(below(files(fused[number])), targets)
            for rule in [*GAINS, "kind"]:
                scores[rule] = ndcg(below(without(ranked[number], rule)), targets)
            rows.append({"repository": name, "language": repository["language"], "category": category(item), **scores})
        print(name, f"{mean(rows, 'ranking', lambda r: r['repository'] == name):.3f}", file=sys.stderr, flush=True)
    return rows


def mean(rows, score, wanted=lambda row: True):
    """Over repositories of the mean over questions."""
    by = defaultdict(list)
    for row in filter(wanted, rows):
        by[row["repository"]].append(score(row) if callable(score) else row[score])
    return sum(sum(values) / len(values) for values in by.values()) / max(1, len(by))


def interval(rows, score):
    generator = random.Random(0)
    by = defaultdict(list)
    for row in rows:
        by[row["repository"]].append(score(row) if callable(score) else row[score])
    groups = list(by.values())
    means = []
    for _ in range(RESAMPLES):
        picked = generator.choices(groups, k=len(groups))
        means.append(sum(sum(generator.choices(g, k=len(g))) / len(g) for g in picked) / len(picked))
    means.sort()
    return mean(rows, score), means[int(RESAMPLES * 0.025)], means[int(RESAMPLES * 0.975) - 1]


def show(values, sign=""):
    middle, low, high = (f"{value:{sign}.3f}" for value in values)
    return f"{middle} ({low} to {high})"


def tables(rows):
    kinds = ["architecture", "semantic", "symbol"]
    yield "| | all | " + " | ".join(kinds) + " |"
    yield "|---|---|---|---|---|"
    for name in ["ranking", "no ranking"]:
        of_kind = [[row[name] for row in rows if row["category"] == kind] for kind in kinds]
        cells = [f"{sum(values) / max(1, len(values)):.3f}" for values in of_kind]
        yield f"| {name} | {show(interval(rows, name))} | " + " | ".join(cells) + " |"
    yield ""
    yield "| without | change of NDCG@10 |"
    yield "|---|---|"
    for rule in [*GAINS, "kind"]:
        yield f"| {rule} | {show(interval(rows, lambda row: row[rule] - row['ranking']), '+')} |"
    yield ""
    yield "| language | repositories | ranking | no ranking |"
    yield "|---|---|---|---|"
    for language in sorted({row["language"] for row in rows}):
        of = lambda row: row["language"] == language
        n = len({row["repository"] for row in rows if of(row)})
        yield f"| {language} | {n} | {mean(rows, 'ranking', of):.3f} | {mean(rows, 'no ranking', of):.3f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("sources", type=Path)
    parser.add_argument("--program", type=Path, default=Path("target/release/helix-build"))
    parser.add_argument("--work", type=Path, help="keep indexes here")
    parser.add_argument("--json", type=Path, help="write the score of each question here")
    arguments = parser.parse_args()
    arguments.program = arguments.program.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        rows = measure(arguments, work.resolve())
    print("\n".join(tables(rows)))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
