#!/usr/bin/env python3
"""Mounts a copy of an index in the server that it is written for, and tells what the server did.

    tools/mount_check.py INDEX [--program target/release/helix-build] [--reader CHECKOUT] [--keep]

INDEX is a `main.genome.db`, a blob database, or a folder that holds one of them. The reader is the
Python package `cymatix-context`; this check is written against the versions 0.9.0 and 0.11.3:

    pip install cymatix-context==0.11.3 numpy

`--reader` takes it from a source checkout instead (whose dependencies must be installed), `--keep`
leaves the copy in place. The steps, each of which must leave the index sound for
`helix-build verify`, with the digest it had:

1. mount   opened as a server opens it, once with its defaults and once with every tier switched on,
           queried in several ways, closed. No byte of any row may change by that, no schema object
           may be added or altered, and the server may not say that it repaired something.
2. shape   the tables and indexes that the reader makes for itself, compared with the index's. The
           index may keep the objects in KEPT_OTHERWISE in another way.
3. serve   chunks are delivered (touched, verified, linked), and one document is added to every
           database of chunks; another is added and deleted again. Rows may be added; of the
           builder's rows, only the columns in SERVER_COLUMNS may change.
4. plans   every statement that the reader has run until here, and those in STATEMENTS, planned by SQLite on
           the reader's own tables and on the index: what the one searches by a key or an index, the
           other must search by the same columns, and sort no more.

There are no models here: the reader's encoders are replaced by ones that return the vectors stored
for a known chunk, so that its sparse and dense tiers run on real rows.

Exit: 0 nothing found, 1 something found, 2 wrong usage or no reader. INDEX itself is only read.
"""

import argparse
import json
import logging
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path
from sqlite3 import connect

READERS = ["cymatix-context==0.9.0", "cymatix-context==0.11.3"]
ROUTING_NAME = "main.genome.db"

# What one query or another must have used.
TIERS = {
    "authority", "dense", "filename_anchor", "fts5", "harmonic", "lex_anchor", "pki", "splade",
    "tag_exact", "tag_prefix",
}  # fmt: skip

# Switched on beside the reader's defaults.
ALL_TIERS = {
    "splade_enabled": True,
    "dense_embedding_enabled": True,
    "pki_enabled": True,
    "filename_anchor_enabled": True,
    "entity_graph": True,
    "entity_graph_retrieval_enabled": True,
    # On by default; it keeps only what the full-text index finds too, so vectors alone find nothing.
    "bm25_shortlist_enabled": False,
}

# Tables that the index keeps without rowid, and indexes of which it has only the name.
KEPT_OTHERWISE = {
    "splade_terms", "splade_term_df", "entity_graph", "filename_index", "symbol_defs",
    "idx_splade_term", "idx_splade_term_cover", "idx_promoter_value", "idx_entity_graph_entity",
    "idx_filename_stem", "idx_symbol_defs_symbol", "gene_relations", "idx_gene_relations_rel_a",
    "idx_source_index_source", "idx_source_index_repo", "idx_source_index_kind",
    "idx_source_index_volatility",
}  # fmt: skip

# Columns of the routing database's `participants` that the server asks for, though its own schema of that database lacks
# them: without them it complains when a document is added.
WIDER = {"agent_kind", "mcp_host", "ide_detected", "ide_detection_via", "model_id"}

# Reads of the reader's own tables, and what stands for them here. The index knows that a chunk has few links, which the
# reader's own tables do not tell SQLite: it looks up every pair of the chunks that are asked about, which takes a hundred
# times as long, and reads all relations where it is asked for those of the second chunk. Nearly all relations are of one
# kind, so the first chunk alone finds the same rows.
INSTEAD = [
    (("harmonic_links", "(gene_id_a=? AND gene_id_b=?)"), {("harmonic_links", "(gene_id_b=?)")}),
    (("gene_relations", "(gene_id_a=? AND gene_id_b=?)"), {("gene_relations", "(gene_id_a=?)")}),
    (("gene_relations", "(relation=? AND gene_id_a=?)"), {("gene_relations", "(gene_id_a=?)")}),
    (("gene_relations", "(relation=?)"), {("gene_relations", "(relation=? AND gene_id_b=?)")}),
    (("gene_relations", ""), {
        ("gene_relations", "(gene_id_a=?)"),
        ("gene_relations", "(ANY(relation) AND gene_id_b=?)"),
    }),
]  # fmt: skip

# Statements of both versions on these tables that the other steps do not lead to, with the file that has them.
STATEMENTS = [
    # backends/splade_backend.py
    "SELECT DISTINCT term FROM splade_terms WHERE gene_id = 'a'",
    "UPDATE splade_term_df SET df = MAX(df - 1, 0) WHERE term = 'a'",
    "INSERT INTO splade_term_df (term, df) VALUES ('a', 1) ON CONFLICT(term) DO UPDATE SET df = df + 1",
    "SELECT term, df FROM splade_term_df WHERE term IN ('a', 'b')",
    "WITH q(term, qw) AS (VALUES ('a', 1.0), ('b', 2.0)) SELECT st.gene_id, SUM(st.weight * q.qw) AS score"
    " FROM splade_terms st JOIN q ON st.term = q.term GROUP BY st.gene_id HAVING score > 0.01"
    " ORDER BY score DESC LIMIT 50",
    # knowledge_store.py
    "SELECT tag_value, COUNT(DISTINCT gene_id) AS df FROM promoter_index WHERE tag_value IN ('a', 'b') GROUP BY tag_value",
    "SELECT gene_id, tag_value FROM promoter_index WHERE tag_value >= 'a' AND tag_value < 'b'",
    "SELECT gene_id FROM symbol_defs WHERE symbol = 'a'",
    "DELETE FROM symbol_defs WHERE gene_id NOT IN (SELECT gene_id FROM genes)",
    # retrieval/lexical_rescue.py, encoding/chunk_fetch.py
    "SELECT g.source_id, COUNT(DISTINCT pi.tag_value) AS hits FROM promoter_index pi"
    " JOIN genes g ON g.gene_id = pi.gene_id WHERE pi.tag_value IN ('a', 'b') AND g.source_id IS NOT NULL"
    " GROUP BY g.source_id ORDER BY hits DESC LIMIT 9",
    "SELECT g.gene_id, g.source_id, g.content, COUNT(DISTINCT pi.tag_value) AS hits FROM promoter_index pi"
    " JOIN genes g ON g.gene_id = pi.gene_id WHERE pi.tag_value IN ('a', 'b') GROUP BY g.gene_id"
    " ORDER BY hits DESC LIMIT 9",
    # storage/co_activation.py
    "SELECT COUNT(*) FROM (SELECT 1 FROM entity_graph WHERE entity = 'a' LIMIT 9)",
    "SELECT gene_id, COUNT(*) as shared FROM entity_graph WHERE entity IN ('a', 'b') AND gene_id != 'c'"
    " GROUP BY gene_id HAVING shared >= 2 ORDER BY shared DESC LIMIT 10",
    "SELECT DISTINCT entity FROM entity_graph WHERE gene_id IN ('a', 'b')",
    "SELECT gene_id, COUNT(*) as shared FROM entity_graph WHERE entity IN ('a', 'b') AND gene_id NOT IN ('c', 'd')"
    " GROUP BY gene_id HAVING shared >= 2 ORDER BY shared DESC LIMIT 10",
    "SELECT gene_id_a, gene_id_b FROM gene_relations WHERE relation = 101 AND gene_id_a IN ('a', 'b')",
    "SELECT gene_id_b AS other, relation, confidence FROM gene_relations WHERE gene_id_a = 'a'"
    " UNION SELECT gene_id_a AS other, relation, confidence FROM gene_relations WHERE gene_id_b = 'a'",
    # retrieval/tie_break.py, retrieval/cover_walk.py, launcher/graph_summary.py
    "SELECT gene_id_a, gene_id_b, relation, confidence FROM gene_relations WHERE gene_id_a IN ('a', 'b')"
    " AND gene_id_b IN ('c', 'd')",
    "SELECT gene_id_a, gene_id_b, confidence FROM gene_relations WHERE relation=5 AND gene_id_a IN ('a', 'b')",
    "SELECT gene_id_a, gene_id_b, confidence FROM gene_relations WHERE relation=5 AND gene_id_b IN ('a', 'b')",
    "SELECT COUNT(*) FROM gene_relations WHERE relation = 5",
    "SELECT COUNT(*) FROM (SELECT gene_id_a AS gene_id FROM gene_relations WHERE relation = 5"
    " UNION SELECT gene_id_b FROM gene_relations WHERE relation = 5)",
    # knowledge_store.py
    "SELECT gene_id_a AS child, gene_id_b AS parent FROM gene_relations WHERE gene_id_a IN ('a', 'b')"
    " AND relation = 3",
    "DELETE FROM gene_relations WHERE gene_id_a = 'a' OR gene_id_b = 'a'",
    "DELETE FROM gene_relations WHERE relation = 101 AND (gene_id_a NOT IN (SELECT gene_id FROM genes)"
    " OR gene_id_b NOT IN (SELECT gene_id FROM genes))",
    # filename_anchor.py
    "SELECT fi.filename_stem, fi.gene_id FROM filename_index fi JOIN genes g ON fi.gene_id = g.gene_id"
    " WHERE fi.filename_stem IN ('a', 'b') AND g.chromatin < 2",
]

# Columns of existing rows that a server writes when it delivers, ages or links chunks.
SERVER_COLUMNS = {
    "genes": {"epigenetics", "chromatin", "last_verified_at"},
    "harmonic_links": {"weight", "updated_at"},
    "gene_relations": {"relation", "confidence", "updated_at"},
    "splade_term_df": {"df"},
    "shards": {"gene_count", "byte_size", "updated_at", "metadata"},
    "sqlite_sequence": {"seq"},
}

# The storage of the full-text index: merges rewrite it. FTS5's own check covers what it says.
FULL_TEXT_STORAGE = {"genes_fts_data", "genes_fts_idx", "genes_fts_config"}

# Warnings that are not about the index: what hardware there is, and that the vectors have another
# length than those of the reader's own model.
ABOUT_THE_MACHINE = "hardware"
ABOUT_THE_MODEL = ("calibrated for dim=1024", "not a sanctioned")
REPAIR = re.compile(
    r"repair|migrat|rebuil|index built|back-?fill|\bsync|orphan|cleanup|Added .* column", re.I
)


class Findings:
    """The table of checks, printed line by line."""

    def __init__(self):
        self.failed = 0

    def add(self, step, check, problems, fine=""):
        """`problems` is empty when all is well; `fine` is what to say then."""
        problems = [str(problem) for problem in problems]
        self.failed += bool(problems)
        detail = problems or [fine]
        word = "FAULT" if problems else "ok"
        print(f"{step:7} {check:34} {word:6} {detail[0]}".rstrip(), flush=True)
        for more in detail[1:20]:
            print(f"{'':49} {more}")
        if len(detail) > 20:
            print(f"{'':49} and {len(detail) - 20} more")


class Copy:
    """The index under test in a folder of its own, beside the original to compare with."""

    def __init__(self, index, folder):
        self.original = {}  # name -> path, the routing database last
        self.path = {}
        main = find_database(index)
        shards = []
        if main.name == ROUTING_NAME:
            with_paths = query(main, "SELECT shard_name, path FROM shards ORDER BY shard_name")
            for number, (name, recorded) in enumerate(with_paths):
                shards.append((name, folder / f"{number}.genome.db"))
                self._take(name, resolve(main, recorded), shards[-1][1])
        self._take(main.name, main, folder / main.name)
        self.main = self.path[main.name]
        self.is_sharded = main.name == ROUTING_NAME
        if self.is_sharded:
            connection = connect(self.main)
            with connection:
                move = "UPDATE shards SET path = ? WHERE shard_name = ?"
                connection.executemany(move, [(str(path), name) for name, path in shards])
            connection.close()

    def _take(self, name, source, target):
        shutil.copyfile(source, target)
        self.original[name], self.path[name] = source, target

    def chunk_databases(self):
        """Names of the databases that hold chunks."""
        return [name for name in self.path if not (self.is_sharded and name == ROUTING_NAME)]


def find_database(index):
    if index.is_file():
        return index.resolve()
    found = index / ROUTING_NAME
    if not found.is_file():
        blobs = sorted(index.glob("*.db"))
        if len(blobs) != 1:
            sys.exit(usage(f"no {ROUTING_NAME} and not just one *.db in {index}"))
        found = blobs[0]
    return found.resolve()


def resolve(main, recorded):
    """Of a moved index, the shards lie where they lay beside the routing database."""
    here = main.parent / "shards" / Path(recorded).name
    path = Path(recorded) if Path(recorded).is_file() else here
    return path if path.is_file() else sys.exit(usage(f"the shard {recorded} is not there"))


def usage(message):
    print(f"mount_check: {message}", file=sys.stderr)
    return 2


def read_only(path):
    """Leaves no file beside the database, so it does not see the rows of a log there either."""
    return connect(f"file:{urllib.parse.quote(str(path))}?mode=ro&immutable=1", uri=True)


def query(path, sql, arguments=()):
    connection = read_only(path)
    try:
        return connection.execute(sql, arguments).fetchall()
    finally:
        connection.close()


# What is in a database: objects, and rows that differ


def objects(connection, schema="main"):
    """name -> (type, table, statement with single blanks, columns)"""
    rows = connection.execute(
        f"SELECT name, type, tbl_name, coalesce(sql, '') FROM {schema}.sqlite_schema"
    )
    result = {}
    for name, kind, table, sql in rows.fetchall():
        pragma = {"index": "index_xinfo"}.get(kind, "table_xinfo")
        columns = connection.execute(f'PRAGMA {schema}.{pragma}("{name}")').fetchall()
        result[name] = (kind, table, " ".join(sql.split()), columns)
    return result


def changed_objects(before, after):
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"{after[name][0]} {name} was added"
        elif name not in after:
            yield f"{before[name][0]} {name} was dropped"
        elif before[name] != after[name]:
            yield f"{before[name][0]} {name} was altered: {after[name][2]}"


def changed_rows(connection, before, after):
    """{table: (rows removed, rows added, {column: rows altered})} against the original, attached as
    `before`; tables that are the same are left out, columns that one side lacks as well."""
    result = {}
    for table, (kind, _, sql, columns) in after.items():
        if table not in before:
            continue
        if kind != "table" or sql.upper().startswith("CREATE VIRTUAL"):
            continue
        there = {column[1] for column in before[table][3]}
        names = [column[1] for column in columns if column[1] in there]
        key = [column[1] for column in columns if column[5]] or ["rowid"]
        if "WITHOUT ROWID" not in sql.upper():
            names.append("rowid")
        same = " AND ".join(f'o."{name}" IS n."{name}"' for name in key)
        sums = ", ".join(f'coalesce(sum(o."{name}" IS NOT n."{name}"), 0)' for name in names)
        row = connection.execute(
            f'SELECT count(*), {sums} FROM before."{table}" AS o JOIN main."{table}" AS n ON {same}'
        ).fetchone()
        old, new = (
            connection.execute(f'SELECT count(*) FROM {s}."{table}"').fetchone()[0]
            for s in ("before", "main")
        )
        altered = {name: count for name, count in zip(names, row[1:], strict=True) if count}
        if altered or old > row[0] or new > row[0]:
            result[table] = (old - row[0], new - row[0], altered)
    return result


def differences(copy, name):
    """(changes of objects, changes of rows) between the original and the copy."""
    connection = read_only(copy.path[name])
    original = urllib.parse.quote(str(copy.original[name]))
    connection.execute("ATTACH ? AS before", (f"file:{original}?mode=ro&immutable=1",))
    before, after = objects(connection, "before"), objects(connection)
    rows = changed_rows(connection, before, after)
    if name == ROUTING_NAME and copy.is_sharded:
        # The paths are those of the copy.
        removed, added, altered = rows.pop("shards", (0, 0, {}))
        altered.pop("path", None)
        if removed or added or altered:
            rows["shards"] = (removed, added, altered)
    connection.close()
    return list(changed_objects(before, after)), rows


def row_problems(rows, is_served):
    for table, (removed, added, altered) in sorted(rows.items()):
        if is_served and table in FULL_TEXT_STORAGE:
            continue
        if removed:
            yield f"{table}: {removed} rows removed"
        if added and not is_served:
            yield f"{table}: {added} rows added"
        for column, count in altered.items():
            if not (is_served and column in SERVER_COLUMNS.get(table, ())):
                yield f"{table}.{column}: {count} rows altered"


def served_rows(rows):
    """What a server may do, in words."""
    told = []
    for table, (_, added, altered) in sorted(rows.items()):
        parts = [f"{column} {count}" for column, count in altered.items()]
        told.append(f"{table} +{added} {' '.join(parts)}".rstrip())
    return "; ".join(told)


def full_text_problems(path):
    connection = connect(path)
    genes, indexed = (
        connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
        for t in ("genes", "genes_fts_docsize")
    )
    if genes != indexed:
        yield f"{path.name}: {indexed} rows in the full-text index, {genes} in genes"
    try:
        connection.execute("INSERT INTO genes_fts(genes_fts, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        yield f"{path.name}: {error}"
    connection.rollback()
    connection.close()


def left_beside(copy):
    expected = {path.name for path in copy.path.values()}
    return sorted(file.name for file in copy.main.parent.iterdir() if file.name not in expected)


# The reader


class Encoders:
    """Stand in for the reader's models; they return the vectors set last."""

    def __init__(self):
        self.sparse, self.dense = {}, []

    def install(self):
        from cymatix_context.backends import bgem3_codec, splade_backend

        splade_backend.encode = lambda *_, **__: dict(self.sparse)
        splade_backend.encode_batch = lambda texts, *_, **__: [dict(self.sparse) for _ in texts]
        bgem3_codec.get_shared_codec = lambda *_, **__: self

    def encode(self, *_, **__):
        return list(self.dense)

    def encode_batch(self, texts, *_, **__):
        return [list(self.dense) for _ in texts]


class Log(logging.Handler):
    """What the reader says that it should have no reason to say."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.said = []
        logging.getLogger().addHandler(self)
        logging.getLogger().setLevel(logging.INFO)

    def emit(self, record):
        if record.module == ABOUT_THE_MACHINE:
            return
        message = record.getMessage()
        if any(words in message for words in ABOUT_THE_MODEL):
            return
        if record.levelno >= logging.WARNING or REPAIR.search(message):
            self.said.append(f"{record.levelname}: {message}")

    def take(self):
        """Warnings and repairs since the last time."""
        said, self.said = self.said, []
        return said


def import_reader(checkout):
    """The reader's version; ends the program when there is none."""
    if checkout:
        sys.path.insert(0, str(checkout))
    try:
        import cymatix_context
        import numpy  # noqa: F401 (the reader's dense tier is silent without it)
        from cymatix_context import config, schemas, shard_schema, sharding  # noqa: F401
    except ImportError as error:
        sys.exit(usage(f"{error}; try: pip install {READERS[-1]} numpy"))
    where = Path(cymatix_context.__file__).parent
    version = "checkout"
    if not checkout:
        from importlib.metadata import version as version_of

        version = version_of("cymatix-context")
    return f"{version} in {where}"


def open_index(path, **switched):
    from cymatix_context.config import CymatixConfig
    from cymatix_context.sharding import build_genome_kwargs, open_read_source

    return open_read_source(str(path), **{**build_genome_kwargs(CymatixConfig()), **switched})


class Query:
    def __init__(self, name, words, chunk):
        """`chunk` must be among the results; its vectors stand for those of the words."""
        self.name, self.words, self.chunk = name, words, chunk


TAGGED = """
SELECT g.gene_id, g.promoter, g.content FROM genes AS g WHERE g.chromatin = 0
ORDER BY (SELECT count(*) FROM harmonic_links AS h WHERE h.gene_id_a = g.gene_id) DESC, g.rowid"""
RARE_WORD = """
SELECT g.gene_id, p.tag_value FROM promoter_index AS p JOIN genes AS g ON g.gene_id = p.gene_id
WHERE g.chromatin < 2 AND p.tag_value NOT GLOB '*[^a-z]*' AND p.tag_type = 'entity'
GROUP BY p.tag_value HAVING count(*) = 1 ORDER BY length(p.tag_value) DESC, p.tag_value"""
FILE_NAME = """
SELECT g.gene_id, f.filename_stem FROM filename_index AS f JOIN genes AS g ON g.gene_id = f.gene_id
JOIN promoter_index AS p ON p.gene_id = g.gene_id AND p.tag_value = f.filename_stem
WHERE g.chromatin < 2 GROUP BY f.filename_stem ORDER BY count(*), f.filename_stem"""
PATH_AND_KEY = """
SELECT g.gene_id, k.path_token, k.kv_key FROM path_key_index AS k
JOIN genes AS g ON g.gene_id = k.gene_id
JOIN promoter_index AS p ON p.gene_id = g.gene_id AND p.tag_value = k.path_token
WHERE g.chromatin < 2 GROUP BY k.path_token, k.kv_key
ORDER BY count(*), k.path_token, k.kv_key"""
ANOTHER = """
SELECT gene_id FROM genes WHERE chromatin < 2 AND embedding_dense_v2 IS NOT NULL
ORDER BY gene_id DESC"""
LINKED = """
SELECT l.gene_id_a, a.promoter, b.promoter FROM harmonic_links AS l
JOIN genes AS a ON a.gene_id = l.gene_id_a JOIN genes AS b ON b.gene_id = l.gene_id_b
ORDER BY l.gene_id_a, l.gene_id_b"""


def pick_queries(copy):
    """Of the largest database: several kinds of queries whose answer is known."""
    paths = [copy.path[name] for name in copy.chunk_databases()]
    database = max(paths, key=lambda path: path.stat().st_size)

    def first(sql):
        return (query(database, sql + " LIMIT 1") or [None])[0]

    def domains(promoter, count):
        return [word.lower() for word in json.loads(promoter)["domains"][:count]]

    result = []
    if row := first(TAGGED):
        words = set(re.findall(r"[a-z]{6,14}", row[2]))
        longest = sorted(words, key=lambda word: (-len(word), word))[:3]
        result.append(Query("tags and words", domains(row[1], 3) + longest, row[0]))
    for name, sql in [
        ("a rare word", RARE_WORD),
        ("a file's name", FILE_NAME),
        ("a path and a key", PATH_AND_KEY),
    ]:
        if row := first(sql):
            result.append(Query(name, list(row[1:]), row[0]))
    if (row := first(ANOTHER)) and (rare := first(RARE_WORD)):
        # Words that are everywhere would outvote the vectors.
        result.append(Query("another chunk's vectors", [rare[1]], row[0]))
    if row := first(LINKED):
        result.append(Query("linked chunks", domains(row[1], 2) + domains(row[2], 2), row[0]))
    return database, [one for one in result if one.words]


def possible_tiers(copy):
    """Without one of the encoders, or without any links or keys, its tier has nothing to run on."""
    tables = {
        "splade": "splade_terms",
        "dense": "genes WHERE embedding_dense_v2 IS NOT NULL",
        "harmonic": "harmonic_links",
        "pki": "path_key_index",
    }
    paths = [copy.path[name] for name in copy.chunk_databases()]
    empty = {
        tier
        for tier, rows in tables.items()
        if not any(query(path, f"SELECT 1 FROM {rows} LIMIT 1") for path in paths)
    }
    return TIERS - empty


def set_vectors(encoders, database, chunk):
    rows = query(
        database,
        "SELECT term, weight FROM splade_terms WHERE gene_id = ? ORDER BY weight DESC, term",
        (chunk,),
    )
    encoders.sparse = dict(rows)
    blob = (
        query(database, "SELECT embedding_dense_v2 FROM genes WHERE gene_id = ?", (chunk,))[0][0]
        or b""
    )
    encoders.dense = list(struct.unpack(f"<{len(blob) // 4}f", blob))


def dense_length(database):
    sql = (
        "SELECT length(embedding_dense_v2) FROM genes WHERE embedding_dense_v2 IS NOT NULL LIMIT 1"
    )
    return (query(database, sql) or [[4096]])[0][0] // 4


# The steps


def verified(program, copy, findings, step, wanted=None):
    """The digest, or None when verify finds a fault."""
    command = [str(program), "verify", str(copy.main), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    digest = next((line["digest"] for line in reversed(lines) if line.get("digest")), None)
    problems = []
    if ran.returncode != 0:
        problems = (
            [f"exit {ran.returncode}"]
            + [json.dumps(line) for line in lines]
            + ran.stderr.splitlines()
        )
    elif wanted and digest != wanted:
        problems = [f"the digest was {wanted} and is {digest}"]
    findings.add(step, "helix-build verify", problems, f"digest {digest}")
    return digest


def ask(source, words):
    """(the ids of the chunks found, what went wrong)"""
    try:
        found = source.query_docs(domains=words, entities=[], max_genes=20)
    except Exception as error:  # Whatever a bad row makes the reader raise.
        return [], repr(error)
    return [chunk.gene_id for chunk in found], None


def mount(copy, encoders, log, findings):
    database, queries = pick_queries(copy)
    defaults = open_index(copy.main)
    for one in queries[:3]:
        ask(defaults, one.words)
    defaults.close()
    findings.add("mount", "messages, with its defaults", log.take(), "no warning, no repair")
    source = open_index(copy.main, dense_embedding_dim=dense_length(database), **ALL_TIERS)
    problems, used, answered = [], set(), 0
    for one in queries:
        set_vectors(encoders, database, one.chunk)
        chunks, error = ask(source, one.words)
        for tiers in source.last_tier_contributions.values():
            used.update(tiers)
        answered += len(chunks)
        if one.chunk not in chunks:
            what = error or f"{one.chunk} is not among {len(chunks)} results"
            problems.append(f"{one.name} {one.words}: {what}")
    stats = source.stats()["total_genes"]
    source.close()
    findings.add("mount", "messages, with every tier", log.take(), "no warning, no repair")
    findings.add(
        "mount", "queries", problems, f"{len(queries)} kinds, {answered} results of {stats} chunks"
    )
    findings.add("mount", "tiers", sorted(possible_tiers(copy) - used), " ".join(sorted(used)))
    compare(copy, findings, "mount", is_served=False)


def compare(copy, findings, step, is_served):
    findings.add(step, "files left beside", left_beside(copy), "none")
    of_objects, of_rows, allowed = [], [], []
    for name in copy.path:
        changed, rows = differences(copy, name)
        of_objects += [f"{name}: {change}" for change in changed]
        of_rows += [f"{name}: {problem}" for problem in row_problems(rows, is_served)]
        if is_served and rows:
            allowed.append(f"{name}: {served_rows(rows)}")
    findings.add(step, "schema objects added or altered", of_objects, "none")
    findings.add(step, "rows of the builder", of_rows, "as written")
    for line in allowed:
        print(f"{'':49} {line}")
    text = [
        problem
        for name in copy.chunk_databases()
        for problem in full_text_problems(copy.path[name])
    ]
    findings.add(step, "full-text index", text, "complete and consistent")


def shape(copy, folder, findings):
    """Objects of an empty store of the reader's own, looked for in the index."""
    from cymatix_context.shard_schema import init_main_db, open_main_db

    own_store = folder / "own.db"
    open_index(own_store, **ALL_TIERS).close()
    problems = shape_problems(own_store, copy.original[copy.chunk_databases()[0]])
    if copy.is_sharded:
        own_main = folder / "own-main.db"
        connection = open_main_db(str(own_main))
        init_main_db(connection)
        connection.close()
        problems += shape_problems(own_main, copy.original[ROUTING_NAME])
        # What the reader's tools do to a routing database before they register a shard.
        connection = open_main_db(str(copy.main))
        init_main_db(connection)
        connection.close()
        changed, rows = differences(copy, ROUTING_NAME)
        problems += changed + list(row_problems(rows, is_served=False))
    findings.add(
        "shape", "the reader's own schema", problems, "all of it is in the index, in the same shape"
    )


def shape_problems(own, path):
    with_own, with_index = read_only(own), read_only(path)
    expected, found = objects(with_own), objects(with_index)
    with_own.close(), with_index.close()
    problems = []
    for name, (kind, table, sql, columns) in sorted(expected.items()):
        if name.startswith("sqlite_autoindex") and table in KEPT_OTHERWISE:
            continue
        if name not in found:
            problems.append(f"{path.name}: no {kind} {name}")
            continue
        if name in KEPT_OTHERWISE:
            # The same columns of the same types.
            wanted = [column[1:3] for column in columns] if kind == "table" else table
            there = [column[1:3] for column in found[name][3]] if kind == "table" else found[name][1]
        elif kind in ("table", "view"):
            # By name: the order of columns is free.
            wanted, there = (
                {column[1]: column[2:] for column in of} for of in (columns, found[name][3])
            )
            if name == "participants":
                there = {column: of for column, of in there.items() if column in wanted or column not in WIDER}
        else:
            wanted, there = (re.sub(r"[\s;]", "", of).lower() for of in (sql, found[name][2]))
        if wanted != there:
            problems.append(f"{path.name}: {kind} {name} is {there}, the reader's own is {wanted}")
        if name in KEPT_OTHERWISE:
            continue
        if ("WITHOUT ROWID" in sql.upper()) != ("WITHOUT ROWID" in found[name][2].upper()):
            problems.append(f"{path.name}: {name}: with or without rowid")
    return problems


def serve(copy, encoders, log, findings):
    """Everything that a server writes to the databases it delivers from."""
    problems = []
    for number, name in enumerate(copy.chunk_databases()):
        path = copy.path[name]
        chunks = [
            row[0] for row in query(path, "SELECT gene_id FROM genes ORDER BY gene_id LIMIT 4")
        ]
        linked = query(
            path, "SELECT gene_id_a, gene_id_b FROM harmonic_links WHERE source = 'seeded' LIMIT 1"
        )
        related = query(path, "SELECT gene_id_a, gene_id_b FROM gene_relations LIMIT 1")
        set_vectors(encoders, path, chunks[0])
        store = open_index(path, dense_embedding_dim=len(encoders.dense) or 1024, **ALL_TIERS)
        store.touch_genes(chunks)
        store.link_coactivated(chunks)
        store.mark_verified(chunks, 2e9)
        store.store_harmonic_weights(
            [(a, b, 0.5) for a, b in linked] + [(chunks[0], chunks[-1], 0.25)]
        )
        for a, b in related:
            store.store_relation(a, b, 1, 0.9)
        store.store_symbol_defs([("mounted_symbol", chunks[0], "function")])
        store.compact()
        store.log_health("a query", 0.5, 0.5, 0.5, 0.5, len(chunks), 10, "aligned")
        store.upsert_doc(document(number))
        passing = store.upsert_doc(document(-1))
        if not store.delete_gene(passing):
            problems.append(f"{name}: the document that was added is not there to delete")
        store.get_relations(chunks[0])
        store.close()
    findings.add("serve", "documents added and deleted", problems, "all")
    findings.add("serve", "messages", log.take(), "no warning, no repair")
    compare(copy, findings, "serve", is_served=True)
    source = open_index(copy.main, dense_embedding_dim=len(encoders.dense) or 1024, **ALL_TIERS)
    # Routing knows only what is registered, so a sharded index is asked without words of its own.
    words = pick_queries(copy)[1][0].words if copy.is_sharded else ["mountedentity"]
    chunks, error = ask(source, words)
    source.close()
    problems = log.take() if chunks else [error or "no results"]
    findings.add("serve", "opened again", problems, f"{len(chunks)} results, no repair")


# Plans


class Statements:
    """What the reader's connections run, one of each kind. This file has its own `connect`."""

    def __init__(self):
        self.said = {}

        def traced(*arguments, **named):
            connection = connect(*arguments, **named)
            connection.set_trace_callback(self.take)
            return connection

        sqlite3.connect = traced

    def take(self, statement):
        if re.match(r"\s*(SELECT|INSERT|REPLACE|UPDATE|DELETE|WITH)\b", statement, re.I):
            kind = re.sub(r"'(?:[^']|'')*'|\b[\d.]+(?:e[+-]?\d+)?\b", "?", " ".join(statement.split()))
            self.said.setdefault(re.sub(r"\?(?:, ?\?)+", "?, ?", kind), statement)


def plan(connection, statement):
    """How each table is read: (searches by the columns of a key or an index, number of sorts)."""
    steps = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement)]
    found = [re.match(r"(SEARCH|SCAN) (\S+)[^(]*(\(.*\))?$", step) for step in steps]
    reads = sorted((match[1], match[2], match[3] or "") for match in found if match)
    return reads, sum("TEMP B-TREE" in step for step in steps)


def is_served(wanted, there):
    """Whether a read of the reader's own tables is among those of the index, or something better."""
    found = {read[1:] for read in there if read[1] == wanted[1]}
    return wanted in there or any(own == wanted[1:] and found and found <= reads for own, reads in INSTEAD)


def plan_problems(own, path, statements):
    with_own, with_index = read_only(own), read_only(path)
    for statement in statements:
        try:
            (wanted, sorts), (there, more) = (plan(c, statement) for c in (with_own, with_index))
        except sqlite3.Error as error:
            yield f"{error}: {statement[:200]}"
            continue
        if not all(is_served(read, there) for read in wanted) or more > sorts:
            yield f"{there}, {more} sorts; the reader's own tables: {wanted}, {sorts}: {statement[:200]}"
    with_own.close(), with_index.close()


def plans(copy, folder, traced, findings):
    path = copy.original[copy.chunk_databases()[0]]
    # Not those on the routing database, which has no tables that are kept otherwise.
    of_chunks = re.compile(r"\b(genes|(?!fingerprint|source)\w+_(index|terms|df|graph|defs|relations|links))\b")
    statements = [one for one in traced.said.values() if of_chunks.search(one) and "fingerprint_index" not in one]
    problems = list(plan_problems(folder / "own.db", path, statements + STATEMENTS))
    fine = f"{len(statements)} statements that were run and {len(STATEMENTS)} others, by the same keys"
    findings.add("plans", "the reader's statements", problems, fine)


def document(number):
    """Not a text of any index."""
    from cymatix_context.schemas import Gene, PromoterTags

    content = (
        f"The mounted server adds document {number}: retry_limit = 5 in the MountedEntity of its own.\n"
        * 5
    )
    tags = PromoterTags(
        domains=["mounted", "server"], entities=["MountedEntity", "RetryLimit"], summary="its own"
    )
    return Gene(
        gene_id="",
        content=content,
        complement=content[:80],
        codons=["mounted"],
        promoter=tags,
        source_id=f"/mounted/by_server_{number}.md",
        key_values=["retry_limit=5"],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--program", default="target/release/helix-build")
    parser.add_argument("--reader", type=Path, help="a source checkout of the reader")
    parser.add_argument("--keep", action="store_true", help="leave the copy in place and say where")
    arguments = parser.parse_args()
    program = shutil.which(arguments.program)
    if not program:
        return usage(f"{arguments.program} is not a program; --program names another")
    program = Path(program).resolve()
    reader = arguments.reader and arguments.reader.resolve()
    folder = Path(tempfile.mkdtemp(prefix="mount-check-")).resolve()
    (folder / "copy").mkdir()
    try:
        copy = Copy(arguments.index, folder / "copy")
        for name in [name for name in os.environ if name.startswith("CYMATIX_")]:
            del os.environ[name]
        os.environ["CYMATIX_USE_SHARDS"] = "1"
        os.chdir(folder)  # The reader looks for its configuration where it is started.
        print(f"reader {import_reader(reader)}, SQLite {sqlite3.sqlite_version}")
        return check(copy, program, folder)
    finally:
        (
            print(f"copy kept in {folder}")
            if arguments.keep
            else shutil.rmtree(folder, ignore_errors=True)
        )


def check(copy, program, folder):
    findings, log, encoders = Findings(), Log(), Encoders()
    encoders.install()
    statements = Statements()
    digest = verified(program, copy, findings, "before")
    mount(copy, encoders, log, findings)
    verified(program, copy, findings, "mount", digest)
    shape(copy, folder, findings)
    log.take()
    serve(copy, encoders, log, findings)
    plans(copy, folder, statements, findings)
    verified(program, copy, findings, "serve", digest)
    print("nothing found" if not findings.failed else f"{findings.failed} checks found something")
    return 1 if findings.failed else 0


if __name__ == "__main__":
    sys.exit(main())
