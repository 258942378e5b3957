#!/usr/bin/env python3
"""`git ration` beside plain git, git-lfs and Git-Theta on versions of one checkpoint: see `tools/bench --help`.

Every tool has a repository of its own; each version is added by all of them in turn, so that a noisy machine disturbs all alike. Cases:
sparse (1 % of the values change), rank8 (updates of rank 8 of six matrices), all (every value changes by about 0.1 %). Prints, for each
case and tool: bytes of .git at the end, and as `git gc` leaves it with --gc; medians of the seconds of add, commit and `git status` with
nothing changed, and with the file touched; of the checkout of the oldest version and back; the peak memory of an add; and whether all
versions came back byte for byte. --part sizes instead: seconds and peak memory of `git ration` as the checkpoint grows. Needs numpy; files lie in a folder that is removed at the end.
"""

import argparse
import hashlib
import json
import math
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = "model.safetensors"
# Runs a command from a process that is small itself, as the peak of a process counts from before its exec; prints seconds and MiB.
MEASURE = """
import os, resource, sys, time
began = time.perf_counter()
code = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:])
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
sys.exit(code)
"""


def shapes(megabytes):
    """16 tensors of a small transformer whose embedding takes what is left of `megabytes`."""
    named = {}
    for layer in range(2):
        for name in "qkv":
            named[f"h{layer}.{name}"] = (512, 512)
        named |= {f"h{layer}.up": (2048, 512), f"h{layer}.down": (512, 2048), f"h{layer}.n": (512,), f"h{layer}.n2": (512,)}
    named["wpe"] = (1024, 512)
    left = megabytes * 1e6 / 4 - sum(math.prod(shape) for shape in named.values())
    named["wte"] = (max(64, round(left / 768)), 768)
    return named


def write(path, tensors):
    header, offset = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(values.tobytes())


def versions(case, count, megabytes, folder):
    """Files of one case, a changed version after the other."""
    draw = np.random.default_rng(1)
    tensors = {name: (0.02 * draw.standard_normal(shape)).astype(np.float32) for name, shape in shapes(megabytes).items()}
    for number in range(count):
        path = folder / f"{case}-{number}.safetensors"
        write(path, tensors)
        yield path
        for name, values in tensors.items():
            if case == "sparse":
                chosen = draw.random(values.shape) < 0.01
                tensors[name] = np.where(chosen, values + (0.01 * draw.standard_normal(values.shape)).astype(np.float32), values)
            elif case == "all":
                tensors[name] = values * (1 + 0.001 * draw.standard_normal(values.shape)).astype(np.float32)
            elif name in ("h0.q", "h0.v", "h1.q", "h1.v", "h0.up", "h1.down"):
                rows, columns = values.shape
                update = draw.standard_normal((rows, 8)) @ draw.standard_normal((8, columns))
                tensors[name] = (values + 0.001 * update).astype(np.float32)


class Tool:
    """A repository that tracks the file with one tool."""

    def __init__(self, name, folder, path, install):
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        home = folder / f"{name}-home"
        home.mkdir()
        self.environment = os.environ | {
            "HOME": str(home), "XDG_CONFIG_HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "PATH": path, "GIT_THETA_CHECKPOINT_TYPE": "safetensors",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@localhost", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@localhost"}
        self.times = {}
        self.peak = 0
        for words in ["git init --quiet .", "git config gc.auto 0", *install]:
            self.run(words.split())
        if (self.folder / ".gitattributes").exists():
            self.run(["git", "add", ".gitattributes"])
            self.run(["git", "commit", "--quiet", "-m", "attributes"])

    def run(self, words, measure=None):
        done = subprocess.run([sys.executable, "-S", "-c", MEASURE, *words], cwd=self.folder, env=self.environment, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(words)} ended with {done.returncode}: {done.stderr[-400:]}")
        seconds, peak = map(float, done.stdout.split()[-2:])
        if measure:
            self.times.setdefault(measure, []).append(seconds)
        if measure == "add":
            self.peak = max(self.peak, peak)

    def add(self, version):
        shutil.copyfile(version, self.folder / FILE)
        self.run(["git", "add", FILE], "add")
        self.run(["git", "commit", "--quiet", "-m", version.name], "commit")
        # Within the second of its index git reads the file once more, whatever the tool.
        time.sleep(1.1)
        self.run(["git", "status"])
        self.run(["git", "status"], "status")
        os.utime(self.folder / FILE)
        self.run(["git", "status"], "touched")

    def check_out(self, steps, digests):
        """The oldest version and back; whether every version comes back as it was."""
        head = f"HEAD~{steps}"
        for _ in range(3):
            self.run(["git", "checkout", "--quiet", "--detach", head], "checkout")
            head = "@{-1}"
            self.run(["git", "checkout", "--quiet", head], "checkout")
            head = f"HEAD~{steps}"
        tip = subprocess.run(["git", "rev-parse", "HEAD"], cwd=self.folder, env=self.environment, capture_output=True, check=True)
        tip = tip.stdout.decode().strip()
        for step, digest in enumerate(reversed(digests)):
            self.run(["git", "checkout", "--quiet", "--detach", f"{tip}~{step}"])
            if hashlib.sha256((self.folder / FILE).read_bytes()).hexdigest() != digest:
                return False
        return True

    def size(self):
        return sum(f.stat().st_size for f in (self.folder / ".git").rglob("*") if f.is_file()) / 1e6


def tools_of(arguments, folder):
    path = f"{ROOT / 'build/bin'}:{os.environ['PATH']}"
    wanted = {"ration": (path, ["git-ration install --local", f"git-ration track {FILE}"]),
              "git": (path, []),
              "git-lfs": (path, ["git lfs install --local", f"git lfs track {FILE}"])}
    if arguments.theta:
        theta = f"{pathlib.Path(arguments.theta).resolve()}:{os.environ['PATH']}"
        wanted["git-theta"] = (theta, ["git lfs install --local", "git-theta install", f"git-theta track {FILE}"])
    for name, (search, install) in wanted.items():
        if name == "git-lfs" and shutil.which("git-lfs") is None:
            print("note: git-lfs is not installed: left out", file=sys.stderr)
            continue
        try:
            yield Tool(name, folder, search, install)
        except RuntimeError as error:
            print(f"note: left out: {error}", file=sys.stderr)


def run_case(case, arguments, folder):
    tools = list(tools_of(arguments, folder / case))
    digests, files = [], folder / f"{case}-files"
    files.mkdir()
    for version in versions(case, arguments.versions, arguments.mb, files):
        digests.append(hashlib.sha256(version.read_bytes()).hexdigest())
        for tool in list(tools):
            if tool.name == "git-theta" and len(digests) > arguments.theta_versions:
                continue
            try:
                tool.add(version)
            except RuntimeError as error:
                print(f"note: left out from here on: {error}", file=sys.stderr)
                tools.remove(tool)
        version.unlink()
        print(f"{case}: {len(digests)} of {arguments.versions} versions", file=sys.stderr)
    for tool in tools:
        count = min(arguments.theta_versions, len(digests)) if tool.name == "git-theta" else len(digests)
        whole = tool.check_out(count - 1, digests[:count])
        size = tool.size()
        median = {what: statistics.median(values) for what, values in tool.times.items()}
        row = (f"{case:7} {tool.name:9} {count:2} versions  .git {size:7.1f} MB  add {median['add']:6.2f} s  commit {median['commit']:5.2f} s  "
               f"checkout {median['checkout']:5.2f} s  status {1000 * median['status']:5.0f} ms  touched {1000 * median['touched']:6.0f} ms  "
               f"peak {tool.peak:5.0f} MiB  {'all versions whole' if whole else 'VERSIONS DIFFER'}")
        if arguments.gc:
            tool.run(["git", "gc", "--quiet", "--prune=now"])
            row += f"  after gc {tool.size():6.1f} MB"
        print(row, flush=True)


def run_sizes(arguments, folder):
    """One version, a sparse change of it, and the checkout of both, of checkpoints of growing size."""
    path = f"{ROOT / 'build/bin'}:{os.environ['PATH']}"
    for megabytes in map(float, arguments.sizes.split(",")):
        tool = Tool(f"ration-{megabytes:.0f}", folder, path, ["git-ration install --local", f"git-ration track {FILE}"])
        largest, digests = 0, []
        for version in versions("sparse", 2, megabytes, folder):
            largest = math.prod(shapes(megabytes)["wte"]) * 4 / 2**20
            digests.append(hashlib.sha256(version.read_bytes()).hexdigest())
            shutil.copyfile(version, tool.folder / FILE)
            version.unlink()
            tool.run(["git", "add", FILE], "add")
            tool.run(["git", "commit", "--quiet", "-m", version.name])
        whole = tool.check_out(1, digests)
        first, second = tool.times["add"]
        checkout = statistics.median(tool.times["checkout"])
        gigabytes = megabytes / 1000
        print(f"sizes   {megabytes:6.0f} MB  first add {first:6.2f} s ({first / gigabytes:.2f} s/GB)  changed {second:6.2f} s "
              f"({second / gigabytes:.2f})  checkout {checkout:6.2f} s ({checkout / gigabytes:.2f})  peak {tool.peak:5.0f} MiB "
              f"(2 largest tensors + 64: {2 * largest + 64:.0f})  {'all versions whole' if whole else 'VERSIONS DIFFER'}", flush=True)
        shutil.rmtree(tool.folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mb", type=float, default=54.5, help="size of the checkpoint")
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--cases", default="sparse,rank8,all")
    parser.add_argument("--theta", help="folder of Git-Theta's programs (bin of a virtual environment)")
    parser.add_argument("--part", choices=["versions", "sizes"], default="versions")
    parser.add_argument("--sizes", default="50,200,800,2000", help="MB of the checkpoints of --part sizes")
    parser.add_argument("--theta-versions", type=int, default=3, help="versions for Git-Theta, which takes long")
    parser.add_argument("--gc", action="store_true", help="also the size after `git gc`, which takes plain git minutes")
    parser.add_argument("--scratch", help="folder for the repositories")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ration-bench-git-", dir=arguments.scratch))
    try:
        if arguments.part == "sizes":
            run_sizes(arguments, folder)
            return
        for case in arguments.cases.split(","):
            run_case(case, arguments, folder)
            shutil.rmtree(folder / case)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
