#!/usr/bin/env python3
"""Compares the vectors in a database of helix-build with those of reference.py.

    compare.py DATABASE [--sparse MODEL_DIR] [--dense MODEL_DIR] [--coverage whole|head] [--queries FILE --hits FILE...]

DATABASE is a blob or one shard, HITS what `query --queries FILE --json --mode sparse|dense` printed, named sparse.* or dense.*.
Prints one JSON object: what was compared, the largest difference, the tokens of all places of chunks, and `wrong`, a list of texts,
empty when all is well. Exit: 0 whatever was found.
"""

import argparse
import json
import sqlite3
from pathlib import Path

import numpy as np
from reference import DOCUMENT_TERMS, QUERY_TERMS, Encoder

UNIT = 1.000_1e-4  # One unit of the fourth decimal, and what doubles make of it.
NUMBER = 1e-5
# A score adds up to 32 products of weights, each off by a unit, and weights here are below 3.
SPARSE_SCORE = 0.01
DENSE_SCORE = 2e-5


class Report:
    def __init__(self):
        self.counts = dict.fromkeys(["chunks", "terms", "vectors", "queries", "unclear_queries", "tokens"], 0)
        self.largest = {"term": 0.0, "number": 0.0, "sparse_score": 0.0, "dense_score": 0.0}
        self.wrong = []

    def count(self, what, n=1):
        self.counts[what] += n

    def differ(self, what, difference, bound, where):
        """Notes a difference; one above the bound is wrong."""
        self.largest[what] = max(self.largest[what], float(difference))
        if not difference <= bound:
            self.wrong.append(f"{where}: {what} differs by {difference:.6g}")


def compare_terms(report, where, stored, expected):
    """`stored` is heaviest first; `expected` has all terms, not only the heaviest 128."""
    weights = dict(expected)
    for term, weight in stored:
        report.differ("term", abs(weight - weights.get(term, 0.0)), UNIT, f"{where} {term}")
    report.count("terms", len(stored))
    if len(dict(stored)) != len(stored):
        report.wrong.append(f"{where}: a term stands twice")
    # Rounding decides about a weight at the cut, or next to nothing; about no other.
    cut = stored[-1][1] if len(stored) == DOCUMENT_TERMS else 0.0
    for term, weight in expected:
        if weight > cut + UNIT and term not in dict(stored):
            report.wrong.append(f"{where}: {term} {weight} is missing")
    if len(stored) > DOCUMENT_TERMS:
        report.wrong.append(f"{where}: {len(stored)} terms")


def compare_vector(report, where, stored, expected):
    if (stored is None) != (expected is None):
        report.wrong.append(f"{where}: vector {'missing' if stored is None else 'out of nothing'}")
    elif stored is not None:
        vector = np.frombuffer(stored, "<f4").astype(np.float64)
        report.count("vectors")
        if len(vector) != len(expected):
            report.wrong.append(f"{where}: {len(vector)} numbers, not {len(expected)}")
        else:
            report.differ("number", abs(vector - expected).max(), NUMBER, where)


def compare_chunks(report, database, sparse, dense):
    tokens = {}
    for gene_id, text, vector in database.execute("SELECT gene_id, content, embedding_dense_v2 FROM genes"):
        where = f"{gene_id} {text[:30]!r}"
        report.count("chunks")
        tokens[gene_id] = 0
        if sparse:
            n, expected = sparse.encode(text, limit=10**6)
            rows = database.execute("SELECT term, weight FROM splade_terms WHERE gene_id = ? ORDER BY weight DESC", [gene_id])
            compare_terms(report, where, rows.fetchall(), expected)
            tokens[gene_id] = n
        if dense:
            n, expected = dense.encode(text)
            compare_vector(report, where, vector, expected)
            tokens[gene_id] = max(n, tokens[gene_id])
    for (gene_id,) in database.execute("SELECT gene_id FROM build_sources"):
        report.count("tokens", tokens[gene_id])


def sparse_scores(report, database, encoder, query):
    """Scores by chunk; None when rounding decides which terms the query has."""
    expected = encoder.encode(query, query=True, limit=QUERY_TERMS + 1)[1]
    if len(expected) > QUERY_TERMS and expected[-2][1] - expected[-1][1] <= UNIT:
        return None
    scores = {}
    for term, weight in expected[:QUERY_TERMS]:
        for gene_id, other in database.execute("SELECT gene_id, weight FROM splade_terms WHERE term = ?", [term]):
            scores[gene_id] = scores.get(gene_id, 0.0) + weight * other
    return scores


def dense_scores(report, database, encoder, query):
    vector = encoder.encode(query, query=True)[1]
    rows = database.execute("SELECT gene_id, embedding_dense_v2 FROM genes WHERE embedding_dense_v2 NOT NULL")
    return {gene_id: float(np.frombuffer(stored, "<f4").astype(np.float64) @ vector) for gene_id, stored in rows}


def compare_hits(report, database, encoder, queries, hits):
    kind, bound = encoder.kind, SPARSE_SCORE if encoder.kind == "sparse" else DENSE_SCORE
    # Others are not delivered.
    hot = {gene_id for (gene_id,) in database.execute("SELECT gene_id FROM genes WHERE chromatin < 2")}
    for number, query in enumerate(queries):
        found = [(hit["gene_id"], hit["score"]) for hit in hits if hit["query"] == number]
        scores = (sparse_scores if kind == "sparse" else dense_scores)(report, database, encoder, query)
        if scores is None:
            report.count("unclear_queries")
            continue
        report.count("queries")
        best = sorted((score for gene_id, score in scores.items() if gene_id in hot), reverse=True)
        where = f"{kind} query {query!r}"
        if not found:
            report.wrong.append(f"{where}: no hits")
        for (gene_id, score), expected in zip(found, best):
            report.differ(f"{kind}_score", abs(score - scores[gene_id]), bound, where)
            # The right chunk at this rank, or one as good.
            report.differ(f"{kind}_score", abs(score - expected), bound, where)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--sparse", type=Path)
    parser.add_argument("--dense", type=Path)
    parser.add_argument("--coverage", choices=["whole", "head"], default="whole")
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--hits", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    encoders = {
        kind: Encoder(directory, kind, arguments.coverage)
        for kind, directory in (("sparse", arguments.sparse), ("dense", arguments.dense))
        if directory
    }
    database = sqlite3.connect(f"file:{arguments.database.as_posix()}?mode=ro&immutable=1", uri=True)
    report = Report()
    compare_chunks(report, database, encoders.get("sparse"), encoders.get("dense"))
    for path in arguments.hits:
        # Not splitlines: texts have other line ends in them.
        hits = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        queries = arguments.queries.read_text(encoding="utf-8").split("\n")[:-1]
        compare_hits(report, database, encoders[path.name.split(".")[0]], queries, hits)
    print(json.dumps({**report.counts, "largest": report.largest, "wrong": report.wrong}))


if __name__ == "__main__":
    main()
