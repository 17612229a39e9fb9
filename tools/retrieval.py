#!/usr/bin/env python3
"""Measures how well an index finds what is asked for: known-item retrieval with the real program.

    tools/retrieval.py python|rust [SOURCES...] [--program target/release/helix-build] [--documents 2000] [--seed 1]
        [--dense NAME=DIR]... [--sparse NAME=DIR]... [--work DIR] [--json FILE]

A pair is a function with a comment of documentation. The query is the comment's first sentence; the document is the function's
source with the whole comment taken out, in a file of its own with a name that says nothing. Every document is indexed, each query has one
right answer. SOURCES are folders; without any, Python's standard library as this Python has it, or the crates that cargo has
unpacked on this machine. Functions are taken in an order that the seed gives, from all of them.

The embedded encoders are asked in every mode. Each further model makes an index of its own, beside the embedded encoder of the other kind,
and is asked alone and in hybrid. `helix-build eval` measures: MRR@10 and recall@10 over files, with 95 % by bootstrap over the queries. Of
several models of a kind, the later ones are also compared with the first, query by query, so that the difference has an interval of its own.

Texts that a model was trained on flatter it. The embedded dense encoder learned from such pairs of open-source projects: measured against
MiniLM it is ahead on Python's library and behind on packages beside it. Judge it on sources of your own.

Prints a Markdown table; --json writes the same with builds' costs and the index's digests. Needs nothing but Python 3.11.
"""

import argparse
import ast
import json
import os
import random
import re
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from pathlib import Path

K = 10
# A query says something; a document is more than a line, and most fit one chunk.
QUERY_WORDS = range(4, 41)
DOCUMENT_CHARS = range(120, 6_001)
DOCUMENT_LINES = 3
# Folders below a source: tests ask for nothing, and packages beside Python's library are not part of it.
NOT_READ = {"test", "tests", "benches", "examples", "site-packages"}
MODES = ["lexical", "sparse", "dense", "hybrid"]


# Pairs


def first_sentence(text):
    """Of the first paragraph, on one line."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s", paragraph)[0]


def python_pairs(source):
    """Pairs of query and document out of one file's text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return
    # Not splitlines, which knows more line ends than the parser.
    lines = re.split(r"\r\n|\r|\n", source)
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        documentation = ast.get_docstring(node)
        if not documentation or len(node.body) == 1:
            continue
        first, last = node.body[0].lineno - 1, node.body[0].end_lineno
        if node.body[1].lineno <= last:
            continue
        kept = lines[node.lineno - 1 : first] + lines[last : node.end_lineno]
        indent = len(kept[0]) - len(kept[0].lstrip())
        yield first_sentence(documentation), "\n".join(l[indent:] if l[:indent].isspace() else l for l in kept)


RUST_FUNCTION = re.compile(r"^(?P<indent>[ \t]*)(?:pub(?:\([^)]*\))?\s+)?(?:(?:const|async|unsafe|extern\s+\"\w+\")\s+)*fn\s+\w+")
RUST_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(?P<hash>\#*)".*?"(?P=hash)|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\\n])'|[{};]""", re.S
)


def rust_pairs(source):
    lines = source.split("\n")
    at = 0
    while at < len(lines):
        comment = []
        while at < len(lines) and (line := lines[at].strip()).startswith(("///", "#[")):
            if line.startswith("///"):
                comment.append(line[3:].removeprefix(" "))
            at += 1
        if at < len(lines) and comment and (match := RUST_FUNCTION.match(lines[at])):
            body = rust_item("\n".join(lines[at:]))
            if body:
                indent = len(match["indent"])
                kept = [l[indent:] if l[:indent].isspace() else l for l in body.split("\n")]
                yield first_sentence("\n".join(comment)), "\n".join(kept)
        at += 1


def rust_item(text):
    """From the start of a function to its closing brace; None without a body."""
    depth = 0
    for token in RUST_TOKEN.finditer(text):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if depth == 0:
                return text[: token.end()]
        elif token[0] == ";" and depth == 0:
            # An array's length, [u8; 4], is followed by more on its line; a declaration is not.
            if text[token.end() :].split("\n", 1)[0].strip() == "":
                return None
    return None


def pairs_of(language, folders, wanted, seed):
    """`wanted` pairs at most, no two with the same query or document."""
    suffix, read = {"python": (".py", python_pairs), "rust": (".rs", rust_pairs)}[language]
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*" + suffix)):
            if not NOT_READ.intersection(path.relative_to(folder).parts):
                found.extend(read(path.read_text(encoding="utf-8", errors="replace")))
    good = [
        (query, document)
        for query, document in found
        if len(query.split()) in QUERY_WORDS
        and len(document) in DOCUMENT_CHARS
        and len(document.splitlines()) >= DOCUMENT_LINES
    ]
    random.Random(seed).shuffle(good)
    queries, documents, pairs = set(), set(), []
    for query, document in good:
        if query.lower() not in queries and document not in documents and query not in document:
            queries.add(query.lower())
            documents.add(document)
            pairs.append((query, document))
    return pairs[:wanted]


def default_sources(language):
    if language == "python":
        return [Path(sysconfig.get_paths()["stdlib"])]
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    return sorted(cargo.glob("registry/src/*"))


# Builds and answers


class Bench:
    """A corpus in a folder, the program, and what it said."""

    def __init__(self, program, folder, language, pairs):
        self.program, self.folder = program.resolve(), folder
        suffix = {"python": "py", "rust": "rs"}[language]
        self.names = [f"d{number:05}.{suffix}" for number in range(len(pairs))]
        texts = folder / "texts"
        texts.mkdir()
        for name, (_, document) in zip(self.names, pairs):
            (texts / name).write_text(document + "\n", encoding="utf-8", newline="\n")
        questions = "".join(f"{query}\t{name}\n" for (query, _), name in zip(pairs, self.names))
        (folder / "questions.tsv").write_text(questions, encoding="utf-8", newline="\n")
        (folder / "p.toml").write_text('roots = [{ path = "texts" }]\n')

    def run(self, arguments):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, encoding="utf-8")
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.split("\n") if line]

    def build(self, out, models):
        summary = self.run(["--profile", "p.toml", "--mode", "blob", "--out-dir", out, "--json", "-q", *models])[-1]
        if summary["files"] != len(self.names):
            sys.exit(f"only {summary['files']} of {len(self.names)} documents were indexed: {summary['skipped']}")
        return {name: summary[name] for name in ("chunks", "cpu_s", "elapsed_s", "workers", "digest")}

    def measure(self, out, modes, models, first=None):
        """Rows of the table by mode; `first`: index and models to compare with."""
        asked = ["eval", f"{out}/p.db", "questions.tsv", "--mode", ",".join(modes), "-k", str(K), "--json", *models]
        if first is not None:
            against, its_models = first
            asked += ["--against", f"{against}/p.db", *(word.replace("--", "--against-", 1) for word in its_models)]
        rows = {}
        for line in self.run(asked):
            if line["type"] == "setting" and line["index"] == f"{out}/p.db":
                rows[line["mode"]] = {name: interval(line[name]) for name in ("mrr", "recall", "ndcg")}
            elif line["type"] == "difference":
                row = rows[line["first"]["mode"]]
                row |= {f"{name}_difference": interval(line[name]) for name in ("mrr", "recall", "ndcg")}
        return rows


def interval(value):
    return [value["mean"], value["low"], value["high"]]


def show(values, sign=""):
    middle, low, high = (f"{value:{sign}.3f}" for value in values)
    return f"{middle} ({low} to {high})"


def table(rows):
    yield "| encoder | mode | MRR@10 | recall@10 | MRR@10 against the first | recall@10 against the first |"
    yield "|---|---|---|---|---|---|"
    for r in rows:
        against = [show(r[d], "+") if d in r else "" for d in ("mrr_difference", "recall_difference")]
        cells = [r["encoder"], r["mode"], show(r["mrr"]), show(r["recall"]), *against]
        yield "| " + " | ".join(cells) + " |"


def measure(bench, extra):
    """Rows of the table and costs of the builds. `extra`: (kind, name, directory)."""
    builds, first = {"embedded": bench.build("embedded", [])}, {}
    rows = [
        {"encoder": "none" if mode == "lexical" else "embedded", "mode": mode, **measured}
        for mode, measured in bench.measure("embedded", MODES, []).items()
    ]
    for number, (kind, name, directory) in enumerate(extra):
        models = [f"--{kind}-model", str(directory)]
        out = f"model{number}"
        builds[name] = bench.build(out, models)
        for mode, measured in bench.measure(out, [kind, "hybrid"], models, first.get(kind)).items():
            rows.append({"encoder": name, "mode": mode, **measured})
        first.setdefault(kind, (out, models))
    return rows, builds


def named_directory(text):
    name, separator, directory = text.partition("=")
    if not separator or not Path(directory).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: NAME=DIR is wanted, with a folder that exists")
    return name, Path(directory).resolve()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=["python", "rust"])
    parser.add_argument("sources", type=Path, nargs="*")
    parser.add_argument("--program", type=Path, default=Path("target/release/helix-build"))
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dense", type=named_directory, action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--sparse", type=named_directory, action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--work", type=Path, help="keep documents and indexes here; must not exist")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    extra = [("sparse", *model) for model in arguments.sparse] + [("dense", *model) for model in arguments.dense]
    sources = arguments.sources or default_sources(arguments.language)
    pairs = pairs_of(arguments.language, sources, arguments.documents, arguments.seed)
    if len(pairs) < 100:
        sys.exit(f"only {len(pairs)} functions with documentation are found in {', '.join(map(str, sources))}")
    print(f"{len(pairs)} documents from {', '.join(str(s) for s in sources)}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if arguments.work is None else arguments.work
        if arguments.work is not None:
            folder.mkdir(parents=True)
        rows, builds = measure(Bench(arguments.program, folder, arguments.language, pairs), extra)
    print("\n".join(table(rows)))
    if arguments.json:
        figures = {"language": arguments.language, "documents": len(pairs), "seed": arguments.seed}
        figures |= {"rows": rows, "builds": builds}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
