#!/usr/bin/env python3
"""Trains the table of the built-in dense encoder, from pinned packages to the bytes of the ONNX file.

    tools/train_encoders.py WORK OUT.onnx [--check]

WORK keeps what is downloaded and made (3 GB), so that an interrupted run goes on. --check compares OUT.onnx with the file in assets/models
instead of writing it.

1. Download the packages named in tools/encoders/{python,crates,npm}.txt with pip, cargo and npm, and compare each with its SHA-256. All have
   permissive licences. The repositories of the code-search benchmark and the unseen packages of docs/benchmarks.md are not among them; of
   the crates that this program depends on, 87 are.
2. Take pairs out of their sources: the first sentence of a comment of documentation with the code below it, without the comment; with the
   rest of a long comment; a heading of Markdown with its section.
3. Train two copies of the first table, that of commit FIRST, so that the two sides of a pair point the same way and those of other pairs of a
   batch do not (cross entropy in both directions): one with batches at random, one with batches of 16 pairs from each package, which are harder to tell apart.
4. Take the mean of the first table and the two copies, and round it to 4 bits.

Two runs on one machine gave the same bytes. One thread, one kernel of OpenBLAS, sums in a fixed order and fixed seeds are there so that
other x86-64 machines with AVX2 give them too; that was not tried.

Needs git, cc, cargo, npm, and Python 3.11 with the packages of tools/encoders/requirements.txt. Takes 3.5 minutes of one core after the
downloads.
"""

import os
import sys

PINS = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONHASHSEED": "0"}
if any(os.environ.get(name) != value for name, value in PINS.items()):
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | PINS)

import argparse
import collections
import ctypes
import hashlib
import io
import pickle
import random
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import onnx
from onnx import numpy_helper
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent / "encoders"))
from pairs import PAIRS, is_good, is_read

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "assets/models"
# The table that training starts from: this program's first one, made of MiniLM's token vectors (Apache-2.0) and 31,256 pairs.
FIRST = "3224cae"
FIRST_SHA256 = "3b443936063e0eb0169d91fd955908fb501ebe02e3e453274bd606f2bf279b03"
VOCABULARY, DIM = 30_522, 256
QUERY_TOKENS, DOCUMENT_TOKENS = 48, 240
# Pairs of a package: of more, some at random.
PAIRS_OF_PACKAGE = {"python": 1_500, "crates": 400, "npm": 400}
# Bytes of a wheel's sources that are read: of more, some files at random.
PYTHON_BYTES = 700_000
BATCH, EPOCHS, RATE, TEMPERATURE = 1_024, 3, 0.064, 0.05
# Pairs of one package that stand together, one run for each.
BLOCKS = (1, 16)


# Sources


def listed(kind):
    """Name, version and SHA-256 of each package."""
    lines = (HERE / f"encoders/{kind}.txt").read_text().splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


def run(*command, **more):
    if subprocess.run(command, **more).returncode != 0:
        sys.exit(f"{' '.join(map(str, command))[:200]} failed")


def download(kind, folder):
    """The archives of a kind in the order of the list."""
    packages, archives = listed(kind), folder / kind
    archives.mkdir(parents=True, exist_ok=True)
    known = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in archives.rglob("*") if p.suffix in (".whl", ".crate", ".tgz")}
    if missing := [(name, version) for name, version, sha256 in packages if sha256 not in known]:
        print(f"{kind}: {len(missing)} packages to download", file=sys.stderr)
        FETCH[kind](missing, archives)
        known = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in archives.rglob("*") if p.suffix in (".whl", ".crate", ".tgz")}
    for name, version, sha256 in packages:
        if sha256 not in known:
            sys.exit(f"{name} {version}: no download has the SHA-256 in tools/encoders/{kind}.txt")
        yield name, known[sha256]


def fetch_wheels(packages, folder):
    platforms = [f"manylinux_2_{n}_x86_64" for n in (28, 27, 17)] + ["manylinux2014_x86_64", "manylinux1_x86_64", "any"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"]
    command += [word for platform in platforms for word in ("--platform", platform)]
    run(*command, "--dest", folder, *(f"{name}=={version}" for name, version in packages))


def fetch_crates(packages, folder):
    needs = "".join(f'{name} = {{ version = "={version}", default-features = false }}\n' for name, version in packages)
    with tempfile.TemporaryDirectory() as project:
        Path(project, "src").mkdir()
        Path(project, "src/lib.rs").touch()
        Path(project, "Cargo.toml").write_text(f'[package]\nname = "pairs"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n{needs}')
        run("cargo", "fetch", "--quiet", "--target", "x86_64-unknown-linux-gnu", cwd=project, env=os.environ | {"CARGO_HOME": str(folder)})


def fetch_npm(packages, folder):
    for at in range(0, len(packages), 10):
        run("npm", "pack", "--silent", *(f"{n}@{v}" for n, v in packages[at : at + 10]), cwd=folder, stdout=subprocess.DEVNULL)


FETCH = {"python": fetch_wheels, "crates": fetch_crates, "npm": fetch_npm}


def files(kind, archive):
    """Path and text of each file that pairs are taken from, in the order of the paths."""
    if kind == "python":
        with zipfile.ZipFile(archive) as wheel:
            found = [(i.filename, i.file_size) for i in wheel.infolist() if is_read(kind, i.filename, i.file_size)]
            random.Random(2).shuffle(found)
            kept, size = [], 0
            for name, length in found:
                size += length
                if size > PYTHON_BYTES:
                    break
                kept.append(name)
            texts = [(name, wheel.read(name)) for name in sorted(kept)]
    else:
        with tarfile.open(archive) as tar:
            texts = sorted(
                (member.name, tar.extractfile(member).read())
                for member in tar
                if member.isfile() and is_read(kind, member.name, member.size)
            )
    return [(name, text.decode(errors="replace")) for name, text in texts]


def pairs(work):
    """(package, query, document), shuffled; no document twice."""
    kept = work / "pairs.pickle"
    if kept.exists():
        return pickle.loads(kept.read_bytes())
    everything, seen = [], set()
    for kind in PAIRS_OF_PACKAGE:
        for package, archive in download(kind, work):
            found = []
            for name, text in files(kind, archive):
                for query, document in PAIRS[PurePosixPath(name).suffix](text):
                    key = hashlib.blake2b(document.encode(errors="replace"), digest_size=8).digest()
                    if is_good(query, document) and key not in seen:
                        seen.add(key)
                        found.append((f"{kind} {package}", query, document))
            random.Random(package).shuffle(found)
            everything += found[: PAIRS_OF_PACKAGE[kind]]
    random.Random(7).shuffle(everything)
    kept.write_bytes(pickle.dumps(everything))
    return everything


# Training


class Bags:
    """Texts as distinct tokens (CSR), each weighing ln(1 + its count)."""

    def __init__(self, tokenizer, texts, limit):
        starts, ids, counts = [0], [], []
        for at in range(0, len(texts), 1_000):
            cut = [text[: 5 * limit] for text in texts[at : at + 1_000]]
            for encoding in tokenizer.encode_batch(cut, add_special_tokens=False):
                distinct = collections.Counter(encoding.ids[:limit])
                ids += sorted(distinct)
                counts += (distinct[token] for token in sorted(distinct))
                starts.append(len(ids))
        self.starts, self.ids = np.array(starts, np.int64), np.array(ids, np.int32)
        logarithms = [np.float32(0)] + [np.float32(l) for l in LOGARITHMS[1:]]
        self.weights = np.array([logarithms[count] for count in counts], np.float32)


# In 64 bits, rounded to 32: the last bit of a library's logarithm makes no difference.
LOGARITHMS = np.log1p(np.arange(DOCUMENT_TOKENS + 1))


def kernels(work):
    library = work / "bags.so"
    run("cc", "-O2", "-ftree-vectorize", "-mavx2", "-mno-fma", "-ffp-contract=off", "-shared", "-fPIC", "-o", library, HERE / "encoders/bags.c", "-lm")
    library = ctypes.CDLL(str(library.resolve()))

    def call(name, *arguments):
        as_c = {np.ndarray: lambda a: a.ctypes.data_as(ctypes.c_void_p), int: ctypes.c_int64, float: ctypes.c_float}
        getattr(library, name)(*(as_c[type(a)](a) for a in arguments))

    return call


def unit(rows):
    norms = np.maximum(np.sqrt(np.square(rows).sum(1, keepdims=True)), np.float32(1e-6))
    return rows / norms, norms


def order_of(packages, block, generator):
    """A permutation in which `block` pairs of a package stand together."""
    order = generator.permutation(len(packages))
    if block == 1:
        return order
    order = order[np.argsort(packages[order], kind="stable")]
    order = order[: len(order) // block * block].reshape(-1, block)
    return order[generator.permutation(len(order))].ravel()


def train(call, first, packages, sides, block):
    """A trained copy of the table `first`, whose numbers have a mean size of 1. Tokens without a vector stay without one."""
    generator = np.random.default_rng(1)
    table, dead = first.copy(), ~first.any(axis=1)
    gradients, moment, second = (np.zeros_like(table) for _ in range(3))
    marks = np.zeros(len(table), np.uint8)
    steps = EPOCHS * (len(packages) // block * block // BATCH)
    step, loss = 0, 0.0
    for epoch in range(EPOCHS):
        order = order_of(packages, block, generator)
        for at in range(0, len(order) - BATCH + 1, BATCH):
            rows = np.ascontiguousarray(order[at : at + BATCH], np.int64)
            sums = [np.empty((BATCH, DIM), np.float32) for _ in sides]
            for side, out in zip(sides, sums):
                call("gather", BATCH, rows, side.starts, side.ids, side.weights, table, DIM, out)
            (queries, query_norms), (documents, document_norms) = map(unit, sums)
            by_query = (queries @ documents.T) / np.float32(TEMPERATURE)
            by_document = by_query.T.copy()
            call("softmax", BATCH, by_query)
            call("softmax", BATCH, by_document)
            loss = 0.98 * loss + 0.02 * -float(np.log(np.diag(by_query) + 1e-9).mean())
            by_query += by_document.T
            by_query[np.arange(BATCH), np.arange(BATCH)] -= 2
            by_query /= np.float32(2 * BATCH * TEMPERATURE)
            step += 1
            for side, vectors, norms, of_units in (
                (sides[0], queries, query_norms, by_query @ documents),
                (sides[1], documents, document_norms, by_query.T @ queries),
            ):
                along = (of_units * vectors).sum(1, keepdims=True)
                of_sums = np.ascontiguousarray((of_units - vectors * along) / norms)
                call("scatter", BATCH, rows, side.starts, side.ids, side.weights, of_sums, DIM, gradients, marks)
            gradients[dead], marks[dead] = 0, 0
            rate = RATE * max(0.0, 1 - step / (steps + 1))
            call("adam", len(table), DIM, table, gradients, moment, second, marks, rate, 1 - 0.9**step, 1 - 0.99**step)
        print(f"blocks of {block}, epoch {epoch + 1}: loss about {loss:.3f}", file=sys.stderr)
    return table


# The file


def first_file():
    shown = subprocess.run(["git", "show", f"{FIRST}:assets/models/helix-dense-mini.onnx"], cwd=HERE, capture_output=True)
    if hashlib.sha256(shown.stdout).hexdigest() != FIRST_SHA256:
        sys.exit(f"commit {FIRST} has not the first table; a clone with its whole history has it")
    return shown.stdout


def tensors(file):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(io.BytesIO(file)).graph.initializer}


def normal(table):
    return (table / np.abs(table).mean(dtype=np.float64)).astype(np.float32)


def first_table(file):
    found = tensors(file)
    codes = found["table4"].astype(np.float32).reshape(VOCABULARY, DIM // 2) if found["table4"].dtype != np.uint8 else found["table4"].reshape(VOCABULARY, DIM // 2)
    halves = np.concatenate([codes >> 4, codes & 15], axis=1).astype(np.float32) - 8
    return normal(halves * found["row_scale"].astype(np.float32).reshape(-1, 1))


def rounded(table):
    """4 bits a number and one step a row, the best of six steps."""
    table = table / np.abs(table).max()
    largest = np.abs(table).max(axis=1, keepdims=True) / np.float32(7)
    codes = steps = errors = None
    for share in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5):
        step = (largest * np.float32(share)).astype(np.float16)
        wide = step.astype(np.float32)
        tried = np.clip(np.round(table / np.where(wide == 0, 1, wide)), -8, 7)
        error = np.square(tried * wide - table).sum(axis=1)
        if codes is None:
            codes, steps, errors = tried, step, error
        better = error < errors
        codes[better], steps[better], errors[better] = tried[better], step[better], error[better]
    codes = (codes + 8).astype(np.uint8)
    return (codes[:, : DIM // 2] << 4) | codes[:, DIM // 2 :], steps[:, 0]


def written(file, table):
    """The ONNX file `file` with another table in it."""
    model = onnx.load(io.BytesIO(file))
    new = dict(zip(("table4", "row_scale"), rounded(table)))
    for tensor in model.graph.initializer:
        if tensor.name in new:
            assert len(tensor.raw_data) == new[tensor.name].nbytes
            tensor.raw_data = new[tensor.name].tobytes()
    return model.SerializeToString(deterministic=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for downloads and what is made of them")
    parser.add_argument("out", type=Path, help="the ONNX file to write")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless the file in assets/models has the same bytes")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    everything = pairs(arguments.work)
    print(f"{len(everything)} pairs of {len({package for package, _, _ in everything})} packages", file=sys.stderr)
    tokenizer = Tokenizer.from_file(str(MODELS / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    sides = [
        Bags(tokenizer, [query for _, query, _ in everything], QUERY_TOKENS),
        Bags(tokenizer, [document for _, _, document in everything], DOCUMENT_TOKENS),
    ]
    numbers = {}
    packages = np.array([numbers.setdefault(package, len(numbers)) for package, _, _ in everything])
    start = first_file()
    first, call = first_table(start), kernels(arguments.work)
    tables = [first, *(normal(train(call, first, packages, sides, block)) for block in BLOCKS)]
    file = written(start, np.mean(tables, axis=0, dtype=np.float64).astype(np.float32))
    print(f"SHA-256 {hashlib.sha256(file).hexdigest()}", file=sys.stderr)
    if arguments.check:
        sys.exit(file != (MODELS / "helix-dense-mini.onnx").read_bytes())
    arguments.out.write_bytes(file)


if __name__ == "__main__":
    main()
