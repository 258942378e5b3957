#!/usr/bin/env python3
"""The runs of a store by what they trained on, as a Markdown table: table.py STORE [BASE]

Mean held-out loss of each arm (nats a token), its difference to the arm BASE (default: the first with one data set and no sources,
by name of its data) with a 95 % interval (Welch's t), epochs of the main data, unique tokens, compute.
Standard library alone; reads run.json and result.json (docs/formats.md)."""

import json
import math
import pathlib
import statistics
import sys

# 97.5 % points of Student's t by degrees of freedom.
T = [math.inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131]


def arm_of(run):
    spec, execution = run["spec"], run["execution"]
    name = pathlib.Path(execution["data"]).name
    unique = spec["unique_tokens"]
    if not spec.get("aux") or not spec.get("aux_share"):
        return name, unique
    folders = [pathlib.Path(folder).name for folder in execution["aux_data"].split(":")]
    policy = spec.get("policy", "fixed")
    return f"{name} + {spec['aux_share']:g} {'/'.join(folders)}" + (f", {policy}" if len(folders) > 1 else ""), unique


def difference(losses, base):
    """Mean difference and the half width of its 95 % interval."""
    variances = [statistics.variance(x) / len(x) for x in (losses, base)]
    total = sum(variances)
    if total == 0:
        return 0.0, 0.0
    freedom = total**2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, (losses, base)))
    return statistics.mean(losses) - statistics.mean(base), T[min(max(int(freedom), 1), len(T) - 1)] * math.sqrt(total)


def flops_of(spec, out):
    """Of the whole run, by the convention `exact`; those of policies included."""
    return out["flops"]["exact"] if "flops" in out else out["flops_per_token"]["exact"] * spec["tokens"]


def main():
    arms = {}
    for result in sorted(pathlib.Path(sys.argv[1], "runs").glob("*/result.json")):
        run = json.loads((result.parent / "run.json").read_text())
        out = json.loads(result.read_text())
        arms.setdefault(arm_of(run), []).append((run["spec"], out))
    base_name = sys.argv[2] if len(sys.argv) > 2 else "prose"
    base = max((arm for arm in arms if arm[0] == base_name), key=lambda arm: arm[1], default=None)
    if base is None:
        sys.exit(f"error: no runs on {base_name} alone\nhelp: name another arm: " + ", ".join(sorted(arm[0] for arm in arms)))
    reference = [out["final_loss"] for _, out in arms[base]]
    print("| arm | seeds | held-out loss | against the base | unique tokens | epochs | Tflop |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for arm, runs in sorted(arms.items(), key=lambda item: statistics.mean(out["final_loss"] for _, out in item[1])):
        losses = [out["final_loss"] for _, out in runs]
        spec, out = runs[0]
        epochs = spec["tokens"] * (1 - spec.get("aux_share", 0)) / spec["unique_tokens"]
        delta = ""
        if arm != base and len(losses) > 1:
            mean, half = difference(losses, reference)
            delta = f"{mean:+.4f} ± {half:.4f}"
        print(f"| {arm[0]} | {len(losses)} | {statistics.mean(losses):.4f} | {delta} | {arm[1]:,} | {epochs:.1f} | "
              f"{flops_of(spec, out) / 1e12:.2f} |")


if __name__ == "__main__":
    main()
