#!/usr/bin/env python3
"""Tries a build over many machines on a real Slurm, with two nodes on this machine.

    tools/slurm_check.py [PROGRAM] [--keep] [--only NAME] [--limit SECONDS]

Starts munge, slurmctld and two slurmd on loopback addresses in a folder of their own, and stops them at the end, also when it
is interrupted or terminated. Needs root, Debian's slurm-wlm and munge, and the memory controller of cgroup v1; no systemd.
Where it cannot start, it prints the reason and ends with 77; otherwise with 0, or 1 if a check fails. After --limit seconds it
gives up: the check that runs then has failed. A failed check prints the logs of Slurm and of its tasks.
"""

import argparse
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SKIPPED = 77
PORTS = range(26817, 26917, 3)  # one of these and the two that follow
LOG_BYTES = 4_000

SLURM_CONF = """\
ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldAddr=127.0.0.1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# Requeued tasks wait until the credential of the first has expired.
AuthInfo=socket={root}/munge/socket,cred_expire=5
SlurmctldPort={port}
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.%n.log
SwitchType=switch/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1
ReturnToService=2
MaxArraySize={longest}
KillWait=5
JobRequeue=1
SlurmdTimeout=15
SlurmctldTimeout=10
RequeueExit=75
CompleteWait=0
MinJobAge=3600
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{port1}-{port2}] CPUs=2 RealMemory=3000 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""

CGROUP_CONF = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
ConstrainCores=no
ConstrainDevices=no
AllowedRAMSpace=100
# Without this no limit is below 30 MB.
MinRAMSpace=1
"""


class GaveUp(Exception):
    """The time is over, or somebody ends this script."""


def why_not():
    """Return why Slurm cannot run here; None if it can."""
    if os.geteuid() != 0:
        return "not root"
    for program in ["slurmctld", "slurmd", "munged", "sbatch", "scontrol"]:
        if not shutil.which(program, path="/usr/sbin:" + os.environ["PATH"]):
            return f"no {program}: install slurm-wlm and munge"
    try:
        pwd.getpwnam("munge")
    except KeyError:
        return "no user munge"
    for controller in ["memory", "freezer"]:
        folder = Path("/sys/fs/cgroup") / controller
        if not (folder / "tasks").exists() or not os.access(folder, os.W_OK):
            return f"no cgroup v1 controller at {folder}"
    if free_port() is None:
        return f"no three free ports from {PORTS.start} on"
    return None


def free_port():
    """Return the first of three free ports in a row; None if there are none."""
    def is_free(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    return next((first for first in PORTS if all(is_free(port) for port in range(first, first + 3))), None)


class Slurm:
    """A Slurm of two nodes below a folder."""

    def __init__(self, root, longest):
        self.root = root
        self.daemons = {}
        self.scratch = root / "scratch"
        for name in ["state", "spool", "run", "log", "munge", "etc", "scratch"]:
            (root / name).mkdir()
        root.chmod(0o755)
        munge = pwd.getpwnam("munge")
        key = root / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        for path in [root / "munge", key]:
            os.chown(path, munge.pw_uid, munge.pw_gid)
        host = socket.gethostname().split(".")[0]
        port = free_port()
        conf = SLURM_CONF.format(root=root, host=host, longest=longest, port=port, port1=port + 1, port2=port + 2)
        (root / "etc" / "slurm.conf").write_text(conf)
        (root / "etc" / "cgroup.conf").write_text(CGROUP_CONF)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "HELIX_BUILD_"))},
            "SLURM_CONF": str(root / "etc" / "slurm.conf"),
            "PATH": "/usr/sbin:" + os.environ["PATH"],
            "TMPDIR": str(self.scratch),
        }

    def start(self, name):
        folder = self.root / "munge"
        commands = {
            "munged": [
                "munged", "--foreground", f"--socket={folder}/socket", f"--key-file={folder}/key",
                f"--pid-file={folder}/pid", f"--log-file={folder}/log", f"--seed-file={folder}/seed",
            ],
            "slurmctld": ["slurmctld", "-D", "-i"],
            "n1": ["slurmd", "-D", "-N", "n1"],
            "n2": ["slurmd", "-D", "-N", "n2"],
        }
        user = {"user": "munge", "group": "munge", "extra_groups": []} if name == "munged" else {}
        output = open(self.root / "log" / f"{name}.out", "ab")
        self.daemons[name] = subprocess.Popen(
            commands[name], stdout=output, stderr=output, env=self.environment, start_new_session=True, **user
        )

    def begin(self):
        self.start("munged")
        wait("munge", 20, lambda: (self.root / "munge" / "socket").exists())
        self.start("slurmctld")
        wait("slurmctld", 30, lambda: "UP" in self.run(["scontrol", "ping"]).stdout)
        self.start("n1")
        self.start("n2")
        wait("both nodes", 40, lambda: self.states() == {"n1": "idle", "n2": "idle"})

    def end(self):
        """End all that runs in this Slurm, then its daemons."""
        for pid in self.tasks():
            kill(pid, signal.SIGKILL)
        for name in ["n1", "n2", "slurmctld", "munged"]:
            daemon = self.daemons.get(name)
            if daemon and daemon.poll() is None:
                daemon.terminate()
                try:
                    daemon.wait(15)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
        # Such as the shepherds of steps, which outlive a daemon.
        for pid in self.processes():
            kill(pid, signal.SIGKILL)
        groups = [Path("/sys/fs/cgroup") / kind / f"slurm_{node}" for kind in ["memory", "freezer"] for node in ["n1", "n2"]]
        deadline = time.monotonic() + 5
        while any(map(remains, groups)) and time.monotonic() < deadline:
            time.sleep(0.05)

    def logs(self, since=0):
        """Return the ends of the logs of Slurm and of its tasks that were written since then, with its queue."""
        texts = [f"--- squeue\n{self.run(['squeue', '--states=all'], timeout=20).stdout}"]
        for path in sorted([*self.root.glob("log/*"), *self.root.glob("munge/log"), *self.root.glob("*/logs/*.log")]):
            if path.stat().st_mtime >= since:
                text = path.read_bytes()[-LOG_BYTES:].decode(errors="replace")
                texts.append(f"--- {path.relative_to(self.root)}\n{text}")
        return "\n".join(texts)

    def run(self, command, check=False, timeout=None, **environment):
        return subprocess.run(
            command, env={**self.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, check=check, cwd=self.root, timeout=timeout,
        )

    def states(self):
        lines = self.run(["sinfo", "-h", "-N", "-o", "%N %T"]).stdout.split()
        return dict(zip(lines[::2], (state.rstrip("*") for state in lines[1::2])))

    def jobs(self):
        """Return id, name, state, exit code and restarts of every job."""
        found = []
        for line in self.run(["scontrol", "-o", "show", "jobs"]).stdout.splitlines():
            fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
            if "JobId" in fields:
                found.append(fields)
        return found

    def wait_quiet(self, seconds):
        """Wait until no job is queued or running."""
        live = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
        wait("the end of all jobs", seconds, lambda: not any(job["JobState"] in live for job in self.jobs()),
             lambda: self.run(["squeue"]).stdout)

    def tasks(self):
        """Return the processes that run in jobs of this Slurm, with their command lines, by their environment."""
        return self.processes(b"SLURM_JOB_ID=")

    def processes(self, variable=b""):
        """Return the processes of this Slurm, its daemons included, whose environment has the variable."""
        found = {}
        mark = f"SLURM_CONF={self.root}/".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if variable in environment and mark in environment:
                found[int(entry.name)] = [word.decode(errors="replace") for word in command if word]
        return found

    def batch(self):
        """Return the processes of tasks that are batch scripts, which became workers by exec."""
        return [pid for pid, command in self.tasks().items() if "--plan" in command and "worker" in command]

    def children(self):
        """Return the worker processes that the tasks have started."""
        return [pid for pid, command in self.tasks().items() if command[1:2] == ["worker"] and "--plan" not in command]


def remains(group):
    """Remove a control group that Slurm left, the innermost first; return whether some of it is in use."""
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return group.exists()


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait(what, seconds, look, more=lambda: ""):
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what} {more()}")
        time.sleep(0.01)


class Build:
    """A corpus of some roots, its index on one machine, and a plan of it."""

    def __init__(self, slurm, program, name, roots, bytes_of_root, encoders="none"):
        self.slurm, self.program = slurm, program
        self.folder = slurm.root / name
        self.folder.mkdir()
        self.environment = {"HELIX_BUILD_SPARSE_MODEL": encoders, "HELIX_BUILD_DENSE_MODEL": "none"}
        text = source_text()
        for n in range(roots):
            for start in range(0, bytes_of_root, 20_000):
                path = self.folder / f"root{n:02}" / f"file{start // 20_000:04}.py"
                path.parent.mkdir(exist_ok=True)
                at = (n * 7919 + start) % (len(text) - 20_000)
                path.write_text(text[at : at + 20_000])
        listed = ", ".join(f'"root{n:02}"' for n in range(roots))
        (self.folder / "p.toml").write_text(f"roots = [{listed}]\n")
        self.plan = self.folder / "plan.json"
        self.logs = self.folder / "logs"
        self.single = self.helix("--profile", "p.toml", "--out-dir", "one", "--json", "-qq")["digest"]
        self.planned = self.helix("plan", "--profile", "p.toml", "--out-dir", "many", "--out", "plan.json", "--json", "-qq")

    def helix(self, *arguments, codes=(0,)):
        """Run the program; return its last line."""
        ran = subprocess.run(
            [self.program, *arguments], env={**self.slurm.environment, **self.environment}, cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
        )
        if ran.returncode not in codes:
            raise AssertionError(f"{arguments}: exit code {ran.returncode}: {ran.stdout} {ran.stderr}")
        return json.loads(ran.stdout.splitlines()[-1]) if "--json" in arguments else ran.stdout

    def submit(self, *options, **environment):
        environment = {"HELIX": self.program, "LOGS": str(self.logs), **self.environment, **environment}
        script = REPOSITORY / "tools" / "cluster" / "slurm_submit.sh"
        self.slurm.run([str(script), str(self.plan), "--mem=700M", *options], check=True, **environment)

    def parts(self):
        return self.helix("status", "--plan", "plan.json", "--json")["parts"]

    def assert_committed(self):
        verdict = self.helix("verify", "many-sharded/p", "--json")
        digest = verdict["digest"]
        assert digest == self.single, f"digest {digest}, on one machine {self.single}"
        return "the digest of one machine"

    def log_of(self, kind):
        return "".join(path.read_text() for path in sorted(self.logs.glob(f"{kind}-*.log")))

    def tasks(self):
        return [job for job in self.slurm.jobs() if job["JobName"] == "helix-task" and self.is_of_this(job)]

    def commits(self):
        return [job for job in self.slurm.jobs() if job["JobName"] == "helix-commit" and self.is_of_this(job)]

    def is_of_this(self, job):
        return str(self.logs) in job.get("StdOut", "")


def source_text():
    """Return some megabytes of code: Python's own library."""
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    return "\n".join(path.read_text(errors="replace") for path in files)


def array_and_commit(slurm, program):
    build = Build(slurm, program, "array", 8, 200_000)
    began = time.monotonic()
    build.submit()
    slurm.wait_quiet(120)
    states = {job["JobState"] for job in build.tasks()}
    assert states == {"COMPLETED"}, build.tasks()
    return f"8 tasks and the commit in {time.monotonic() - began:.0f} s, {build.assert_committed()}"


def long_arrays(slurm, program):
    """More tasks than an array may have: the check sets MaxArraySize=9."""
    build = Build(slurm, program, "long", 22, 40_000)
    build.submit()
    slurm.wait_quiet(180)
    arrays = {job["ArrayJobId"] for job in build.tasks()}
    assert len(arrays) == 3, arrays
    return f"22 tasks in 3 arrays of at most 9, {build.assert_committed()}"


def several_a_task(slurm, program):
    build = Build(slurm, program, "several", 10, 40_000)
    build.submit("--cpus-per-task=2", PER_TASK="4")
    slurm.wait_quiet(120)
    assert len(build.tasks()) == 3, build.tasks()
    return f"10 segments in 3 tasks, {build.assert_committed()}"


def poisoned(slurm, program):
    build = Build(slurm, program, "poisoned", 3, 40_000)
    text = bytearray(build.plan.read_bytes())
    line = text.index(b"\n") + 1
    text[line + 4] ^= 1
    build.plan.write_bytes(text)
    build.submit(ROUNDS="3")
    slurm.wait_quiet(120)
    codes = sorted(job["ExitCode"] for job in build.tasks())
    assert codes == ["0:0", "0:0", "65:0"], codes
    commit = build.commits()
    assert len(commit) == 1 and commit[0]["ExitCode"] == "66:0", commit
    assert "segment 0 fails wherever it is tried" in build.log_of("commit")
    return "one task ends with 65 and is not tried again; the commit runs, ends with 66 and names it"


def hold_a_worker(slurm):
    """Stop the worker process of a task when it has done a part of its segment; return it and its batch script."""
    def look():
        for pid in slurm.children():
            kill(pid, signal.SIGSTOP)
            return pid
        return None
    child = wait("a worker", 60, look)
    kill(child, signal.SIGCONT)
    # Behind the header are the first files.
    wait("the first files", 60, lambda: any(path.stat().st_size > 1000 for path in slurm.scratch.glob("*/segments/*.seg")))
    kill(child, signal.SIGSTOP)
    return child, wait("its task", 5, slurm.batch)[0]


def killed(slurm, program):
    build = Build(slurm, program, "killed", 1, 1_000_000, encoders="embedded")
    build.submit(ROUNDS="2")
    child, batch = hold_a_worker(slurm)
    kill(batch, signal.SIGKILL)
    kill(child, signal.SIGKILL)
    slurm.wait_quiet(120)
    states = sorted((job["JobState"], job["ExitCode"], job["Restarts"]) for job in build.tasks())
    assert [state for state, _, _ in states] == ["COMPLETED", "FAILED"], states
    assert all(restarts == "0" for _, _, restarts in states), states
    return f"Slurm fails the task ({states[1][1]}) and does not retry; the next round does it, {build.assert_committed()}"


def stopped(slurm, program):
    """USR1 to the batch script: the worker keeps what it has done, ends with 75, and Slurm queues the task again."""
    build = Build(slurm, program, "stopped", 1, 3_000_000, encoders="embedded")
    build.submit(ROUNDS="1")
    child, batch = hold_a_worker(slurm)
    slurm.run(["scancel", "--batch", "--signal=USR1", build.tasks()[0]["JobId"]], check=True)
    # The worker is told by a message, which waits in its pipe.
    wait("the signal", 10, lambda: not pending(batch, signal.SIGUSR1))
    kill(child, signal.SIGCONT)
    wait("the requeue", 60, lambda: build.tasks()[0]["Restarts"] == "1")
    kept = list((build.folder / "many-sharded/p/.build/segments").glob("*.part.seg"))
    slurm.wait_quiet(120)
    task = build.tasks()[0]
    assert (task["JobState"], task["Restarts"]) == ("COMPLETED", "1"), task
    assert kept, "nothing was kept"
    return f"75, queued again by itself, goes on from a part; {build.assert_committed()}"


def time_limit(slurm, program):
    """Slurm's own signal before a time limit leads to 75 as well, also if the worker does not move: it loses its file."""
    build = Build(slurm, program, "limit", 1, 1_000_000, encoders="embedded")
    # Signalled ten seconds after the start, or a little later.
    build.submit("--time=1", "--signal=B:USR1@50", ROUNDS="1")
    child, _ = hold_a_worker(slurm)
    wait("the end of the worker", 60, lambda: not Path(f"/proc/{child}").exists())
    wait("the requeue", 60, lambda: build.tasks()[0]["Restarts"] == "1")
    slurm.wait_quiet(150)
    return f"the signal before the time limit: the stuck worker is ended, 75 and a requeue; {build.assert_committed()}"


def pending(pid, number):
    """Whether a signal waits to be taken."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(("SigPnd:", "ShdPnd:")) and int(line.split()[1], 16) >> (number - 1) & 1:
            return True
    return False


def node_death(slurm, program):
    build = Build(slurm, program, "death", 1, 1_000_000, encoders="embedded")
    build.submit(ROUNDS="1")
    child, batch = hold_a_worker(slurm)
    node = build.tasks()[0]["NodeList"]
    other = "n2" if node == "n1" else "n1"
    began = time.monotonic()
    # The daemon and its shepherd of the step die; the task itself lives on, as on a machine that lost its network.
    slurm.daemons[node].kill()
    slurm.daemons[node].wait()
    for pid in Path("/proc").iterdir():
        if pid.name.isdigit():
            try:
                line = (pid / "cmdline").read_bytes()
            except OSError:
                continue
            if line.startswith(b"slurmstepd") and parent_is(batch, int(pid.name)):
                kill(int(pid.name), signal.SIGKILL)
    wait("the other node", 90, lambda: build.tasks()[0]["NodeList"] == other and
         build.tasks()[0]["JobState"] in ("RUNNING", "COMPLETED"))
    took_over = time.monotonic() - began
    slurm.wait_quiet(120)
    result = build.assert_committed()
    # The lost worker comes back after the commit.
    kill(child, signal.SIGCONT)
    wait("the end of the lost task", 60, lambda: not Path(f"/proc/{batch}").exists() or is_zombie(batch))
    assert build.assert_committed() == result
    work = list((build.folder / "many-sharded/p/.build").iterdir())
    assert not any(path.name in ("segments", "tasks") for path in work), work
    slurm.start(node)
    wait("the node", 60, lambda: slurm.states()[node] == "idle")
    return f"the other node takes over after {took_over:.0f} s; the lost task comes back after the commit and changes nothing; {result}"


def parent_is(pid, parent):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) == parent
    except OSError:
        return False


def is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def memory_limit(slurm, program):
    """A limit below what a worker needs: the task fails for a reason of its machine, and a later one with more succeeds."""
    build = Build(slurm, program, "memory", 1, 400_000, encoders="embedded")
    build.submit("--mem=10M", ROUNDS="1")
    slurm.wait_quiet(180)
    task = build.tasks()[0]
    assert task["JobState"] in ("OUT_OF_MEMORY", "FAILED"), task
    first = f"{task['JobState']} {task['ExitCode']}"
    listed = build.helix("missing", "--plan", "plan.json").strip()
    assert listed == "0", f"not listed as missing: {listed!r}"
    assert build.commits()[0]["ExitCode"] == "66:0", build.commits()
    build.submit(ROUNDS="1")
    slurm.wait_quiet(120)
    return f"with 10 MiB {first}; not poisoned; with 700 MiB done, {build.assert_committed()}"


def missing_parts(slurm, program):
    """A commit whose parts are missing changes nothing; one that finds them later succeeds."""
    build = Build(slurm, program, "missing", 4, 40_000)
    build.helix("worker", "--plan", "plan.json", "--segment", "1,3", "-q")
    ran = slurm.run(["sbatch", "--parsable", "--wait", "--mem=500M", f"--output={build.folder}/c.log", "--wrap",
                     f"exec {program} commit --plan {build.plan}"])
    assert ran.returncode == 66, ran
    log = (build.folder / "c.log").read_text()
    assert "2 segments are missing" in log and "0,2" in log, log
    build.submit()
    slurm.wait_quiet(120)
    assert len(build.tasks()) == 2, build.tasks()
    return f"66 and the list 0,2; then only these two run, {build.assert_committed()}"


CHECKS = [
    array_and_commit, long_arrays, several_a_task, missing_parts, poisoned, killed, stopped, time_limit, memory_limit, node_death,
]


def give_up(number, _):
    reason = "the time is over" if number == signal.SIGALRM else f"ended by {signal.Signals(number).name}"
    raise GaveUp(reason)


def run_checks(slurm, program, only):
    """Run the checks; return whether one failed."""
    failed = False
    for check in CHECKS:
        if only and only not in check.__name__:
            continue
        began, since = time.monotonic(), time.time()
        try:
            result = check(slurm, program)
            print(f"ok      {check.__name__:18} {time.monotonic() - began:4.0f} s  {result}", flush=True)
        except (GaveUp, AssertionError, subprocess.SubprocessError, OSError, KeyError, IndexError) as error:
            failed = True
            print(f"FAILED  {check.__name__:18} {time.monotonic() - began:4.0f} s  {error!r}", flush=True)
            if isinstance(error, subprocess.CalledProcessError):
                print(error.stdout, error.stderr)
            print(slurm.logs(since), flush=True)
            if isinstance(error, GaveUp):
                break
            slurm.run(["scancel", "--user=root", "--full", "--signal=KILL"])
            slurm.run(["scancel", "--user=root"])
            for pid in slurm.tasks():
                kill(pid, signal.SIGKILL)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", default=str(REPOSITORY / "target/release/helix-build"))
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and indexes")
    parser.add_argument("--only", metavar="NAME", help="run the checks whose name contains this")
    parser.add_argument("--limit", type=int, default=500, metavar="SECONDS", help="give up after this time (default 500)")
    args = parser.parse_args()
    program = os.path.abspath(args.program)
    if not os.access(program, os.X_OK):
        print(f"no program {program}: cargo build --release", file=sys.stderr)
        return 2
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        return SKIPPED
    for number in [signal.SIGALRM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]:
        signal.signal(number, give_up)
    signal.alarm(args.limit)
    root = Path(tempfile.mkdtemp(prefix="helix-slurm-"))
    slurm = None
    try:
        slurm = Slurm(root, longest=9)
        try:
            slurm.begin()
        except AssertionError as error:
            print(f"skipped: Slurm does not start here: {error}\n{slurm.logs()}")
            return SKIPPED
        version = slurm.run(["sinfo", "--version"]).stdout.strip()
        print(f"{version}, two nodes, in {root}", flush=True)
        return int(run_checks(slurm, program, args.only))
    except GaveUp as error:
        print(f"FAILED  {error}\n{slurm.logs() if slurm else ''}")
        return 1
    finally:
        # The end has its own bounds, and nothing may interrupt it.
        for number in [signal.SIGALRM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]:
            signal.signal(number, signal.SIG_IGN)
        if slurm:
            slurm.end()
        if args.keep:
            print(f"kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
