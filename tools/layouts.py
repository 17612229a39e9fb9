#!/usr/bin/env python3
"""Measures whether the layout of an index changes its answers: one database or shards, one root or many.

    tools/layouts.py FOLDER... [--program target/release/helix-build] [--questions 600] [--seed 1] [--most 0.005] [--work DIR]

Each FOLDER is a root. `eval --generate` makes questions of their docstrings and headings, and a copy without these. The copy is built four
times: many roots or one root, as one database or as shards; each index is asked all questions in all modes. Printed as Markdown: MRR@10,
recall@10 and NDCG@10, and the differences from the first index with 95 % intervals. Exit code 1 if a mean of hybrid differs by more than
--most. Needs nothing but Python 3.11.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

MEASURES = ["mrr", "recall", "ndcg"]


class Program:
    def __init__(self, path):
        self.path = path.resolve()

    def run(self, arguments):
        done = subprocess.run([self.path, *arguments], capture_output=True, encoding="utf-8")
        if done.returncode not in (0, 3):
            sys.exit(f"{' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.split("\n") if line]

    def build(self, roots, mode, out):
        """Build folders as roots. Return the path of the index."""
        out.mkdir(parents=True)
        profile = out / "layout.toml"
        rows = (f"  {{ path = {json.dumps(str(path))}, label = {json.dumps(label)} }}," for label, path in roots)
        profile.write_text("roots = [\n" + "\n".join(rows) + "\n]\n", encoding="utf-8")
        return self.run(["--profile", profile, "--mode", mode, "--out-dir", out / "index", "--json", "-q"])[-1]["output"]


def labelled(folders):
    """Roots with labels that no two share."""
    taken = {}
    for folder in folders:
        name = "".join(c if c.isalnum() else "-" for c in folder.name.lower()).strip("-") or "root"
        label = name if name not in taken else f"{name}-{len(taken)}"
        taken[label] = folder.resolve()
    return list(taken.items())


def measure(arguments, work):
    program = Program(arguments.program)
    first = program.build(labelled(arguments.folders), "blob", work / "sources")
    kept = work / "kept"
    asked = ["eval", first, "--generate", str(arguments.questions), "--seed", str(arguments.seed), "--keep", kept]
    program.run([*asked, "--json", "-q"])
    roots = [(path.name, path) for path in sorted((kept / "texts").iterdir())]
    layouts = {
        f"{len(roots)} roots, one database": (roots, "blob"),
        f"{len(roots)} roots, shards": (roots, "sharded"),
        "one root, one database": ([("all", kept / "texts")], "blob"),
        "one root, shards": ([("all", kept / "texts")], "sharded"),
    }
    rows, base = [], None
    for number, (name, (folders, mode)) in enumerate(layouts.items()):
        index = program.build(folders, mode, work / f"layout{number}")
        against = ["--against", base] if base else []
        base = base or index
        lines = program.run(["eval", index, kept / "questions.jsonl", "--json", "-q", *against])
        differences = {line["first"]["mode"]: line for line in lines if line["type"] == "difference"}
        for line in lines:
            if line["type"] == "setting" and line["index"] == index:
                rows.append((name, line["mode"], line, differences.get(line["mode"])))
    return rows


def show(value, sign=""):
    return f"{value['mean']:{sign}.3f}"


def difference(value):
    return f"{value['mean']:+.3f} ({value['low']:+.3f} to {value['high']:+.3f})"


def table(rows):
    yield "| layout | mode | MRR@10 | recall@10 | NDCG@10 | difference of MRR@10 |"
    yield "|---|---|---|---|---|---|"
    for name, mode, line, against in rows:
        cells = [show(line[measure]) for measure in MEASURES]
        yield f"| {name} | {mode} | {' | '.join(cells)} | {difference(against['mrr']) if against else ''} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--program", type=Path, default=Path("target/release/helix-build"))
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=float, default=0.005, help="largest difference of hybrid's means that is fine")
    parser.add_argument("--work", type=Path, help="keep copies and indexes here; must not exist")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        if arguments.work:
            work.mkdir(parents=True)
        rows = measure(arguments, work.resolve())
    print("\n".join(table(rows)))
    far = [
        f"{name}: {measure} {difference(against[measure])}"
        for name, mode, _, against in rows
        if mode == "hybrid" and against
        for measure in MEASURES
        if abs(against[measure]["mean"]) > arguments.most
    ]
    if far:
        sys.exit("differs by more than " + f"{arguments.most}: " + "; ".join(far))


if __name__ == "__main__":
    main()
