#!/usr/bin/env python3
"""Indexes the same texts with helix-build and with libraries that people would use instead, in turns.

    tools/peers.py PROGRAM FOLDER [--minilm DIR] [--rounds N] [--texts N]

The texts are the chunks that PROGRAM cuts of FOLDER. Each variant is a process of its own: CPU time is that of the process and
its children, size that of all files it leaves. What each does:

    SQLite FTS5    a table with the texts, and a full-text index over it (unicode61), by Python's sqlite3
    tantivy        the texts stored and indexed, one writer thread, committed and merged
    fastembed      vectors of MiniLM by ONNX Runtime, one thread, saved as float32; no index
    helix-build    a whole build: walks, reads, cuts, tags, writes, checks; with no encoder, with the built-in ones, with MiniLM

MiniLM needs a directory with model.onnx and tokenizer.json (docs/models.md), and for fastembed tokenizer_config.json and
special_tokens_map.json; it runs on the first --texts chunks only. Prints a table in Markdown.

Needs: pip install tantivy fastembed numpy
"""

import argparse
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def texts_of(database):
    with sqlite3.connect(database) as conn:
        return [row[0] for row in conn.execute("SELECT content FROM genes ORDER BY rowid")]


# ----- what runs in a process of its own: VARIANT TEXTS OUT [MODEL]


def fts5(texts, out, _model):
    conn = sqlite3.connect(out / "fts.db")
    conn.execute("PRAGMA synchronous = OFF")
    conn.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, content TEXT)")
    conn.execute("CREATE VIRTUAL TABLE full_text USING fts5(content, content='texts', content_rowid='id')")
    conn.executemany("INSERT INTO texts (content) VALUES (?)", ([text] for text in texts))
    conn.execute("INSERT INTO full_text (full_text) VALUES ('rebuild')")
    conn.execute("INSERT INTO full_text (full_text) VALUES ('optimize')")
    conn.commit()
    conn.close()


def tantivy(texts, out, _model):
    import tantivy as library

    schema = library.SchemaBuilder().add_text_field("content", stored=True).build()
    index = library.Index(schema, path=str(out))
    writer = index.writer(num_threads=1)
    for text in texts:
        writer.add_document(library.Document(content=text))
    writer.commit()
    writer.wait_merging_threads()


def fastembed(texts, out, model):
    import numpy as np
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    TextEmbedding.add_custom_model(
        model="local/minilm",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="local/minilm"),
        dim=384,
        model_file="model.onnx",
    )
    encoder = TextEmbedding("local/minilm", specific_model_path=model, threads=1)
    np.save(out / "vectors.npy", np.array(list(encoder.embed(texts, batch_size=32))))


LIBRARIES = {"fts5": fts5, "tantivy": tantivy, "fastembed": fastembed}


def run_library(name, texts, out, model=None):
    LIBRARIES[name](json.loads(Path(texts).read_text()), Path(out), model)


# ----- the comparison


def cpu_of(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minilm", type=Path, help="directory of the model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=1000, help="chunks for MiniLM")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        compare(arguments, Path(scratch))


def compare(arguments, scratch):
    program = arguments.program.resolve()

    def profile(name, folder):
        path = scratch / f"{name}.toml"
        path.write_text(f"roots = [{json.dumps(str(folder))}]\n")
        return path

    def build(profile, out, sparse, dense):
        command = [program, "--profile", profile, "--mode", "blob", "--out-dir", out, "-q"]
        return command + ["--sparse-model", sparse, "--dense-model", dense]

    whole = profile("whole", arguments.folder.resolve())
    subprocess.run(list(map(str, build(whole, scratch / "first", "none", "none"))), check=True, stdout=subprocess.DEVNULL)
    texts = texts_of(scratch / "first/whole.db")
    (scratch / "texts.json").write_text(json.dumps(texts))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    few = texts[: arguments.texts]
    (scratch / "few.json").write_text(json.dumps(few))
    # The same few texts for a build: a file each.
    pieces = scratch / "pieces"
    pieces.mkdir()
    for number, text in enumerate(few):
        (pieces / f"{number:05}.txt").write_text(text)
    part = profile("part", pieces)

    out = scratch / "out"

    def library(name, texts, *more):
        return [sys.executable, __file__, "--library", name, scratch / texts, out, *more]

    variants = {
        "SQLite FTS5": (library("fts5", "texts.json"), len(texts)),
        "tantivy": (library("tantivy", "texts.json"), len(texts)),
        "helix-build, no encoder": (build(whole, out, "none", "none"), len(texts)),
        "helix-build, built-in encoders": (build(whole, out, "embedded", "embedded"), len(texts)),
    }
    if arguments.minilm:
        minilm = arguments.minilm.resolve()
        variants["fastembed, MiniLM, vectors alone"] = (library("fastembed", "few.json", minilm), len(few))
        variants["helix-build, MiniLM"] = (build(part, out, "none", minilm), len(few))
    figures = {name: [] for name in variants}
    sizes = {}
    for _ in range(arguments.rounds):
        for name, (command, _) in variants.items():
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            figures[name].append(cpu_of(command))
            sizes[name] = size_of(out)
    print(f"{len(texts)} chunks, {megabytes:.1f} MB of text; median of {arguments.rounds} rounds\n")
    print("| | chunks | CPU ms a chunk | least to greatest | bytes a chunk |")
    print("|---|---|---|---|---|")
    for name, (_, chunks) in variants.items():
        ms = sorted(1000 * seconds / chunks for seconds in figures[name])
        print(
            f"| {name} | {chunks} | {statistics.median(ms):.2f} | {ms[0]:.2f} to {ms[-1]:.2f} "
            f"| {sizes[name] / chunks:,.0f} |"
        )


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    if sys.argv[1:2] == ["--library"]:
        run_library(*sys.argv[2:])
    else:
        main()
