#!/usr/bin/env python3
"""RegMix on the runs of a store: which mixture of auxiliary sources gives the lowest loss on the target?

    fit.py STORE            regression over all finished runs with auxiliary data
    fit.py --draw N NAME…   N mixtures of these sources for `aux` in a sweep, drawn from a flat Dirichlet distribution

It fits ln(loss) = a + sum b_i w_i + sum c_i w_i^2 to the weights w of the sources (one of them follows from the others) by
least squares, tells the error and the rank correlation of runs that were left out one at a time, and averages the best 100 of
10,000 drawn mixtures, as "RegMix: Data Mixture as Regression for Language Model Pre-training" (2024) does. Runs that
differ in anything but their weights, seed and subset do not belong in one regression: it refuses them.
Standard library alone; reads run.json and result.json (docs/formats.md)."""

import argparse
import json
import math
import pathlib
import random
import sys


def draw(names, count, generator):
    for _ in range(count):
        parts = [generator.gammavariate(1, 1) for _ in names]
        yield [part / sum(parts) for part in parts]


def runs_of(store):
    """[(weights by digest, loss)] and the settings that the runs share."""
    runs, common = [], None
    for result in sorted(pathlib.Path(store, "runs").glob("*/result.json")):
        loss = json.loads(result.read_text()).get("final_loss")
        spec = json.loads((result.parent / "run.json").read_text())["spec"]
        if loss is None or not spec.get("aux"):
            continue
        weights = {}
        rest = []
        for source in spec["aux"].split(","):
            digest, weight, unique, epochs = source.split(":")
            weights[digest] = float(weight)
            rest.append((digest, unique, epochs))
        others = {k: v for k, v in spec.items() if k not in ("aux", "seed", "subset_seed")} | {"aux": sorted(rest)}
        if common is None:
            common = others
        for key in sorted(common.keys() | others.keys()):
            if common.get(key) != others.get(key):
                sys.exit(f"error: {result.parent.name}: {key} differs from that of the other runs\n"
                         "help: give a store that holds the runs of one RegMix sweep")
        total = sum(weights.values())
        runs.append(({digest: weight / total for digest, weight in weights.items()}, loss))
    return runs


def features(weights):
    free = weights[:-1]  # the last one is what is left to 1
    return [1.0] + list(free) + [w * w for w in weights]


def least_squares(rows, targets):
    """Normal equations with a ridge that only keeps them regular."""
    n = len(rows[0])
    a = [[sum(r[i] * r[j] for r in rows) + (1e-6 if i == j else 0) for j in range(n)] +
         [sum(r[i] * t for r, t in zip(rows, targets))] for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(a[k][i]))
        a[i], a[pivot] = a[pivot], a[i]
        for k in range(n):
            if k != i:
                factor = a[k][i] / a[i][i]
                a[k] = [x - factor * y for x, y in zip(a[k], a[i])]
    return [a[i][n] / a[i][i] for i in range(n)]


def predict(model, weights):
    return math.exp(sum(c * f for c, f in zip(model, features(weights))))


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    for rank, index in enumerate(order):
        result[index] = rank
    return result


def spearman(a, b):
    a, b = ranks(a), ranks(b)
    mean = (len(a) - 1) / 2
    over = sum((x - mean) * (y - mean) for x, y in zip(a, b))
    return over / sum((x - mean) ** 2 for x in a)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("words", nargs="+", metavar="STORE or NAME")
    options = parser.parse_args()
    generator = random.Random(options.seed)
    if options.draw:
        for weights in draw(options.words, options.draw, generator):
            print('  "' + ",".join(f"{n}*{max(w, 0.01):.3f}" for n, w in zip(options.words, weights)) + '",')
        return
    runs = runs_of(options.words[0])
    digests = sorted({digest for weights, _ in runs for digest in weights})
    points = [[weights.get(digest, 0.0) for digest in digests] for weights, _ in runs]
    losses = [loss for _, loss in runs]
    needed = 2 * len(digests) + 2
    if len(runs) < needed:
        sys.exit(f"error: {len(runs)} finished runs with auxiliary data, {len(digests)} sources need {needed} at least")
    rows, targets = [features(p) for p in points], [math.log(loss) for loss in losses]
    model = least_squares(rows, targets)
    left_out = []
    for i in range(len(runs)):
        without = least_squares(rows[:i] + rows[i + 1:], targets[:i] + targets[i + 1:])
        left_out.append(predict(without, points[i]))
    error = math.sqrt(sum((a - b) ** 2 for a, b in zip(left_out, losses)) / len(runs))
    spread = math.sqrt(sum((loss - sum(losses) / len(runs)) ** 2 for loss in losses) / len(runs))
    print(f"{len(runs)} runs; losses {min(losses):.4f} to {max(losses):.4f} nats, standard deviation {spread:.4f}")
    print(f"runs left out: error {error:.4f} nats, rank correlation {spearman(left_out, losses):.2f}")
    if error >= spread:
        print("warning: no better than the mean of the runs: the regression knows nothing of these mixtures")
    candidates = sorted(draw(digests, 10_000, generator), key=lambda weights: predict(model, weights))[:100]
    best = [sum(weights[i] for weights in candidates) / 100 for i in range(len(digests))]
    print(f"preferred mixture, predicted loss {predict(model, best):.4f} nats (train it to see):")
    for digest, weight in zip(digests, best):
        print(f"  {digest[:12]}…  {weight:.3f}")


if __name__ == "__main__":
    main()
