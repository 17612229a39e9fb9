#!/usr/bin/env python3
"""Checks on a machine with an NVIDIA GPU what no test can check without one, and prints a table.

    python3 tools/gpu_check.py --program target/release/helix-build --sparse DIR --dense DIR

Each row is PASS, FAIL or SKIP, with figures or the reason; the exit code is 1 if any failed. Needs Python 3.9 and
nothing else; the comparison with bare ONNX Runtime is skipped without the packages numpy and onnxruntime-gpu. It
writes into a temporary folder only and starts no process but the program, nvidia-smi and itself.

Without a GPU the rows that need one are SKIP. To check this script itself, `--pretend` takes the CPU for a device; that
needs a program from `cargo test` (target/debug/helix-build), the only kind that can be told to.
"""

import argparse
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# Lengths and sizes of runs, as src/encode/batch.rs has them.
LENGTHS = (64, 128, 192, 256, 384, 512)
RUN_TOKENS = 8192
OUTPUT_BYTES = 256 << 20

# Memory that may be added between the second and the last third of a build: less than one arena region.
FLAT_MIB = 64
# Share of bare ONNX Runtime's speed that the sessions must reach.
LEAST_SPEED = 0.8
# One build at most.
PATIENCE_S = 3600

# What makes a card crawl: so many processes that fill it and keep it busy, with this share left free.
HOGS = 8
LEFT_FREE = 0.04

ROWS = []


class Skip(Exception):
    """A check that cannot be made here."""


class Fail(Exception):
    """A check that did not hold."""


def made(name, check):
    """Runs one check; what it returns is shown."""
    began = time.monotonic()
    try:
        verdict, detail = "PASS", check()
    except Skip as reason:
        verdict, detail = "SKIP", str(reason)
    except Fail as reason:
        verdict, detail = "FAIL", str(reason)
    except Exception as error:  # A defect of the script is a failure as well, and the other rows go on.
        verdict, detail = "FAIL", f"{type(error).__name__}: {error}"
    took = time.monotonic() - began
    ROWS.append((verdict, name, detail))
    print(f"{verdict}  {name:34} {took:6.1f} s  {detail}", flush=True)


class Machine:
    """The device as nvidia-smi shows it."""

    def __init__(self, index, pretend):
        self.index, self.pretend = index, pretend
        self.why = self.look()

    def look(self):
        if self.pretend:
            return "the CPU is taken for a device"
        try:
            self.memory_mib()
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            return f"no GPU here: nvidia-smi: {error}"
        return None

    def needed(self):
        """For checks that a pretended device can stand in for."""
        if self.why and not self.pretend:
            raise Skip(self.why)

    def truly_needed(self):
        if self.why:
            raise Skip(self.why)

    def query(self, what):
        command = ["nvidia-smi", "-i", str(self.index), f"--query-gpu={what}", "--format=csv,noheader,nounits"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()

    def memory_mib(self):
        return float(self.query("memory.used"))


class Sampler:
    """Device memory in use, several times a second, while it is open."""

    def __init__(self, machine):
        self.machine, self.samples, self.stop = machine, [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.wait(0.25):
            try:
                self.samples.append(self.machine.memory_mib())
            except (OSError, subprocess.SubprocessError, ValueError):
                pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(30)


class Checks:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.machine = Machine(options.device, options.pretend)
        self.device = f"cuda:{options.device}"
        self.names = 0

    # The program

    def environment(self, **more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HELIX_BUILD_")}
        if self.options.pretend:
            environment["FAILPOINTS"] = "encode::device=return(skip)"
        environment.update(more)
        return environment

    def models(self):
        flags = ["--sparse-model", self.options.sparse, "--dense-model", self.options.dense]
        return flags + (["--ort-lib", self.options.ort_lib] if self.options.ort_lib else [])

    def for_builds(self):
        return [*self.models(), "--precision", self.options.precision]

    def start(self, arguments, **environment):
        return subprocess.Popen(
            [self.options.program, *arguments],
            cwd=self.folder,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments, **environment):
        child = self.start(arguments, **environment)
        try:
            out, err = child.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise Fail(f"not done in {PATIENCE_S} s: {' '.join(arguments)}")
        return child.returncode, out, err

    def out(self):
        self.names += 1
        return f"o{self.names}"

    def build(self, flags, profile="small.toml", out=None, **environment):
        """A build with JSON progress: its output name, its summary and the sums of its work."""
        out = out or self.out()
        others = self.for_builds()
        for n in range(0, len(others), 2):
            if others[n] not in flags:
                flags = [*flags, *others[n : n + 2]]
        arguments = ["--profile", profile, "--out-dir", out, "--json", "--progress", "json", *flags]
        code, said, err = self.run(arguments, **environment)
        if code not in (0, 3):
            raise Fail(f"exit {code}: {last_words(err)}")
        work = {}
        for event in json_lines(err):
            for key, value in (find_work(event) or {}).items():
                work[key] = work.get(key, 0) + value
        return out, json_lines(said)[-1], work, err

    def index(self, out, profile="small"):
        return f"{out}-sharded/{profile}"

    # Checks

    def doctor(self):
        code, out, err = self.run(["doctor", "--json", *self.models()])
        if code != 0:
            raise Fail(f"exit {code}: {last_words(out + err)}")
        findings = {line["what"]: line for line in json_lines(out)}
        if not findings["cuda"]["ok"]:
            self.machine.truly_needed()
            raise Fail(findings["cuda"]["detail"])
        return findings["gpu"]["detail"] + "; " + findings["cuda"]["detail"]

    def absent_device(self):
        code, _, err = self.run(
            ["--profile", "small.toml", "--out-dir", self.out(), *self.for_builds(), "--device", "cuda:63"], FAILPOINTS=""
        )
        if code != 13:
            raise Fail(f"exit {code}, not 13: {last_words(err)}")
        return last_words(err)

    def one_kind(self, kind):
        self.machine.needed()
        other = "dense" if kind == "sparse" else "sparse"
        # The built-in model: a large one on the CPU takes minutes.
        flags = [f"--{kind}-device", self.device, f"--{other}-device", "cpu", f"--{other}-model", "embedded"]
        _, summary, work, _ = self.build(flags)
        return self.told(summary, work, f"{kind} {self.device}")

    def both_kinds(self):
        self.machine.needed()
        flags = ["--sparse-device", self.device, "--dense-device", self.device]
        with Sampler(self.machine) as sampler:
            out, summary, work, _ = self.build(flags)
        told = self.told(summary, work, self.device)
        if self.machine.why is None:
            grown = max(sampler.samples) - min(sampler.samples)
            if grown < 200:
                raise Fail(f"device memory grew by {grown:.0f} MiB only")
            told += f", {grown:.0f} MiB of device memory"
        self.compared = out
        return told

    def told(self, summary, work, device):
        devices = " ".join(summary["devices"])
        if device not in devices:
            raise Fail(f"recorded on {devices}")
        seconds = work.get("busy_us", 0) / 1e6
        rate = work.get("chunks", 0) / seconds if seconds else 0
        return f"{summary['chunks']} chunks on {devices}, {rate:.0f} chunks/s in sessions, fill {summary['batch_fill']:.2f}"

    def same_terms(self):
        self.machine.needed()
        out = getattr(self, "compared", None)
        if out is None:
            raise Skip("the build on the device did not come about")
        if self.options.precision != "fp32":
            raise Skip(f"{self.options.precision} differs from the CPU by more than rounding")
        arguments = ["verify", self.index(out), "--reencode", str(self.options.reencode), "--seed", "1", *self.models()]
        code, said, err = self.run(arguments, FAILPOINTS="")
        if code != 0:
            raise Fail(f"exit {code}: {last_words(said + err)}")
        return next((line for line in said.splitlines() if "encoded" in line), last_words(said))

    def worker_counts(self):
        self.machine.needed()
        digests = {}
        for workers in ("1", "2", "3"):
            flags = ["--device", self.device, "--dense-device", self.device, "--shard-workers", workers]
            summary = self.build(flags)[1]
            digests[workers] = summary["digest"]
            self.elapsed_s = summary["elapsed_s"]
        if len(set(digests.values())) != 1:
            raise Fail(f"digests differ: {digests}")
        self.digest = digests["1"]
        return f"{digests['1'][:16]} for 1, 2 and 3 workers"

    def killed_and_resumed(self):
        self.machine.needed()
        if not hasattr(self, "digest"):
            raise Skip("there is no digest to compare with")
        out, kills = self.out(), 0
        flags = ["--device", self.device, "--dense-device", self.device, "--shard-workers", "2"]
        arguments = ["--profile", "small.toml", "--out-dir", out, "--json", *self.for_builds(), *flags]
        for share in (0.4, 0.6, 0.8):
            child = self.start(arguments)
            try:
                child.communicate(timeout=share * self.elapsed_s)
                break
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.communicate()
                kills += 1
        summary = self.build(flags, out=out)[1]
        if summary["digest"] != self.digest:
            raise Fail(f"after {kills} kills the digest is {summary['digest'][:16]}, not {self.digest[:16]}")
        if kills == 0:
            raise Skip("the build was over before it could be killed")
        return f"{kills} kills, {summary['resumed_chunks']} chunks found again"

    def flat_memory(self):
        self.machine.truly_needed()
        flags = ["--device", self.device, "--dense-device", self.device, "--shard-workers", "1"]
        with Sampler(self.machine) as sampler:
            _, summary, work, _ = self.build(flags, profile="large.toml")
        samples = sampler.samples[len(sampler.samples) // 10 :]
        if len(samples) < 30:
            raise Skip(f"only {len(samples)} samples: the build was too short; raise --chunks")
        third = len(samples) // 3
        middle, end = samples[third : 2 * third], samples[2 * third : -max(2, third // 10)]
        growth = max(end) - max(middle)
        figures = f"{summary['chunks']} chunks, peak {max(samples):.0f} MiB, {growth:+.0f} MiB from second to last third"
        self.rate = (work["padded_tokens"], work["busy_us"] / 1e6)
        if growth > FLAT_MIB:
            raise Fail(figures)
        return figures + f", median {statistics.median(samples):.0f} MiB"

    def bare_runtime(self):
        self.machine.truly_needed()
        if not hasattr(self, "rate"):
            raise Skip("there is no rate to compare with")
        if self.options.precision != "fp32":
            raise Skip("tools/gpu_bench.py compares the other precisions")
        try:
            import numpy
            import onnxruntime
        except ImportError as error:
            raise Skip(f"{error}; pip install numpy onnxruntime-gpu==1.31.1")
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise Skip("this Python's onnxruntime is for the CPU alone")
        preload = getattr(onnxruntime, "preload_dlls", None)
        if preload:
            preload()
        seconds_per_token = 0.0
        for folder in (self.options.sparse, self.options.dense):
            if folder in ("none", "embedded"):
                continue
            seconds_per_token += bare_cost(numpy, onnxruntime, pathlib.Path(folder), self.options.device)
        if not seconds_per_token:
            raise Skip("no model directory was given")
        # Each text goes through both models; work counts the tokens of both.
        kinds = sum(folder not in ("none", "embedded") for folder in (self.options.sparse, self.options.dense))
        bare = kinds / seconds_per_token
        padded, seconds = self.rate
        ours = padded / seconds
        figures = f"{ours:,.0f} tokens/s in sessions, bare {bare:,.0f} ({ours / bare:.2f})"
        if ours < LEAST_SPEED * bare:
            raise Fail(figures)
        return figures

    def little_memory(self):
        self.machine.needed()
        flags = ["--device", self.device, "--dense-device", self.device, "--shard-workers", "1"]
        more = {}
        if self.options.pretend:
            more["FAILPOINTS"] = "encode::device=return(skip);encode::memory=return(skip@16x512)"
        _, summary, _, err = self.build([*flags, "--vram-limit", "300"], **more)
        halvings = err.count("are halved")
        if not halvings:
            raise Skip("nothing was halved: 300 MiB are enough for these models")
        return f"{summary['chunks']} chunks, {halvings} shapes halved"

    def ladder(self):
        """Others fill the card and keep it busy, until the watchdog has replaced the worker."""
        self.machine.needed()
        out, hogs = self.out(), []
        flags = ["--device", self.device, "--dense-device", self.device, "--shard-workers", "1"]
        flags += ["--crawl-window", "4", "--crawl-factor", "2"]
        more = {}
        if self.options.pretend:
            flags += ["--batch-size", "2", "--vram-probe", "echo 12135 12288"]
            crawl = "encode::run=30*off->sleep(100);encode::took=30*return(1)->return(100)"
            more["FAILPOINTS"] = f"encode::device=return(skip);{crawl}"
        profile = "small" if self.options.pretend else "middle"
        arguments = ["--profile", f"{profile}.toml", "--out-dir", out, "--json", "--progress", "json"]
        arguments += self.for_builds()
        child = self.start([*arguments, *flags], **more)
        said = []
        reader = threading.Thread(target=lambda: said.append(child.stdout.read()), daemon=True)
        reader.start()
        commits, events = 0, []
        late = threading.Timer(PATIENCE_S, child.kill)
        late.start()
        try:
            for line in child.stderr:
                event = json.loads(line) if line.startswith("{") else {}
                commits += event.get("type") == "files_committed"
                if commits == 3 and not hogs and not self.options.pretend:
                    command = [sys.executable, __file__, "--device", str(self.options.device), "--hog"]
                    hogs = [subprocess.Popen([*command, str(n)]) for n in range(HOGS)]
                if event.get("type") == "watchdog":
                    events.append(event)
                    if event["action"] == "respawn":
                        stop_all(hogs)
        finally:
            stop_all(hogs)
            late.cancel()
        code = child.wait()
        reader.join(30)
        if code not in (0, 3):
            raise Fail(f"exit {code} after {[event['action'] for event in events]}")
        if not hogs and not self.options.pretend:
            raise Skip("the build was over before the card was filled; raise --chunks")
        events = [event for event in events if event["noticed"] != "recovered"]
        actions = [event["action"] for event in events]
        if not actions:
            raise Skip("no crawl was seen: the card serves all at once")
        if "respawn" not in actions:
            raise Fail(f"only {actions}")
        code, told, err = self.run(["verify", self.index(out, profile), "--json"], FAILPOINTS="")
        if code != 0:
            raise Fail(f"after {actions} verify says {code}: {last_words(told + err)}")
        at = {event["action"]: (event.get("memory") or {}).get("used_bytes", 0) >> 20 for event in reversed(events)}
        used = " ".join(f"{action} at {mib} MiB" for action, mib in reversed(at.items()))
        chunks = json_lines(said[0])[-1]["chunks"] if said and said[0] else 0
        return f"{chunks} chunks, {' '.join(actions)}; memory in use: {used}"


def stop_all(processes):
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def hog(device, number):
    """Takes what is free of the card (the first) or a little, and writes it over and over, until it is killed."""
    cuda = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")

    def call(name, *arguments):
        code = getattr(cuda, name)(*arguments)
        if code != 0:
            raise OSError(f"{name}: CUDA error {code}")

    handle, context = ctypes.c_int(), ctypes.c_void_p()
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(handle), device)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
    call("cuCtxSetCurrent", context)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    size = 64 << 20
    if number == 0:
        # The others take some as well, for their contexts too.
        size = max(size, int(free.value - total.value * LEFT_FREE) - HOGS * (512 << 20))
    memory = ctypes.c_uint64()
    call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(size))
    while True:
        for _ in range(64):
            call("cuMemsetD8_v2", memory, ctypes.c_ubyte(number), ctypes.c_size_t(size))
        call("cuCtxSynchronize")


def bare_cost(numpy, onnxruntime, folder, device):
    """Seconds per padded token of a model, the shapes weighed alike."""
    file = next(path for path in (folder / "model.onnx", folder / "onnx" / "model.onnx") if path.exists())
    options = onnxruntime.SessionOptions()
    provider = {"device_id": device, "arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"}
    session = onnxruntime.InferenceSession(str(file), options, providers=[("CUDAExecutionProvider", provider)])
    names = [entry.name for entry in session.get_inputs()]
    output = session.get_outputs()[0]
    logits = len(output.shape) == 3
    width = output.shape[-1] if isinstance(output.shape[-1], int) else 1
    tokens, seconds = 0, 0.0
    for length in LENGTHS:
        per_row = width * 4 * (length if logits else 1)
        rows = max(1, min(RUN_TOKENS // length, OUTPUT_BYTES // per_row))
        ones = numpy.ones((rows, length), dtype=numpy.int64)
        feed = {name: ones * (0 if name == "token_type_ids" else 1) for name in names}
        for _ in range(3):
            session.run([output.name], feed)
        began = time.monotonic()
        for _ in range(10):
            session.run([output.name], feed)
        seconds += time.monotonic() - began
        tokens += 10 * rows * length
    return seconds / tokens


def json_lines(text):
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            pass
    return lines


def find_work(event):
    """The `work` of a commit, however deep in the event."""
    if not isinstance(event, dict):
        return None
    if isinstance(event.get("work"), dict):
        return event["work"]
    return next((found for found in map(find_work, event.values()) if found), None)


def last_words(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def write_corpus(folder, chunks, seed):
    """Text files of mixed length, of about so many chunks in all; the same for the same seed."""
    dice = random.Random(seed)
    syllables = ["ka", "to", "mi", "ren", "sol", "dex", "par", "gul", "vin", "bro", "hel", "ix", "qua", "str"]
    words = ["".join(dice.choices(syllables, k=dice.randint(1, 4))) for _ in range(5000)]
    written = 0
    while written < chunks:
        parts = dice.randint(1, 30)
        text = []
        for part in range(parts):
            n_words = dice.choice((4, 12, 30, 60, 90, 130, 180, 260))
            text.append(f"## Section {written + part}\n\n" + " ".join(dice.choices(words, k=n_words)) + ".\n")
        path = folder / f"d{written % 17}" / f"f{written}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(text), encoding="utf-8")
        # A chunk is some 2,000 characters: measured with this generator, 0.45 chunks a section.
        written += max(1, round(parts * 0.45))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="target/release/helix-build")
    parser.add_argument("--sparse", default="embedded", help="model directory, embedded or none")
    parser.add_argument("--dense", default="embedded", help="model directory, embedded or none")
    parser.add_argument("--ort-lib", help="an ONNX Runtime for CUDA, if it is not found by itself")
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=20_000, help="of the build that memory is watched over")
    parser.add_argument("--reencode", type=int, default=200, help="chunks to compare with the CPU's encoding")
    parser.add_argument("--precision", default="fp32", help="of the builds: fp32, tf32 or fp16")
    parser.add_argument("--only", default="", help="of the rows, those whose name has one of these words (a comma list)")
    parser.add_argument("--hog", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--pretend", action="store_true", help="take the CPU for a device (test builds only)")
    options = parser.parse_args()
    if options.hog is not None:
        return hog(options.device, options.hog)
    options.program = str(pathlib.Path(shutil.which(options.program) or options.program).resolve())
    for name in ("sparse", "dense"):
        if getattr(options, name) not in ("none", "embedded"):
            setattr(options, name, str(pathlib.Path(getattr(options, name)).resolve()))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        sizes = {"small": min(1500, options.chunks), "middle": min(8000, options.chunks), "large": options.chunks}
        for corpus, chunks in sizes.items():
            write_corpus(folder / corpus, chunks, 7)
            (folder / f"{corpus}.toml").write_text(f'roots = [{{ path = "{corpus}" }}]\n', encoding="utf-8")
        checks = Checks(options, folder)
        wanted = [word for word in options.only.split(",") if word]

        def row(name, check):
            if not wanted or any(word in name for word in wanted):
                made(name, check)

        row("doctor tries the device", checks.doctor)
        row("a device that is not there is 13", checks.absent_device)
        row("sparse on the device", lambda: checks.one_kind("sparse"))
        row("dense on the device", lambda: checks.one_kind("dense"))
        row("both on the device", checks.both_kinds)
        row("same terms as the CPU", checks.same_terms)
        row("digest by number of workers", checks.worker_counts)
        row("digest after kill and resume", checks.killed_and_resumed)
        row("device memory stays flat", checks.flat_memory)
        row("speed of bare ONNX Runtime", checks.bare_runtime)
        row("little memory: batches are halved", checks.little_memory)
        row("a card that others fill: the ladder", checks.ladder)
    count = {verdict: sum(r[0] == verdict for r in ROWS) for verdict in ("PASS", "FAIL", "SKIP")}
    print(f"{count['PASS']} passed, {count['FAIL']} failed, {count['SKIP']} skipped")
    sys.exit(1 if count["FAIL"] else 0)


if __name__ == "__main__":
    main()
