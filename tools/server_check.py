#!/usr/bin/env python3
"""Start the real Helix/Cymatix server on an index, use it as clients do, and check what it leaves behind.

    tools/server_check.py --server VENV/bin/cymatix-server [--program target/release/helix-build] [--short] [--retrieval N]

VENV has `cymatix-context` (0.9.0 or 0.11.3) and `numpy`. The index is built here, of packages of Python's own library,
as shards and as one database. For both, over HTTP:

1. serve    contexts, packets, fingerprints; a document is ingested; the database is swapped for itself; the index is
            rebuilt and swapped in; the server is stopped by SIGTERM. Its log may not complain of a table or a column.
2. wrong    the routing database mounted as a database of chunks
3. sync     the server follows the indexed folders (0.11): it takes no file in again; then a file is new, one changed and
            one deleted, and the server follows; after the files are as they were a build shows their chunks again, without
            encoding what it has; after they are changed again a build takes the changes in
4. moved    index and sources are copied elsewhere and `relocate` rewrites the paths: the server answers from there
5. writes   every request that lets the server write, each on a copy; then `verify --full` finds nothing, or only what the
            format says that cannot be told from damage, which the advice repairs; what is planted beside is found still
6. cli      the package's own command line, which opens the databases itself: reads, `query --learn`, `ingest` of
            new files, of a bundle and of the indexed files; then `verify --full`, and a build where it finds something;
            tags lead its router to their shards; what is planted in an index that it has written to is found
7. vectors  with `helix-build serve --encoders`, the server searches the vectors of the one database

After each step `verify` finds nothing and a build has nothing to repair.

--short takes three packages and the steps that found faults before: moved, writes, cli, wrong.

--retrieval N asks N questions, the first lines of docstrings, and prints how often the file that holds the docstring is
among the first 1, 5 and 10 files, and the mean reciprocal rank: for shards, for one database, and with vectors.

Exit: 0 nothing found, 1 something found.
"""

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

PACKAGES = [
    "asyncio", "collections", "concurrent", "ctypes", "curses", "dbm", "email", "html", "http", "importlib", "json",
    "logging", "multiprocessing", "sqlite3", "unittest", "urllib", "wsgiref", "xml",
]  # fmt: skip

SHORT = ["email", "json", "xml"]

# What docs/guide/serve.md advises.
SERVING = """
[retrieval]
fusion_mode = "additive"
fts5_weight = 20.0
tag_exact_weight = 1.0
tag_prefix_weight = 0.5
lex_anchor_weight = 0.5
"""

# What the log of a server says when the index lacks something.
COMPLAINTS = re.compile(r"no such (table|column)|has no column named|malformed|repair|disk image", re.I)

DEADLINE = 180

# In place of spaCy, without which the server takes no document in: sentences by line, no names.
SPACY = """
class Span:
    label_ = "ORG"
    def __init__(self, text, start, end): self.text, self.start, self.end = text, start, end
class Doc:
    def __init__(self, text):
        self.text, self.ents, self.noun_chunks, self.sents, at = text, [], [], [], 0
        for line in text.splitlines():
            self.sents.append(Span(line, at, at + len(line.split())))
            at += len(line.split())
class Ruler:
    def add_patterns(self, patterns): pass
class Pipeline:
    max_length = 0
    def add_pipe(self, *args, **kwargs): return Ruler()
    def __call__(self, text): return Doc(text)
def load(*args, **kwargs): return Pipeline()
"""

# Requests that write, with the kinds of faults that verify may report after them, none for most. Those with a kind change
# what the builder wrote: the format lists them as not to be told from damage.
WRITES = [
    ("/sessions/register", {"party_id": "check", "handle": "walrus", "agent_kind": "test"}, set()),
    ("/hitl/emit", {"pause_type": "other", "party_id": "check", "task_context": "a question"}, set()),
    ("/ingest", {"content": "A walrus note about tusks.\n" * 20, "metadata": {"path": "/notes/w.md"},
                 "participant_handle": "walrus", "agent_kind": "test"}, set()),
    ("/ingest", {"content": "def tusk(n):\n    return n + 1\n" * 30, "content_type": "code",
                 "metadata": {"path": "/notes/w.py"}}, set()),
    ("/context", {"query": "walrus tusks", "party_id": "check", "session_id": "s"}, set()),
    ("/context/packet", {"query": "decode the header of an email", "session_id": "s"}, set()),
    ("/fingerprint", {"query": "open a socket", "profile": "quality"}, set()),
    ("/consolidate", {}, set()),
    ("/replicas/sync", {}, set()),  # answers that there are none
    ("/admin/refresh", {}, set()),
    ("/admin/reload", {}, set()),
    ("/admin/sema/rebuild", {}, set()),
    ("/admin/checkpoint?mode=TRUNCATE", {}, set()),
    ("/admin/compact", {}, set()),
    ("/admin/compact-pki", {}, set()),
    ("/admin/genes/tombstone", {"source_id": "/notes/w.md"}, set()),
    ("/bridge/signal", {"name": "check", "data": {"a": 1}}, set()),
    ("/bridge/collect", {}, set()),
    ("/export/obsidian", {}, set()),
    ("/v1/chat/completions", {"model": "none", "messages": [{"role": "user", "content": "open a socket"}]}, set()),
]  # fmt: skip
# These need a language model, or fail in the server whatever the index (a call with arguments that it does not have).
FAIL_IN_SERVER = ("/v1/chat/completions", "/admin/compact")
# What a server leaves that hides chunks of ours from its searches: a request does so, and so does a server that follows
# folders when a file is gone or changed.
HIDES_OURS = {"replaced"}
CHANGES_OURS = [
    ("/admin/kv-backfill", {}, {"side_table", "digest"}),
    ("/admin/genes/tombstone", {"source_id": "OURS"}, HIDES_OURS),
    ("/admin/vacuum", {}, {"bytes"}),
]

# Groups of commands of `cymatix`, each run on a copy of the index, with the kinds of faults that verify may report after
# them. In place of NEW, OURS and BUNDLE are folders; CHUNK is the id of a chunk of ours.
COMMANDS = [
    ("reads", [
        ["query", "decode the header of an email"],
        ["packet", "decode the header of an email"],
        ["gene", "get", "CHUNK"],
        ["diag", "corpus"],
    ], set()),
    ("learns", [["query", "decode the header of an email", "--learn"], ["query", "open a socket", "--learn"]], set()),
    ("ingests", [["ingest", "NEW", "--recursive"], ["ingest", "--okf", "BUNDLE", "--deterministic"]], set()),
    ("ingests ours", [["ingest", "OURS", "--recursive"]], HIDES_OURS),
]  # fmt: skip
# The package cannot take a bundle into shards.
FAIL_OVER_SHARDS = {"--okf"}

# Run by the package's Python: how many tags of shards, and which do not lead its router to
# the shard.
ROUTED = """
import json, sqlite3, sys
from cymatix_context.shard_router import ShardRouter
router = ShardRouter(sys.argv[1])
rows = sqlite3.connect(sys.argv[1]).execute("SELECT shard_name, domains FROM fingerprint_index").fetchall()
tags = sorted({(name, tag) for name, domains in rows for tag in json.loads(domains)})
tags = tags[:: len(tags) // 100 + 1]
print(json.dumps([len(tags), [row for row in tags if row[0] not in router.route([row[1]], [])]]))
"""

# What no server writes.
PLANTED = [
    "CREATE TABLE foreign_notes (a)",
    "CREATE TRIGGER foreign_trigger AFTER INSERT ON genes BEGIN SELECT 1; END",
    "UPDATE genes SET content = content || '!' WHERE rowid = 1",
    "INSERT INTO promoter_index VALUES ((SELECT gene_id FROM genes WHERE rowid = 1), 'domain', 'planted')",
]


class Findings:
    failed = 0

    @classmethod
    def check(cls, step, what, is_fine, detail=""):
        cls.failed += not is_fine
        print(f"{step:9} {what:42} {'ok' if is_fine else 'FAULT ' + str(detail)[:2000]}", flush=True)


class Server:
    """The real server in a process of its own, with a folder for what it writes beside the index."""

    def __init__(self, program, database, folder, config="", environment=()):
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "cymatix.toml").write_text(f"{config}\n[server]\nport = {port}\n")
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "server.log"
        names = {
            "CYMATIX_CONFIG": folder / "cymatix.toml", "CYMATIX_GENOME_PATH": database,
            "HELIX_CONFIG": folder / "cymatix.toml", "HELIX_GENOME_PATH": database,
            "HOME": folder, "USERPROFILE": folder,
            **dict(environment),
        }  # fmt: skip
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CYMATIX_", "HELIX_"))}
        own.update({name: str(value) for name, value in names.items()})
        with self.log.open("w") as log:
            self.process = subprocess.Popen([program], cwd=folder, env=own, stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + DEADLINE
        while True:
            try:
                self.health = self.get("/health")
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.process.kill()
                    sys.exit(f"the server does not start: {self.log.read_text()[-2000:]}")
                time.sleep(0.1)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=DEADLINE) as answer:
            return json.load(answer)

    def post(self, at, **body):
        request = urllib.request.Request(
            self.url + at, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return {"error": error.code, "detail": error.read().decode(errors="replace")}
        except TimeoutError:
            return {"error": "timeout", "detail": f"no answer within {DEADLINE} s"}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            Findings.check("stop", "ends on SIGTERM", False)

    def complaints(self):
        return sorted({line for line in self.log.read_text(errors="replace").splitlines() if COMPLAINTS.search(line)})


class Index:
    """An index of the packages, built by the program under test."""

    def __init__(self, program, folder, mode):
        self.program, self.folder, self.mode = program, folder, mode
        self.sources = folder.parent / "sources"
        self.database = folder / "out-sharded/lib/main.genome.db" if mode == "sharded" else folder / "out/lib.db"

    def build(self, *flags):
        roots = sorted(str(path) for path in self.sources.iterdir())
        command = [self.program, *roots, "--name", "lib", "--mode", self.mode, "--out-dir", self.folder / "out", "-qq"]
        return subprocess.run([*command, *flags], capture_output=True, text=True)

    @property
    def digest(self):
        """The digest of the whole index that the last build noted."""
        manifest, = self.folder.glob("out*/manifest.json")
        target, = json.loads(manifest.read_text())["targets"].values()
        return target["digest"]

    def repair(self, step, kinds, faults):
        """Follow the advice of the faults. After it `verify` finds nothing, the rows are those of the build before, and no
        text was encoded whose vectors were there."""
        before = self.digest
        must_delete = kinds != HIDES_OURS
        if must_delete:
            # A build notices none of these.
            for name in ("", "-wal", "-shm"):
                Path(f"{self.database}{name}").unlink(missing_ok=True)
        built = json.loads(self.build("--json").stdout.splitlines()[-1])
        what = "builds the deleted database" if must_delete else "puts its chunks back"
        Findings.check(step, f"a build {what}", built["digest"] == before, built)
        lost = sum("same text" in fault["what"] for fault in faults)
        fine = must_delete or built["reused_chunks"] >= built["chunks"] - lost > 0
        Findings.check(step, f"encodes {built['chunks'] - built['reused_chunks']} of {built['chunks']} chunks", fine, built)
        again, found = kinds_of_faults(self)
        Findings.check(step, "then verify --full finds nothing", not again, json.dumps(found[:5]))

    def verify(self, *flags):
        command = [self.program, "verify", self.database, "--json", *flags]
        return subprocess.run(command, capture_output=True, text=True)

    def check(self, step):
        verdict = self.verify()
        Findings.check(step, "verify finds nothing", verdict.returncode == 0, verdict.stdout[-1500:] + verdict.stderr)


def prepare(folder, packages):
    sources = folder / "sources"
    library = Path(sysconfig.get_path("stdlib"))
    for package in packages:
        if (library / package).is_dir():
            shutil.copytree(library / package, sources / package, ignore=shutil.ignore_patterns("__pycache__", "test*"))


def questions(sources, n):
    """First lines of docstrings with the file that has them, chosen by a fixed seed; each line stands in one file."""
    found = {}
    for path in sorted(sources.rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(errors="replace"))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                first = (ast.get_docstring(node) or "").strip().split("\n")[0].rstrip(".")
                if 5 <= len(first.split()) <= 20:
                    found.setdefault(first, set()).add(str(path))
    unique = sorted((text, paths.pop()) for text, paths in found.items() if len(paths) == 1)
    random.Random(20261127).shuffle(unique)
    return unique[:n]


def ranks(server, asked):
    """For each question the rank of its file among the distinct files of the server's fingerprints; 0 if it is not there."""
    found = []
    for text, path in asked:
        answer = server.post("/fingerprint", query=text, max_results=50, clean=True)
        files = list(dict.fromkeys(hit["source"] for hit in answer.get("fingerprints", [])))
        found.append(files.index(path) + 1 if path in files else 0)
    return found


def table_row(name, found):
    share = [sum(0 < rank <= k for rank in found) / len(found) for k in (1, 5, 10)]
    mrr = sum(1 / rank for rank in found if rank) / len(found)
    print(f"| {name} | {share[0]:.3f} | {share[1]:.3f} | {share[2]:.3f} | {mrr:.3f} |", flush=True)


def serve(arguments, index, work):
    step = index.mode
    sharded = {"CYMATIX_USE_SHARDS": 1, "HELIX_USE_SHARDS": 1} if index.mode == "sharded" else {}
    server = Server(arguments.server, index.database, work / f"{step}-server", SERVING, sharded)
    try:
        for query in ["decode the header of an email", "open a socket", "parse XML into a tree"]:
            context = server.post("/context", query=query)
            text = json.dumps(context)
            Findings.check(step, f"context: {query}", "error" not in context and "sources" in text, text)
            packet = server.post("/context/packet", query=query)
            Findings.check(step, f"packet: {query}", bool(packet.get("verified") or packet.get("stale_risk")), packet)
        ingested = server.post(
            "/ingest", content="A walrus note about tusks.\n" * 20, content_type="text", metadata={"path": "/notes/w.md"}
        )
        # Its tagger is another package; without it the server refuses, and says so.
        fine = "error" not in ingested or "spaCy" in ingested["detail"]
        Findings.check(step, "ingest", fine, ingested)
        swapped = server.post("/admin/swap-db", path=str(index.database))
        Findings.check(step, "swap-db to itself", "error" not in swapped, swapped)
        index.check(step)
        source = next(iter(sorted(index.sources.iterdir()))) / "added_by_the_check.py"
        source.write_text('def frobnicate_walrus():\n    """Count the tusks of every walrus."""\n    return 2\n' * 3)
        built = index.build()
        Findings.check(step, "rebuild while mounted", built.returncode == 0, built.stderr)
        server.post("/admin/swap-db", path=str(index.database))
        answer = json.dumps(server.post("/fingerprint", query="frobnicate_walrus in added_by_the_check", max_results=10))
        Findings.check(step, "the rebuilt index answers", "added_by_the_check.py" in answer, answer)
    finally:
        server.stop()
    complaints = server.complaints()
    Findings.check(step, "no complaint in the log", not complaints, complaints)
    index.check(step)


def mount_wrong(arguments, index, work):
    server = Server(arguments.server, index.database, work / "wrong-server")
    server.post("/context", query="open a socket")
    server.stop()
    index.check("wrong")
    built = index.build()
    Findings.check("wrong", "a build has nothing to repair", built.returncode == 0, built.stderr)
    index.check("wrong")


def follow(arguments, index, work, roots):
    """Let the server look at the folders once; return what it says that it did, None if it follows no folders."""
    config = f"[sync]\nenabled = true\nroots = {json.dumps([str(root) for root in roots])}\ninterval_s = 3600\n"
    server = Server(arguments.server, index.database, work / "sync-server", config, stand_in(work))
    try:
        server.post("/sync/rescan")
        return server.get("/sync/status").get("last_pass") or {}
    except (urllib.error.HTTPError, KeyError) as error:
        print(f"sync      not in this server: {error}")
        return None
    finally:
        server.stop()


def sync(arguments, index, work):
    index.build()
    roots = sorted(index.sources.iterdir())
    # No file of this package is empty, so there is nothing that the server has not seen.
    last = follow(arguments, index, work, [index.sources / "json"])
    if last is None:
        return
    Findings.check("sync", "nothing to take in", last["unchanged"] > 3 and last["ingested"] == 0, last)
    index.check("sync")
    last = follow(arguments, index, work, roots)
    fine = last["unchanged"] > 100 and last["tombstoned"] == 0 and last["ingested"] <= 2
    Findings.check("sync", "the indexed files are unchanged", fine, last)
    index.check("sync")
    changed, deleted = index.sources / "json/decoder.py", index.sources / "json/scanner.py"
    before = changed.read_bytes(), deleted.read_bytes()
    (index.sources / "json/walrus.md").write_text("# Walrus\n\nIt counts its tusks.\n" * 20)
    last = follow(arguments, index, work, roots)
    Findings.check("sync", "follows a new file", last["ingested"] == 1 and last["tombstoned"] == 0, last)
    index.check("sync")
    deleted.unlink()
    last = follow(arguments, index, work, roots)
    Findings.check("sync", "follows a deletion", last["deleted"] == 1 and last["tombstoned"] > 0, last)
    kinds, faults = kinds_of_faults(index)
    Findings.check("sync", f"no more than {', '.join(sorted(HIDES_OURS))}", kinds <= HIDES_OURS, json.dumps(faults[:5]))
    print(f"sync      a deletion leaves {sorted(kinds)}")
    changed.write_bytes(before[0] + b"\n\ndef walrus():\n    return 2\n")
    last = follow(arguments, index, work, roots)
    Findings.check("sync", "follows a change", last["ingested"] == 1 and last["tombstoned"] > 0, last)
    kinds, faults = kinds_of_faults(index)
    Findings.check("sync", f"no more than {', '.join(sorted(HIDES_OURS))}", kinds <= HIDES_OURS, json.dumps(faults[:5]))
    print(f"sync      a change leaves {sorted(kinds)}")
    made = changed.read_bytes(), (index.sources / "json/walrus.md").read_bytes()

    def as_they_were():
        for path, text in ((changed, before[0]), (deleted, before[1])):
            path.write_bytes(text)
        (index.sources / "json/walrus.md").unlink()

    as_they_were()
    index.repair("sync", kinds, faults)
    (index.sources / "json/walrus.md").write_bytes(made[1])
    changed.write_bytes(made[0])
    deleted.unlink()
    last = follow(arguments, index, work, roots)
    # Two empty files, which the index does not hold, are new again.
    Findings.check("sync", "follows again", 2 <= last["ingested"] <= 4 and last["deleted"] == 1, last)
    built = index.build()
    Findings.check("sync", "a build takes the changes in", built.returncode == 0, built.stderr)
    index.check("sync")
    as_they_were()


def cli(arguments, index, work):
    """The package's own command line on copies of the index, without a server."""
    step = f"cli {index.mode}"[:9]
    folder = work / f"cli-{index.mode}"
    (folder / "new").mkdir(parents=True)
    (folder / "new/walrus.md").write_text("# Walrus\n\nA walrus counts its tusks in the Arctic Ocean.\n" * 20)
    (folder / "new/walrus.py").write_text("def tusk(n):\n    return n + 1\n" * 30)
    (folder / "bundle").mkdir()
    (folder / "bundle/tusk.md").write_text("---\ntype: concept\ntitle: Tusk\n---\n# Tusk\n\nOf a [walrus](walrus.md).\n")
    (folder / "bundle/walrus.md").write_text("---\ntype: concept\ntitle: Walrus\n---\n# Walrus\n\nIt has tusks.\n")
    (folder / "cymatix.toml").write_text(SERVING)
    with sqlite3.connect(f"file:{a_shard(index)}?mode=ro", uri=True) as connection:
        chunk = connection.execute("SELECT gene_id FROM genes WHERE rowid = 1").fetchone()[0]
    connection.close()
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CYMATIX_", "HELIX_"))}
    for prefix in ("CYMATIX", "HELIX"):
        own[f"{prefix}_CONFIG"] = str(folder / "cymatix.toml")
        own[f"{prefix}_GENOME_PATH"] = str(index.database)
        if index.mode == "sharded":
            own[f"{prefix}_USE_SHARDS"] = "1"
    own.update({"HOME": str(folder), "USERPROFILE": str(folder), **{k: str(v) for k, v in stand_in(work).items()}})
    pristine = folder / "pristine"
    shutil.copytree(index.folder, pristine)
    places = {"NEW": folder / "new", "BUNDLE": folder / "bundle", "OURS": index.sources / "json", "CHUNK": chunk}
    for name, commands, allowed in COMMANDS:
        for command in commands:
            words = [str(places.get(word, word)) for word in command]
            program = arguments.server.with_name("cymatix")
            done = subprocess.run([program, *words], env=own, cwd=folder, capture_output=True, text=True, timeout=DEADLINE)
            fails = index.mode == "sharded" and FAIL_OVER_SHARDS & set(command)
            said = done.stdout[-500:] + done.stderr[-1500:]
            Findings.check(step, " ".join(command)[:42], fails or done.returncode == 0, said)
            Findings.check(step, "complains of nothing", not COMPLAINTS.search(done.stderr), said)
        kinds, faults = kinds_of_faults(index)
        Findings.check(step, f"{name}: no fault but {sorted(allowed)}", kinds <= allowed, json.dumps(faults[:5]))
        asked = subprocess.run(
            [arguments.program, "query", index.database, "decode the header of an email", "--json"],
            capture_output=True, text=True,
        )  # fmt: skip
        Findings.check(step, f"{name}: query answers", asked.returncode == 0 and asked.stdout, asked.stderr)
        if kinds and kinds <= allowed:
            index.repair(step, kinds, faults)
        if name == "ingests":
            shutil.copytree(index.folder, folder / "written")
            planted(index, folder / "written", step)
        shutil.rmtree(index.folder)
        shutil.copytree(pristine, index.folder)
    if index.mode == "sharded":
        routed = [arguments.server.with_name("python"), "-c", ROUTED, str(index.database)]
        done = subprocess.run(routed, env=own, cwd=folder, capture_output=True, text=True)
        tags, lost = json.loads(done.stdout) if done.returncode == 0 else (0, done.stderr)
        Findings.check(step, "tags lead to their shards", tags and not lost, lost)
        shutil.rmtree(index.folder)
        shutil.copytree(pristine, index.folder)


def stand_in(work):
    """Return the environment in which spaCy is there, in a form that takes documents in."""
    (work / "stand-in").mkdir(exist_ok=True)
    (work / "stand-in/spacy.py").write_text(SPACY)
    return {"PYTHONPATH": work / "stand-in"}


def kinds_of_faults(index):
    lines = [json.loads(line) for line in index.verify("--full").stdout.splitlines()]
    faults = [line for line in lines if line.get("type") == "fault" or "advice" in line]
    return {fault["kind"] for fault in faults}, faults


def planted(index, written, step):
    """What no server writes is found in a copy of the index; the folder `written` takes its place again each time."""
    for statement in PLANTED:
        shutil.rmtree(index.folder)
        shutil.copytree(written, index.folder)
        shard = a_shard(index)
        with sqlite3.connect(shard) as connection:
            connection.execute("SAVEPOINT planted")
            connection.execute(statement)
            connection.commit()
        connection.close()
        kinds, faults = kinds_of_faults(index)
        Findings.check(step, f"found: {statement[:35]}", kinds, faults)
    shutil.rmtree(index.folder)
    shutil.copytree(written, index.folder)


def a_shard(index):
    return index.database if index.mode == "blob" else min((index.database.parent / "shards").glob("*.db"))


def writes(arguments, index, work):
    """Everything that writes, first all that keeps the index sound, then each of the rest on a copy of its own."""
    step = f"writes {index.mode}"[:9]
    sharded = {"CYMATIX_USE_SHARDS": 1, "HELIX_USE_SHARDS": 1} if index.mode == "sharded" else {}
    environment = {**sharded, **stand_in(work)}
    pristine = work / f"pristine-{index.mode}"
    shutil.copytree(index.folder, pristine)

    def after(requests, name):
        """Put the index back, send the requests and return the kinds of faults."""
        shutil.rmtree(index.folder)
        shutil.copytree(pristine, index.folder)
        server = Server(arguments.server, index.database, work / f"{step}-{name}", SERVING, environment)
        try:
            for at, body, _ in requests:
                started = time.monotonic()
                answer = server.post(at, **body)
                text = json.dumps(answer)
                refused = answer.get("error") if isinstance(answer, dict) else None
                fine = refused in (None, 404, 409, "replication not configured") or at in FAIL_IN_SERVER
                Findings.check(step, f"{at} {time.monotonic() - started:.1f} s", fine, text)
        finally:
            server.stop()
        complaints = server.complaints()
        Findings.check(step, "no complaint in the log", not complaints, complaints)
        return kinds_of_faults(index)

    kinds, faults = after(WRITES, "sound")
    Findings.check(step, "verify --full finds nothing", not kinds, json.dumps(faults[:5]))
    planted(index, pristine, step)
    if index.mode == "blob":
        first = str(min(index.sources.rglob("*.py")))
        for at, body, allowed in CHANGES_OURS:
            body = {key: first if value == "OURS" else value for key, value in body.items()}
            kinds, faults = after([(at, body, allowed)], at.split("/")[-1])
            Findings.check(step, f"no more than {', '.join(sorted(allowed))}", kinds <= allowed, json.dumps(faults[:5]))
            print(f"{step:9} {at} leaves {sorted(kinds)}")
            index.repair(step, kinds, faults)
    shutil.rmtree(index.folder)
    pristine.rename(index.folder)


VECTORS = """
[ingestion]
splade_enabled = {splade}
[retrieval]
dense_embedding_enabled = {dense}
dense_embedding_dim = 256
ann_similarity_threshold = 0.2
"""


def retrieval(arguments, indexes, work):
    asked = questions(indexes[0].sources, arguments.retrieval)
    print(f"\n{len(asked)} questions\n\n| index | R@1 | R@5 | R@10 | MRR |\n|---|---|---|---|---|")
    sharded, blob = indexes
    shards = {"CYMATIX_USE_SHARDS": 1, "HELIX_USE_SHARDS": 1}
    encoders = subprocess.Popen(
        [arguments.program, "serve", blob.database, "--encoders", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = {"CYMATIX_ENCODER_URL": json.loads(encoders.stdout.readline())["url"]}
        additive = '[retrieval]\nfusion_mode = "additive"\n'
        off, on = "false", "true"
        for name, database, config, environment in [
            ("shards, rrf (default)", sharded, "", shards),
            ("shards, additive", sharded, additive, shards),
            ("shards, as the guide says", sharded, SERVING, shards),
            ("one database, default", blob, "", {}),
            ("one database, additive", blob, additive, {}),
            ("one database, as the guide says", blob, SERVING, {}),
            ("one database, sparse vectors", blob, VECTORS.format(splade=on, dense=off), url),
            ("one database, dense vectors", blob, VECTORS.format(splade=off, dense=on), url),
            ("one database, both", blob, VECTORS.format(splade=on, dense=on), url),
        ]:
            server = Server(arguments.server, database.database, work / "retrieval-server", config, environment)
            try:
                table_row(name, ranks(server, asked))
            finally:
                server.stop()
    finally:
        encoders.terminate()
        encoders.wait(DEADLINE)


def vectors(arguments, index, work):
    """The one database as the guide serves it, with the encoders of the index."""
    encoders = subprocess.Popen(
        [arguments.program, "serve", index.database, "--encoders", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = {"CYMATIX_ENCODER_URL": json.loads(encoders.stdout.readline())["url"]}
        server = Server(
            arguments.server, index.database, work / "vectors-server", VECTORS.format(splade="true", dense="true"), url
        )
        try:
            answer = server.post("/fingerprint", query="decode the header of an email", max_results=10, clean=True)
            tiers = {tier for hit in answer.get("fingerprints", []) for tier in hit["tier_contributions"]}
            Findings.check("vectors", "dense and sparse vectors are searched", {"dense", "splade"} <= tiers, answer)
        finally:
            server.stop()
    finally:
        encoders.terminate()
        Findings.check("vectors", "the encoders end on SIGTERM", encoders.wait(DEADLINE) == 0)
    index.check("vectors")


def moved(arguments, index, work):
    """Built in one folder, served from another: the old one is gone."""
    step = f"moved {index.mode}"[:9]
    there = work / f"elsewhere-{index.mode}"
    shutil.copytree(index.sources, there / "sources")
    shutil.copytree(index.folder, there / index.mode)
    copy = Index(arguments.program, there / index.mode, index.mode)
    hidden = index.sources.rename(index.sources.with_name("hidden"))
    index.folder.rename(index.folder.with_name(f"hidden-{index.mode}"))
    try:
        command = [arguments.program, "relocate", copy.database, "--map", f"{index.sources}={copy.sources}"]
        done = subprocess.run(command, capture_output=True, text=True)
        Findings.check(step, "relocate", done.returncode == 0, done.stderr)
        copy.check(step)
        sharded = {"CYMATIX_USE_SHARDS": 1, "HELIX_USE_SHARDS": 1} if index.mode == "sharded" else {}
        server = Server(arguments.server, copy.database, work / f"{step}-server", SERVING, sharded)
        try:
            answer = json.dumps(server.post("/fingerprint", query="decode the header of an email", max_results=10))
            is_there = str(copy.sources) in answer and f"{index.sources}/" not in answer
            Findings.check(step, "answers name the new place", is_there, answer)
        finally:
            server.stop()
        Findings.check(step, "the log complains of nothing", not server.complaints(), server.complaints())
        copy.check(step)
        before = copy.database.read_bytes()
        built = copy.build()
        is_same = built.returncode == 0 and copy.database.read_bytes() == before
        Findings.check(step, "a build changes nothing", is_same, built.stderr)
    finally:
        hidden.rename(index.sources)
        index.folder.with_name(f"hidden-{index.mode}").rename(index.folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, type=Path)
    parser.add_argument("--program", default="target/release/helix-build", type=Path)
    parser.add_argument("--retrieval", type=int, default=0, metavar="N")
    parser.add_argument("--steps", default="moved,writes,cli,serve,vectors,wrong,sync", help="what to do (default: all)")
    parser.add_argument("--short", action="store_true", help="three packages; all steps but serve and sync")
    parser.add_argument("--keep", type=Path, help="work here and leave everything")
    arguments = parser.parse_args()
    arguments.server, arguments.program = arguments.server.absolute(), arguments.program.absolute()
    work = arguments.keep or Path(tempfile.mkdtemp(prefix="server-check-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        prepare(work, SHORT if arguments.short else PACKAGES)
        indexes = [Index(arguments.program, work / mode, mode) for mode in ("sharded", "blob")]
        for index in indexes:
            built = index.build()
            if built.returncode != 0:
                sys.exit(built.stderr)
        if arguments.retrieval:
            retrieval(arguments, indexes, work)
        else:
            steps = ["moved", "writes", "cli", "vectors", "wrong"] if arguments.short else arguments.steps.split(",")
            for name, step in [("moved", moved), ("writes", writes), ("cli", cli), ("serve", serve)]:
                for index in indexes:
                    if name in steps:
                        step(arguments, index, work)
            if "vectors" in steps:
                vectors(arguments, indexes[1], work)
            if "wrong" in steps:
                mount_wrong(arguments, indexes[0], work)
            if "sync" in steps:
                sync(arguments, indexes[1], work)
    finally:
        if not arguments.keep:
            shutil.rmtree(work)
    sys.exit(1 if Findings.failed else 0)


if __name__ == "__main__":
    main()
