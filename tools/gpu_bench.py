#!/usr/bin/env python3
"""Measures encoding on an NVIDIA GPU and prints tables in Markdown.

    python3 tools/gpu_bench.py --program target/release/helix-build --sparse DIR --dense DIR

Parts (--parts, all by default):
    limit       products of matrices at each precision: the card's own limit (needs PyTorch)
    bare        ONNX Runtime alone, tokens a second at each shape and precision
    ways        the same with outputs left on the device, with CUDA graphs, and with larger batches
    builds      whole builds at each precision and several worker counts, against the bare figures
    invariance  one row in many batches of the same shape, compared bit for bit
    writer      builds whose encoder costs little: what the writer takes

Needs Python 3.9 with numpy and onnxruntime-gpu. It writes into a temporary folder only. The card should be idle.
"""

import argparse
import contextlib
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time

from gpu_check import LENGTHS, RUN_TOKENS, json_lines, last_words, write_corpus

ROUNDS = 8


def say(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def table(title, *heads):
    print(f"\n**{title}**\n", flush=True)
    say(*heads)
    say(*("---" for _ in heads))


class Model:
    """A model directory, and its copy in 16 bits."""

    def __init__(self, kind, folder, bench):
        self.kind, self.folder, self.bench = kind, pathlib.Path(folder).resolve(), bench
        self.name = self.folder.name
        self.half = bench.folder / f"{self.name}-fp16"

    def prepare(self):
        if not self.half.exists():
            self.bench.run(["models", "prepare", str(self.folder), "--out", str(self.half), "--quantize", "fp16"])

    def graph(self, precision):
        folder = self.half if precision == "fp16" else self.folder
        return next(path for path in (folder / "model.onnx", folder / "onnx" / "model.onnx") if path.exists())

    def flops_per_token(self, length):
        """Multiplications and additions of one token in a window of `length`, by the graph's largest tensors."""
        config = self.bench.shapes[self.name]
        hidden, inner, layers = config["hidden"], config["inner"], config["layers"]
        per_layer = 2 * (4 * hidden * hidden + 2 * hidden * inner) + 4 * length * hidden
        head = 2 * (hidden * hidden + hidden * config["vocabulary"]) if self.kind == "sparse" else 0
        return layers * per_layer + head


class Session:
    """ONNX Runtime alone, with the options that the program gives it."""

    def __init__(self, model, precision, **provider):
        import numpy
        import onnxruntime

        self.numpy, self.ort = numpy, onnxruntime
        options = onnxruntime.SessionOptions()
        # Errors only: it warns of every shape that stays on the CPU.
        options.log_severity_level = 3
        provider = {
            "device_id": 0,
            "arena_extend_strategy": "kSameAsRequested",
            "use_tf32": "1" if precision == "tf32" else "0",
        } | provider
        self.session = onnxruntime.InferenceSession(
            str(model.graph(precision)), options, providers=[("CUDAExecutionProvider", provider)]
        )
        if "CUDAExecutionProvider" not in self.session.get_providers():
            sys.exit("this onnxruntime has no CUDA provider")
        self.names = [entry.name for entry in self.session.get_inputs()]
        self.outputs = [output.name for output in self.session.get_outputs()]

    def feed(self, rows, length, seed=0):
        dice = self.numpy.random.default_rng(seed)
        ids = dice.integers(1000, 30000, (rows, length), dtype=self.numpy.int64)
        ones = self.numpy.ones((rows, length), dtype=self.numpy.int64)
        return {name: {"input_ids": ids, "attention_mask": ones}.get(name, ones * 0) for name in self.names}

    def seconds(self, rows, length, rounds=ROUNDS):
        feed = self.feed(rows, length)
        return timed(lambda: self.session.run(self.outputs, feed), rounds)

    def seconds_bound(self, rows, length, rounds=ROUNDS):
        """The same with inputs and outputs in device memory."""
        binding = self.session.io_binding()
        for name, values in self.feed(rows, length).items():
            binding.bind_ortvalue_input(name, self.ort.OrtValue.ortvalue_from_numpy(values, "cuda", 0))
        for name in self.outputs:
            binding.bind_output(name, "cuda", 0)

        def run():
            self.session.run_with_iobinding(binding)
            binding.synchronize_outputs()

        # With CUDA graphs, outputs must stay where the first run put them.
        run()
        for name, value in zip(self.outputs, binding.get_outputs()):
            binding.bind_ortvalue_output(name, value)
        return timed(run, rounds)


def timed(run, rounds):
    """Median seconds of one call, after three that are not counted."""
    for _ in range(3):
        run()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return sorted(times)[rounds // 2]


def rows_of(length, tokens=RUN_TOKENS):
    return max(1, tokens // length)


def count_windows(tokenizer, index):
    """How many windows of each length the texts of an index have."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = []
    for database in index.glob("*/shards/*.db"):
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
            texts += [text for (text,) in connection.execute("SELECT content FROM genes")]
    windows = dict.fromkeys(LENGTHS, 0)
    room = LENGTHS[-1] - 2
    for start in range(0, len(texts), 1000):
        for encoding in tokenizer.encode_batch(texts[start : start + 1000], add_special_tokens=False):
            n_tokens = len(encoding.ids)
            sizes = [LENGTHS[-1]] * (n_tokens // room)
            if n_tokens % room or not n_tokens:
                sizes.append(n_tokens % room + 2)
            for size in sizes:
                windows[next(length for length in LENGTHS if length >= size)] += 1
    return windows


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.rates, self.bare_cost, self.shapes = {}, {}, {}
        self.models, self.windows = [], {}
        for kind, directory in (("sparse", options.sparse), ("dense", options.dense)):
            for one in directory or []:
                self.models.append(Model(kind, one, self))
        for spec in options.shape or []:
            name, layers, hidden, inner, vocabulary = spec.split(":")
            numbers = {"layers": layers, "hidden": hidden, "inner": inner, "vocabulary": vocabulary}
            self.shapes[name] = {key: int(value) for key, value in numbers.items()}

    def run(self, arguments):
        began = time.perf_counter()
        done = subprocess.run([self.options.program, *arguments], cwd=self.folder, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise RuntimeError(f"exit {done.returncode}: {' '.join(arguments)}: {last_words(done.stderr)}")
        return done.stdout, done.stderr, time.perf_counter() - began

    def limit(self):
        try:
            import torch
        except ImportError:
            print("limit: PyTorch is not there")
            return
        table("Products of 8,192 x 8,192 matrices", "precision", "TFLOP/s")
        for precision in self.options.precisions:
            torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
            kind = torch.float16 if precision == "fp16" else torch.float32
            a, b = (torch.randn(8192, 8192, device="cuda", dtype=kind) for _ in range(2))

            def product():
                a @ b
                torch.cuda.synchronize()

            self.rates[precision] = 2 * 8192**3 / timed(product, 10)
            say(precision, f"{self.rates[precision] / 1e12:.0f}")
            del a, b
        torch.cuda.empty_cache()

    def share(self, model, precision, length, rate):
        """Of the card's limit."""
        if precision not in self.rates or model.name not in self.shapes:
            return "-"
        return f"{rate * model.flops_per_token(length) / self.rates[precision]:.2f}"

    def bare(self):
        for model in self.models:
            heads = [f"{rows_of(length)}x{length}" for length in LENGTHS]
            table(f"{model.name}: ONNX Runtime alone, thousands of tokens a second", "precision", *heads, "of the limit at 512")
            for precision in self.options.precisions:
                session = Session(model, precision)
                rates = {}
                for length in LENGTHS:
                    rows = rows_of(length)
                    seconds = session.seconds(rows, length)
                    rates[length] = rows * length / seconds
                    self.bare_cost[model.name, precision, length] = seconds / (rows * length)
                cells = [f"{rate / 1e3:.0f}" for rate in rates.values()]
                say(precision, *cells, self.share(model, precision, 512, rates[512]))
                del session

    def ways(self):
        for model in self.models:
            table(f"{model.name}: other ways to run, thousands of tokens a second", "way", *self.options.precisions)
            ways = {
                "16x512, outputs copied": lambda s, g: s.seconds(16, 512),
                "16x512, in device memory": lambda s, g: s.seconds_bound(16, 512),
                "16x512, CUDA graph": lambda s, g: g().seconds_bound(16, 512),
                "32x512, in device memory": lambda s, g: s.seconds_bound(32, 512),
                "8x512, in device memory": lambda s, g: s.seconds_bound(8, 512),
            }
            cells = {way: [] for way in ways}
            for precision in self.options.precisions:
                session = Session(model, precision)
                for way, measure in ways.items():
                    tokens = int(way.split("x")[0]) * 512
                    try:
                        seconds = measure(session, lambda p=precision: Session(model, p, enable_cuda_graph="1"))
                        cells[way].append(f"{tokens / seconds / 1e3:.0f}")
                    except Exception as error:  # The other ways go on.
                        cells[way].append(f"{type(error).__name__}: {str(error).splitlines()[0][:80]}")
                del session
            for way, rates in cells.items():
                say(way, *rates)

    def corpus(self, name, chunks, chunk_chars=None):
        if not (self.folder / name).exists():
            write_corpus(self.folder / name, chunks, 7)
        text = f'roots = [{{ path = "{name}" }}]\n'
        if chunk_chars:
            text += f"chunk_chars = {chunk_chars}\n"
        profile = self.folder / f"{name}.toml"
        profile.write_text(text, encoding="utf-8")
        return profile.name

    def build(self, profile, out, *flags):
        """The summary of a build, its sums of work, and its wall time in seconds."""
        said, err, seconds = self.run(["--profile", profile, "--out-dir", out, "--json", "--progress", "json", *flags])
        work = {}
        for event in json_lines(err):
            found = event.get("work") if event.get("type") == "files_committed" else None
            for key, value in (found or {}).items():
                work[key] = work.get(key, 0) + value
        return json_lines(said)[-1], work, seconds

    def bare_seconds(self, model, precision, index):
        """What ONNX Runtime alone takes for the windows of an index, in the same shapes, each length's last batch filled up."""
        if (model.name, precision, LENGTHS[0]) not in self.bare_cost:
            return None
        if model.name not in self.windows:
            self.windows[model.name] = count_windows(model.folder / "tokenizer.json", index)
        seconds = 0.0
        for length, windows in self.windows[model.name].items():
            batches = -(-windows // rows_of(length))
            seconds += batches * rows_of(length) * length * self.bare_cost[model.name, precision, length]
        return seconds

    def builds(self):
        tiny = self.corpus("tiny", 2)
        for model in self.models:
            chunks = self.options.chunks if model.kind == "sparse" else self.options.chunks // 4
            profile = self.corpus(f"corpus{chunks}", chunks)
            other = "dense" if model.kind == "sparse" else "sparse"
            flags = [f"--{model.kind}-model", str(model.folder), f"--{other}-model", "none", "--device", "cuda"]
            table(
                f"{model.name}: whole builds of {chunks} chunks",
                "precision", "workers", "wall s", "starting s", "chunks/s", "thousand tokens/s", "with padding", "fill",
                "in sessions", "of bare", "of the limit",
            )  # fmt: skip
            for precision in self.options.precisions:
                starting = self.build(tiny, f"t-{model.name}-{precision}", *flags, "--precision", precision)[2]
                for workers in self.options.workers:
                    more = [*flags, "--precision", precision, "--shard-workers", workers]
                    out = f"o-{model.name}-{precision}-{workers}"
                    summary, work, wall = self.build(profile, out, *more)
                    seconds = max(wall - starting, 1e-9)
                    padded, tokens = work.get("padded_tokens", 0), work.get("run_tokens", 0)
                    bare = self.bare_seconds(model, precision, self.folder / f"{out}-sharded")
                    say(
                        precision, workers, f"{wall:.1f}", f"{starting:.1f}", f"{summary['chunks'] / seconds:.0f}",
                        f"{tokens / seconds / 1e3:.0f}", f"{padded / seconds / 1e3:.0f}", f"{tokens / max(padded, 1):.2f}",
                        f"{work.get('busy_us', 0) / 1e6 / seconds:.2f}",
                        f"{bare / seconds:.2f}" if bare else "-",
                        self.share(model, precision, 384, padded / seconds),
                    )  # fmt: skip

    def invariance(self):
        table("One row in batches of random neighbours", "model", "precision", "shape", "batches", "bit-equal", "largest difference")
        for model in self.models:
            for precision in self.options.precisions:
                session = Session(model, precision)
                batches = self.options.batches if model.kind == "sparse" else self.options.batches // 10
                for rows, length, batches in ((32, 256, batches), (16, 512, batches // 10)):
                    say(model.name, precision, f"{rows}x{length}", batches, *self.compared(session, rows, length, batches))
                del session

    def compared(self, session, rows, length, batches):
        numpy = session.numpy
        dice = numpy.random.default_rng(5)
        row = dice.integers(1000, 30000, length, dtype=numpy.int64)
        n_tokens = length - 40
        first, equal, largest = None, 0, 0.0
        for batch in range(batches):
            feed = session.feed(rows, length, seed=batch)
            place = int(dice.integers(rows))
            lengths = dice.integers(length // 2, length + 1, rows)
            for other in range(rows):
                feed["attention_mask"][other, lengths[other] :] = 0
            feed["input_ids"][place] = row
            feed["attention_mask"][place] = 0
            feed["attention_mask"][place, :n_tokens] = 1
            found = [values[place] for values in session.session.run(session.outputs, feed)]
            found = [values[:n_tokens] if values.ndim == 2 else values for values in found]
            first = first or found
            same = all(numpy.array_equal(a, b) for a, b in zip(first, found))
            equal += same
            if not same:
                largest = max(largest, float(numpy.abs(first[0].astype("f8") - found[0].astype("f8")).max()))
        return equal, f"{largest:.2g}"

    def writer(self):
        profile = self.corpus("wide", self.options.writer_chunks)
        table("Builds whose encoder costs little", "encoders", "mode", "chunks", "wall s", "chunks/s", "CPU s")
        for name, flags in (("none", ["--sparse-model", "none", "--dense-model", "none"]), ("built in", [])):
            for mode in ("blob", "sharded"):
                more = ["--mode", mode, "--device", "cpu", *flags]
                summary, _, wall = self.build(profile, f"w-{name.split()[0]}-{mode}", *more)
                say(name, mode, summary["chunks"], f"{wall:.1f}", f"{summary['chunks'] / wall:.0f}", summary.get("cpu_s", "-"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/helix-build")
    parser.add_argument("--sparse", action="append", metavar="DIR", help="a sparse model directory, prepared")
    parser.add_argument("--dense", action="append", metavar="DIR", help="a dense model directory")
    parser.add_argument("--shape", action="append", metavar="NAME:LAYERS:HIDDEN:INNER:VOCABULARY", help="of a model, for its limit")
    parser.add_argument("--parts", default="limit,bare,ways,builds,invariance,writer")
    parser.add_argument("--chunks", type=int, default=20_000, help="of the sparse builds; a quarter for dense ones")
    parser.add_argument("--writer-chunks", type=int, default=60_000)
    parser.add_argument("--workers", default="1,3", help="worker counts of the builds; 0 is the program's choice")
    parser.add_argument("--precisions", default="fp32,tf32,fp16")
    parser.add_argument("--batches", type=int, default=1000)
    options = parser.parse_args()
    options.program = str(pathlib.Path(options.program).resolve())
    options.workers = options.workers.split(",")
    options.precisions = options.precisions.split(",")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(options, pathlib.Path(name))
        parts = options.parts.split(",")
        if not {"bare", "ways", "invariance"}.isdisjoint(parts):
            for model in bench.models:
                model.prepare()
        for part in parts:
            began = time.perf_counter()
            try:
                getattr(bench, part)()
            except Exception as error:  # The other parts go on.
                print(f"\n{part} failed: {type(error).__name__}: {error}", flush=True)
            print(f"\n({part}: {time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
