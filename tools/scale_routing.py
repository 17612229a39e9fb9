#!/usr/bin/env python3
"""Measures a routing database with many rows: what registering costs, and what the server's statement does with it.

    tools/scale_routing.py ROUTING [--rows N] [--per-shard N]
    tools/scale_routing.py ROUTING --bulk --rows 50000000 --database FILE [--shards N] [--router]

Takes the rows of ROUTING, a main.genome.db of a real index, again and again under other chunk ids and shards. Without --bulk it
adds them as registering does: one transaction a shard, with the journal, page size and cache of builds. With --bulk it fills the
database in the order of its keys and without a journal, which takes minutes for 50 million rows, and then registers --shards more
shards as builds do. The ids of bulk rows are spread evenly over all keys, so those of a later shard hit pages all over the file,
as they do in a database that grew shard by shard. The pages of the primary keys are fuller at first.

--order and --cache-kib try other ways of registering: rows in the order of their ids, another page cache. The statement of the
server is that of its shard router (cymatix-context 0.11.3), which scans the table; with --router the router itself is opened and
asked as well, for which the Python that runs this script must have the package. A --database is kept and, if it is there, used as
it is.

Times: CPU is user and system time. "Core" is the time that the process waited for a processor, "disk" what remains of the wall
time (/proc/self/schedstat). "Read" is what came from the disk (/proc/self/io), "log" the size of SQLite's log after the
transaction, which is written to the disk once more by the checkpoint. Linux only.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

ROUTE = """SELECT shard_name, COUNT(*) AS hits FROM fingerprint_index WHERE {}
GROUP BY shard_name ORDER BY hits DESC, shard_name ASC"""
WORDS = ["parser", "session", "tokio", "migration", "buffer", "validate", "request", "serializer"]
TABLES = ["fingerprint_index", "source_index"]
IDS = 2**63


class Clock:
    """What a block of code cost."""

    def __enter__(self):
        self.began = self.now()
        return self

    def __exit__(self, *_):
        self.cpu, self.wall, self.core, self.read = (now - then for now, then in zip(self.now(), self.began))
        self.disk = max(0, self.wall - self.cpu - self.core)

    @staticmethod
    def now():
        core = read = 0
        with contextlib.suppress(OSError):
            core = int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
            counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
            read = int(counts["read_bytes"]) / 1e6
        return time.process_time(), time.monotonic(), core, read

    def __str__(self):
        return (f"CPU {self.cpu:.1f} s, wall {self.wall:.1f} s, core {self.core:.1f} s, disk {self.disk:.1f} s, "
                f"read {self.read:,.0f} MB")


class Source:
    """The rows of a real routing database, in the order in which they were registered."""

    def __init__(self, path):
        self.path = path
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            self.columns, self.rows = {}, {}
            for table in TABLES:
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                assert columns[:3] == ["gene_id", "shard_name", "source_id"], columns
                self.columns[table] = columns
                names = ", ".join(columns[2:])
                self.rows[table] = connection.execute(f"SELECT {names} FROM {table} ORDER BY rowid").fetchall()
        self.prefix = len(os.path.commonpath([row[0] for row in self.rows["source_index"]]))

    def shard(self, table, label, ids):
        """Yield rows of a shard whose sources are below a folder of their own."""
        rows, prefix = self.rows[table], self.prefix
        for n, gene in enumerate(ids):
            source, *others = rows[n % len(rows)]
            yield gene, label, f"/corpora/{label}{source[prefix:]}", *others

    def insert(self, table):
        return f"INSERT INTO {table} VALUES ({', '.join('?' * len(self.columns[table]))})"


def register(connection, source, label, count, order):
    """Add a shard of `count` rows as registering does."""
    ids = [f"{int(hashlib.sha256(f'{label} {n}'.encode()).hexdigest()[:16], 16) % IDS:016x}" for n in range(count)]
    if order == "key":
        ids.sort()
    rows = {table: list(source.shard(table, label, ids)) for table in TABLES}
    pairs = zip(*rows.values())
    fingerprint, place = (source.insert(table) for table in TABLES)
    with Clock() as clock:
        connection.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            connection.execute(f"DELETE FROM {table} WHERE shard_name = ?", [label])
        for row, other in pairs:
            connection.execute(fingerprint, row)
            connection.execute(place, other)
        add_shard(connection, label, count)
        # The checkpoint, as there is one after each large transaction, included.
        connection.execute("COMMIT")
    return clock


def add_shard(connection, label, count):
    connection.execute(
        "INSERT INTO shards (shard_name, category, path, created_at, updated_at, gene_count, byte_size, health) "
        "VALUES (?, 'reference', ?, 0, 0, ?, 0, 'ok')", [label, f"/corpora/{label}.genome.db", count])


def fill(path, source, target, per_shard):
    """Add rows in the order of their keys until there are `target`."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; "
                             "PRAGMA cache_size = -262144; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;")
    count = connection.execute("SELECT COUNT(*) FROM fingerprint_index").fetchone()[0]
    shards, step = (target - count) // per_shard, IDS // target
    # Python is too slow for each row: SQLite copies the rows of one shard and changes ids and names.
    copies = {}
    for table in TABLES:
        columns = source.columns[table]
        connection.execute(f"CREATE TEMP TABLE like_{table} AS SELECT 0 AS n, * FROM {table} WHERE 0")
        rows = ((n, *row) for n, row in enumerate(source.shard(table, "", [""] * per_shard)))
        connection.executemany(f"INSERT INTO like_{table} VALUES ({', '.join('?' * (1 + len(columns)))})", rows)
        connection.execute(f"UPDATE like_{table} SET source_id = substr(source_id, length('/corpora/') + 1)")
        id_of_row = f"printf('%016x', (?1 + n) * {step} + abs(random() % {step}))"
        copies[table] = (f"INSERT INTO {table} SELECT {id_of_row}, ?2, '/corpora/' || ?2 || source_id, "
                         f"{', '.join(columns[3:])} FROM like_{table} ORDER BY rowid")
    began = time.monotonic()
    for shard in range(shards):
        label, start = f"bulk-{shard:05}", count + shard * per_shard
        connection.execute("BEGIN")
        for table in TABLES:
            connection.execute(copies[table], [start, label])
        add_shard(connection, label, per_shard)
        connection.execute("COMMIT")
        if shard % 50 == 49:
            print(f"{start + per_shard:,} rows, {path.stat().st_size / 2**30:.2f} GiB, {time.monotonic() - began:.0f} s", flush=True)
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.close()
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def open_as_builds_do(path, cache_kib):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = OFF")
    if cache_kib:
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    assert connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal"
    return connection


def route(connection, n_words):
    """Run the statement of the server's shard router."""
    like = " OR ".join(["(LOWER(domains) LIKE ? OR LOWER(entities) LIKE ?)"] * n_words)
    needles = [f'%"{word}"%' for word in WORDS[:n_words] for _ in range(2)]
    with Clock() as clock:
        connection.execute(ROUTE.format(like), needles).fetchall()
    return clock


def grow(args, source, path):
    """Register shard after shard; print a row of the table whenever the database has doubled."""
    connection = open_as_builds_do(path, args.cache_kib)
    count = len(source.rows["fingerprint_index"])
    print("| rows | file | a shard more of", f"{args.per_shard:,} rows |", " | ".join(f"{n} words" for n in args.words), "|")
    print("|" + "---|" * (3 + len(args.words)))
    shard, report_at = 0, args.rows // 8
    while count < args.rows:
        shard += 1
        clock = register(connection, source, f"shard-{shard:05}", args.per_shard, args.order)
        count += args.per_shard
        if count >= report_at:
            report_at *= 2
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cells = [f"{count:,}", f"{path.stat().st_size / 2**30:.2f} GiB", f"{clock.cpu:.1f} s"]
            cells += [f"{route(connection, n).cpu:.2f} s" for n in args.words]
            print("| " + " | ".join(cells) + " |", flush=True)
    connection.close()


def measure_bulk(args, source, path):
    if not path.exists():
        shutil.copy(args.routing, path)
        with Clock() as clock:
            fill(path, source, args.rows, args.per_shard)
        print(f"filled: {clock}")
    print(f"{path.stat().st_size:,} bytes", flush=True)
    connection = open_as_builds_do(path, args.cache_kib)
    shards = connection.execute("SELECT COUNT(*) FROM shards").fetchone()[0]
    for n in range(shards, shards + args.shards):
        clock = register(connection, source, f"shard-{n:05}", args.per_shard, args.order)
        log = Path(f"{path}-wal").stat().st_size / 1e6
        print(f"a shard of {args.per_shard:,} rows more: {clock}, log {log:,.0f} MB", flush=True)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for n_words in args.words:
        print(f"routing by {n_words} words: {route(connection, n_words)}", flush=True)
    connection.close()
    if args.router:
        ask_router(path)


def ask_router(path):
    """Open the server's own router and let it route a question of three words."""
    from cymatix_context.shard_router import ShardRouter

    with Clock() as clock:
        router = ShardRouter(str(path))
        known = router.known_shards()
    print(f"the server's router opens it, {len(known):,} shards: {clock}", flush=True)
    with Clock() as clock:
        found = router.route(WORDS[:3], [])
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    memory = ", ".join(f"{name} {fields[name].strip()}" for name in ["VmHWM", "RssAnon", "RssFile"])
    print(f"it routes by 3 words to {len(found):,} shards: {clock}; {memory}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("routing", type=Path)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--per-shard", type=int, default=50_000)
    parser.add_argument("--bulk", action="store_true", help="fill the database in the order of its keys")
    parser.add_argument("--database", type=Path, help="where the database is made; it is kept")
    parser.add_argument("--shards", type=int, default=3, help="shards to register after --bulk")
    parser.add_argument("--words", type=int, nargs="*", default=[1, 3, 8], help="numbers of words to route by")
    parser.add_argument("--router", action="store_true", help="ask the server's own router too")
    parser.add_argument("--order", choices=["source", "key"], default="source", help="order of the rows of a shard")
    parser.add_argument("--cache-kib", type=int, help="page cache; SQLite's own, 2,000 KiB, unless it is given")
    args = parser.parse_args()
    source = Source(args.routing)
    with tempfile.TemporaryDirectory(prefix="helix-routing-") as folder:
        path = args.database or Path(folder) / "main.genome.db"
        if args.bulk:
            measure_bulk(args, source, path)
        else:
            shutil.copy(args.routing, path)
            grow(args, source, path)


if __name__ == "__main__":
    main()
