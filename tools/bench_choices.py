#!/usr/bin/env python3
"""The peer of `ration-train --pairs`: the same probabilities from the same checkpoint in eager PyTorch.

    tools/bench_choices.py WEIGHTS RUN_JSON LIST [--batch N] [--threads N]

Reads each choice with its prompt: one at a time, or N of similar length together, filled up on their right. Only positions that
predict a token of a choice go through the head. Prints one JSON object: wall seconds without loading, tokens that went through the
model, and the sum of ln p of each choice. Needs torch alone.
"""

import argparse
import json
import pathlib
import time

import bench_torch
import torch
import torch.nn.functional as F


class Model(bench_torch.Model):
    """The model of bench_torch.py for sequences of any length up to the context."""

    def rotate(self, x):
        a, b = x[..., : self.half], x[..., self.half :]
        cos, sin = self.cos[: x.shape[-2]], self.sin[: x.shape[-2]]
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def last_layer(self, inputs):
        x = F.embedding(inputs, self.p["wte"])
        if "wpe" in self.p:
            x = x + self.p["wpe"][: inputs.shape[1]]
        for i in range(self.spec["layers"]):
            h = f"h{i}."
            x = x + self.attention(self.norm(x, h + "ln1"), h)
            x = x + self.mlp(self.norm(x, h + "ln2"), h)
        return x

    def log_probabilities(self, rows, targets):
        logits = F.linear(self.norm(rows, "lnf"), self.p["wte"] if self.spec["tied"] else self.p["head.w"])
        return F.log_softmax(logits, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def read_list(path):
    """Prompt and choice of each choice of the list."""
    prompts, choices = [], []
    for line in pathlib.Path(path).read_text().splitlines()[1:]:
        entry = json.loads(line)
        if "prompt" in entry:
            prompts.append(entry["prompt"])
        else:
            choices.append((prompts[entry["after"]], entry["choice"]))
    return choices


def score(model, choices, batch):
    """Sums of ln p by choice, and the number of tokens that went through the model."""
    order = sorted(range(len(choices)), key=lambda i: sum(map(len, choices[i]))) if batch > 1 else range(len(choices))
    sums, tokens = [0.0] * len(choices), 0
    for first in range(0, len(choices), batch):
        some = order[first : first + batch]
        inputs = [choices[i][0] + choices[i][1][:-1] for i in some]
        longest = max(map(len, inputs))
        filled = torch.tensor([ids + [0] * (longest - len(ids)) for ids in inputs])
        tokens += filled.numel()
        last = model.last_layer(filled)
        rows = torch.cat([last[r, len(inputs[r]) - len(choices[i][1]) : len(inputs[r])] for r, i in enumerate(some)])
        found = model.log_probabilities(rows, torch.tensor([token for i in some for token in choices[i][1]]))
        for i, part in zip(some, found.split([len(choices[i][1]) for i in some])):
            sums[i] = part.sum().item()
    return sums, tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("run_json")
    parser.add_argument("list")
    parser.add_argument("--batch", type=int, default=1, help="choices read together")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    parameters, _ = bench_torch.read(options.weights)
    model = Model(json.loads(pathlib.Path(options.run_json).read_text())["spec"], parameters)
    choices = read_list(options.list)
    with torch.inference_mode():
        score(model, choices[: 2 * options.batch], options.batch)  # touches memory
        began = time.perf_counter()
        sums, tokens = score(model, choices, options.batch)
        seconds = time.perf_counter() - began
    print(json.dumps({"torch": torch.__version__, "seconds": seconds, "tokens": tokens, "sums": sums}))


if __name__ == "__main__":
    main()
