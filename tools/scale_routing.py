#!/usr/bin/env python3
"""Measures a routing database with many rows: what registering costs, and what the server's statement does with it.

    tools/scale_routing.py ROUTING [--rows N] [--per-shard N]

Copies ROUTING, a main.genome.db of a real index, and adds its rows again and again under other chunk ids and shards, as
registering does: one transaction a shard, with the journal, page size and cache of builds. The statement of the server is that of
its shard router (cymatix-context 0.11.3), which scans the table.
"""

import argparse
import hashlib
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

ROUTE = """SELECT shard_name, COUNT(*) AS hits FROM fingerprint_index WHERE {}
GROUP BY shard_name ORDER BY hits DESC, shard_name ASC"""
WORDS = ["parser", "session", "tokio", "migration", "buffer", "validate", "request", "serializer"]


def rows_of(connection, table):
    """Return the columns of a table but the first two, and the rows."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    assert columns[:2] == ["gene_id", "shard_name"], columns
    names = ", ".join(columns[2:])
    return columns, connection.execute(f"SELECT {names} FROM {table} ORDER BY gene_id").fetchall()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("routing", type=Path)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--per-shard", type=int, default=50_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="helix-routing-") as folder:
        path = Path(folder) / "main.genome.db"
        shutil.copy(args.routing, path)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = OFF")
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal"
        tables = {name: rows_of(connection, name) for name in ["fingerprint_index", "source_index"]}
        count = len(tables["fingerprint_index"][1])
        print("| rows | file | a shard more of", f"{args.per_shard:,} rows | 1 word | 3 words | 8 words |")
        print("|---|---|---|---|---|---|")
        shard, report_at = 0, args.rows // 8
        while count < args.rows:
            shard += 1
            began = time.process_time()
            connection.execute("BEGIN IMMEDIATE")
            ids = [hashlib.sha256(f"{shard} {n}".encode()).hexdigest()[:16] for n in range(args.per_shard)]
            for table, (columns, rows) in tables.items():
                marks = ", ".join("?" * len(columns))
                new = ((gene, f"s{shard}", *rows[n % len(rows)]) for n, gene in enumerate(ids))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", new)
            connection.execute("COMMIT")
            took = time.process_time() - began
            count += args.per_shard
            if count >= report_at:
                report_at *= 2
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cells = [f"{count:,}", f"{path.stat().st_size / 2**30:.2f} GiB", f"{took:.1f} s"]
                for n_words in [1, 3, 8]:
                    like = " OR ".join(["(LOWER(domains) LIKE ? OR LOWER(entities) LIKE ?)"] * n_words)
                    needles = [f'%"{word}"%' for word in WORDS[:n_words] for _ in range(2)]
                    began = time.process_time()
                    connection.execute(ROUTE.format(like), needles).fetchall()
                    cells.append(f"{time.process_time() - began:.2f} s")
                print("| " + " | ".join(cells) + " |", flush=True)
        connection.close()


if __name__ == "__main__":
    main()
