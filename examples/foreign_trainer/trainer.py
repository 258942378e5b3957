#!/usr/bin/env python3
"""A trainer that ration can run in place of its own: trainer.py RUN_FOLDER [--attempt N] [--token HEX]

It shows the protocol of docs/formats.md with Python's standard library alone, and trains a model that needs no tensors: the
frequencies of single tokens. Replace `Model` and keep the rest. To use it: RATION_TRAINER_PROGRAM=…/trainer.py ration run sweep.toml
"""

import argparse
import array
import decimal
import hashlib
import json
import math
import os
import pathlib
import signal
import sys
import time

DONE, OTHER, USAGE, DATA, FENCED, PREEMPTED = 0, 1, 2, 3, 6, 75


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def canonical(value):
    """The text that identities are computed from: sorted keys, no blanks, shortest numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if value == math.floor(value) and abs(value) < 2**53:
        return str(int(value))
    shortest = decimal.Decimal(repr(value)).normalize()
    sign, digits, exponent = shortest.as_tuple()
    digits = "".join(map(str, digits))
    scientific = "-" * sign + digits[0] + ("." + digits[1:] if digits[1:] else "")
    scientific += f"e{exponent + len(digits) - 1:+03d}"
    fixed = f"{shortest:f}"
    return fixed if len(fixed) <= len(scientific) else scientific


def publish(path, text):
    """Creates `path` whole and durable; False when another was first."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
        return True
    except FileExistsError:
        return False
    finally:
        temporary.unlink()


class Run:
    """A run folder and one attempt at it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        document = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        self.spec, self.execution = document["spec"], document.get("execution", {})
        self.id = hashlib.sha256(f"ration.run/1\n{canonical(self.spec)}".encode()).hexdigest()[:32]
        if document["schema"] != "ration.run/1" or document["id"] != self.id:
            raise ValueError(f"id {document['id']} does not belong to the spec ({self.id})")

    def attempts(self):
        names = (path.name for path in self.folder.iterdir())
        return sorted(int(n[8:]) for n in names if n.startswith("attempt-") and n[8:].isdigit() and int(n[8:]) > 0)

    def claim(self, number):
        """Takes attempt `number`, which whoever started us has claimed, or claims the next one."""
        if number is None:
            number = max(self.attempts(), default=0) + 1
            (self.folder / f"attempt-{number}").mkdir()  # fails when another worker was faster
        self.attempt = number
        self.log = open(self.folder / f"attempt-{number}" / "events.jsonl", "ab", buffering=0)
        self.seq = 0

    def fenced(self):
        return max(self.attempts(), default=0) > self.attempt

    def event(self, kind, step, tokens, **values):
        epoch = tokens / self.spec["unique_tokens"]
        line = {"seq": self.seq, "type": kind, "t": time.time(), "step": step, "tokens": tokens, "epoch": epoch, **values}
        body = json.dumps(line)[:-1].encode()
        self.log.write(body + b',"crc":"%08x"}\n' % crc32c(body))
        os.fsync(self.log.fileno())
        self.seq += 1


class Tokens:
    """One split of prepared data."""

    def __init__(self, folder, split):
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.digest, self.vocab = manifest["digest"], manifest["vocab"]
        self.ids = array.array("H" if self.vocab <= 65535 else "I", (folder / f"{split}.tokens").read_bytes())
        if sys.byteorder == "big":
            self.ids.byteswap()


class Model:
    """Frequencies of single tokens, every token once more than it was seen."""

    def __init__(self, vocab):
        self.counts = [1] * vocab

    def learn(self, ids):
        for token in ids:
            self.counts[token] += 1

    def loss(self, ids):
        total = math.log(sum(self.counts))
        return sum(total - math.log(self.counts[token]) for token in ids) / len(ids)


def train(run, train_ids, val_ids):
    started, stop = time.monotonic(), []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: stop.append(True))
    spec, model = run.spec, Model(run.spec["vocab"])
    per_step = spec["batch_sequences"] * spec["context"]
    steps = -(-spec["tokens"] // per_step)
    unique = train_ids[: spec["unique_tokens"]]  # a real trainer takes whole documents in the order of docs/data.md
    best_loss, best_step = math.inf, 0
    for step in range(1, steps + 1):
        tokens = min(step * per_step, spec["tokens"])
        batch = [unique[i % len(unique)] for i in range((step - 1) * per_step, tokens)]
        model.learn(batch)
        if run.fenced():
            return FENCED
        if stop:  # a trainer with something to lose writes a checkpoint first
            run.event("stop", step, tokens, reason="preempted")
            return PREEMPTED
        run.event("train", step, tokens, loss=model.loss(batch))
        loss = model.loss(val_ids)
        run.event("val", step, tokens, loss=loss)
        if loss < best_loss:
            best_loss, best_step = loss, step
    run.event("done", steps, tokens, final_loss=loss, status="done")
    result = {"schema": "ration.result/1", "id": run.id, "status": "done", "attempt": run.attempt, "steps": steps, "tokens": tokens,
              "epochs": tokens / spec["unique_tokens"], "final_loss": loss, "best_loss": best_loss, "best_step": best_step,
              "wall_s": time.monotonic() - started}
    publish(run.folder / "result.json", canonical(result) + "\n")
    return DONE


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_folder")
    parser.add_argument("--attempt", type=int)
    parser.add_argument("--token", default="")
    options = parser.parse_args()
    try:
        run = Run(options.run_folder)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        print(f"run.json: {problem}", file=sys.stderr)
        return USAGE
    if (run.folder / "result.json").exists():
        return DONE
    data = pathlib.Path(run.execution["data"])
    try:
        pools = [Tokens(data, split) for split in ("train", "val")]
    except (OSError, ValueError, KeyError) as problem:
        print(f"{data}: {problem}", file=sys.stderr)
        return DATA
    if pools[0].digest != run.spec["data_digest"]:
        print(f"{data} holds other data than the run was defined on", file=sys.stderr)
        return DATA
    try:
        run.claim(options.attempt)
    except FileExistsError:
        return FENCED
    if run.fenced():
        return FENCED
    run.event("start", 0, 0, token=options.token, build="foreign trainer", device="cpu")
    return train(run, pools[0].ids, pools[1].ids)


if __name__ == "__main__":
    sys.exit(main())
