#!/usr/bin/env python3
"""Speed and memory of `ration merge` on generated checkpoints, beside reading the same files: see `tools/bench --help`.

Prints one line a merge: seconds of wall time and of CPU, input bytes a second, peak memory against the bound that docs/merging.md
gives, and the share of a plain read's rate. Files lie in a folder that is removed at the end. Needs numpy.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATION = ROOT / "build/bin/ration"
BLOCK = 1 << 22  # numbers that are drawn once and repeated


def shapes(gigabytes, item):
    """A GPT of width 1024 with a vocabulary of 50,257 that takes `gigabytes`."""
    width = 1024
    layers = max(1, round((gigabytes * 1e9 / item - 50257 * width) / (12 * width * width)))
    named = {"wte": (50257, width), "ln_f.g": (width,)}
    for layer in range(layers):
        named |= {f"h{layer}.ln.g": (width,), f"h{layer}.qkv.w": (3 * width, width), f"h{layer}.o.w": (width, width),
                  f"h{layer}.up.w": (4 * width, width), f"h{layer}.down.w": (width, 4 * width)}
    return dict(sorted(named.items()))


def write(path, named, kind, base, noise):
    """Numbers `base` + `noise`, each repeated over the file, as f32 or bf16."""
    item = 4 if kind == "F32" else 2
    header, offset = {}, 0
    for name, shape in named.items():
        size = math.prod(shape) * item
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    numbers = (base + noise).astype(np.float32)
    block = numbers.tobytes() if kind == "F32" else (numbers.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while offset > 0:
            offset -= file.write(block[:offset])


def measured(command, stdout=subprocess.DEVNULL):
    """Wall seconds, CPU seconds and peak MiB of a command that must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=stdout, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status != 0:
        sys.exit(f"error: {' '.join(map(str, command))} ended with {status}\n{errors.decode()}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def plain_read(files):
    """The same files through read() of 1 MiB, by as many processes as cores, each with its share of the files."""
    cores = os.cpu_count()
    began = time.perf_counter()
    readers = [subprocess.Popen(["cat", *map(str, files[i::cores])], stdout=subprocess.DEVNULL) for i in range(min(cores, len(files)))]
    for reader in readers:
        reader.wait()
    return time.perf_counter() - began


def mergekit(options, base, models, folder):
    config = folder / "ties.yml"
    config.write_text(json.dumps({"merge_method": "ties", "base_model": str(base), "dtype": "float32", "parameters": {"normalize": True},
                                  "models": [{"model": str(m), "parameters": {"density": 0.2, "weight": 1.0}} for m in models]}))
    program = pathlib.Path(options.mergekit).parent / "mergekit-pytorch"
    return measured([program, config, folder / "mergekit", "--random-seed", "0", "--num-threads", os.cpu_count()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=1.5)
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=("F32", "BF16"), default="F32")
    parser.add_argument("--scratch")
    parser.add_argument("--output", help="folder for outputs; default: the scratch folder. /dev/shm leaves the disk out")
    parser.add_argument("--mergekit", help="a Python with mergekit")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ration-bench-", dir=options.scratch))
    try:
        run(options, folder)
    finally:
        shutil.rmtree(folder)


def run(options, folder):
    item = 4 if options.dtype == "F32" else 2
    named = shapes(options.gb, item)
    random = np.random.default_rng(0)
    base_numbers = (0.02 * random.standard_normal(BLOCK)).astype(np.float32)
    base = folder / "base.safetensors"
    write(base, named, options.dtype, base_numbers, 0)
    models = [folder / f"m{i}.safetensors" for i in range(options.models)]
    for path in models:
        write(path, named, options.dtype, base_numbers, (0.001 * random.standard_normal(BLOCK)).astype(np.float32))
    os.sync()
    size = base.stat().st_size
    largest = max(math.prod(shape) for shape in named.values())
    out = pathlib.Path(options.output or folder) / "ration-bench-out.safetensors"
    print(f"{options.models} models of {size / 1e9:.2f} GB ({options.dtype}), {os.cpu_count()} cores, output in {out.parent}\n")
    print("| merge | models | s | CPU s | input GB/s | of a plain read | peak MiB | bound MiB |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    quick = ["--no-input-digests"]
    cases = [("average", n, ["--method", "average", *quick]) for n in sorted({2, options.models})]
    cases += [("average, with digests", options.models, ["--method", "average"]),
              ("average, nothing written", options.models, ["--method", "average", "--dry-run"]),
              ("ties, global", 3, ["--method", "ties", "--base", base, *quick]),
              ("ties, global", options.models, ["--method", "ties", "--base", base, *quick]),
              ("ties, global, nothing written", options.models, ["--method", "ties", "--base", base, "--dry-run"])]
    for name, count, words in cases:
        used = models[:count]
        inputs = [*used, base] if "--base" in words else used
        times = []
        for _ in range(options.rounds):
            read = plain_read(inputs)
            times.append((*measured([RATION, "merge", *words, *used, "-o", out]), read))
            out.unlink(missing_ok=True)
        wall, cpu, peak, read = min(times)
        bytes_read = size * len(inputs)
        bound = largest * (count + 2) * 4 / 2**20 + 64
        print(f"| {name} | {count} | {wall:.1f} | {cpu:.1f} | {bytes_read / wall / 1e9:.2f} | {100 * read / wall:.0f} % "
              f"({bytes_read / read / 1e9:.1f} GB/s) | {max(t[2] for t in times):.0f} | {bound:.0f} |", flush=True)
    if options.mergekit:
        ours = measured([RATION, "merge", "--method", "ties", "--base", base, "--compat", "mergekit", *models[:3], "-o", out])
        out.unlink()
        peer = mergekit(options, base, models[:3], folder)
        shutil.rmtree(folder / "mergekit", ignore_errors=True)
        print(f"\nties of 3 models by each tensor: mergekit {peer[0]:.1f} s ({peer[1]:.1f} s of CPU, {peer[2]:.0f} MiB), ration {ours[0]:.1f} s "
              f"({ours[1]:.1f} s of CPU, {ours[2]:.0f} MiB): {peer[0] / ours[0]:.1f} times as fast, {peer[1] / ours[1]:.1f} times less CPU")


if __name__ == "__main__":
    main()
