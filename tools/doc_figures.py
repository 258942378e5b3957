"""Draws the figures of docs/laws.md and of examples/published/README.md; called by tools/figures.

Every number comes out of the program: laws are fitted with `ration fit`, curves are `ration predict` over a table of
points, worths of repeats `ration plan`. Nothing here knows a formula.
"""
import csv
import io
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import vl_convert

root = pathlib.Path(__file__).resolve().parent.parent
tables = root / "examples/published"
colours = ["#4c78a8", "#f58518", "#54a24b", "#b279a2"]


def ration(*words):
    """Runs the program; what it prints on stdout. RATION names another binary than build/bin/ration."""
    program = os.environ.get("RATION", str(root / "build/bin/ration"))
    done = subprocess.run([program, *map(str, words)], text=True, capture_output=True, check=False)
    if done.returncode not in (0, 4):  # 4: a fit that is not to be trusted is drawn all the same
        sys.exit(f"error: ration {' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


def fit(table, *words, file):
    """The fit's document, written to `file` too."""
    return json.loads(ration("fit", tables / table, *words, "--force", "--json", "-o", file))


def predict(file, points):
    """Predicted loss at (params, tokens, unique tokens); the average over laws where the fit has one."""
    text = "params,tokens,unique_tokens\n" + "".join("{:.9g},{:.9g},{:.9g}\n".format(*p) for p in points)
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as table:
        table.write(text)
        table.flush()
        rows = list(csv.DictReader(io.StringIO(ration("predict", file, table.name, "--force"))))
    return [float(row["predicted_loss"]) for row in rows]


def rows_of(table):
    return list(csv.DictReader(open(tables / table, newline="")))


def log_grid(low, high, points):
    return [low * (high / low) ** (i / (points - 1)) for i in range(points)]


def rounded(value):
    return float(f"{value:.4g}")


def size_name(value):
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def axis(field, title, log=False, domain=None, **more):
    scale = {"type": "log" if log else "linear", "zero": False, "nice": False}
    if domain:
        scale["domain"] = domain
    if log and "values" not in more:  # 1, 3, 10 over few decades, else powers of ten
        wide = not domain or domain[1] / domain[0] > 1e5
        more["values"] = [m * 10.0 ** k for k in range(-1, 25) for m in ((1,) if wide else (1, 3))]
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": {"grid": True, "gridOpacity": 0.4, "tickCount": 5, **more}}


def series(title, names):
    return {"field": "series", "type": "nominal", "title": title, "scale": {"domain": names, "range": colours[:len(names)]}}


def lines(rows, x, y, colour=None, **mark):
    encoding = {"x": x, "y": y}
    if colour:
        encoding["color"] = colour
    return {"data": {"values": rows}, "mark": {"type": "line", "clip": True, "strokeWidth": 1.8, **mark}, "encoding": encoding}


def points(rows, x, y, colour=None, **mark):
    encoding = {"x": x, "y": y}
    if colour:
        encoding["color"] = colour
    return {"data": {"values": rows}, "mark": {"type": "point", "clip": True, "size": 22, "strokeWidth": 1.2, **mark}, "encoding": encoding}


def rule(field, values, text, row=0, colour="#444", dash=(4, 3), align="left"):
    """A vertical line at each value, its name beside it at the top (row 1: one line lower)."""
    layer = [{"data": {"values": [{field: v} for v in values]}, "mark": {"type": "rule", "clip": True, "strokeDash": list(dash), "color": colour},
              "encoding": {"x": {"field": field, "type": "quantitative"}}}]
    if text:
        layer.append({"data": {"values": [{field: values[0]}]}, "mark": {"type": "text", "align": align, "dx": 4 if align == "left" else -4, "y": 9 + 13 * row, "fontSize": 11, "color": colour, "text": text},
                      "encoding": {"x": {"field": field, "type": "quantitative"}}})
    return layer


def panel(layers, title=None, width=250, height=190):
    spec = {"width": width, "height": height, "layer": layers}
    if title:
        spec["title"] = {"text": title, "fontSize": 12, "fontWeight": "normal", "anchor": "start"}
    return spec


def draw(file, panels, description):
    spec = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "description": description, "hconcat": panels, "background": "white",
            "resolve": {"scale": {"color": "independent"}},
            "config": {"font": "sans-serif", "aria": False, "view": {"stroke": "#ddd"}, "axis": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"},
                       "legend": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "symbolSize": 60}}}
    svg = vl_convert.vegalite_to_svg(json.dumps(spec), vl_version="5.20")
    tenths = lambda m: re.sub(r"-?\d+\.\d{2,}", lambda n: f"{float(n.group()):.1f}", m.group())
    svg = re.sub(r' (d|transform|[xy][12]?|width|height)="[^"]*"', tenths, svg)  # tenths of a pixel suffice
    svg = re.sub(r' (aria-[a-z]+|role|class|pointer-events|stroke-miterlimit)="[^"]*"', "", svg)
    svg = re.sub(r'<path (?:transform="[^"]*" )?d="M0(?:\.5)?,0(?:\.5)?h0v[\d.]+h0Z"/>', "", svg)  # empty backgrounds
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(svg + "\n")
    print(f"{file.relative_to(root)}  {len(svg) / 1000:.0f} kB")


# ---- docs/laws.md: one figure a law -------------------------------------------------------------------------------

unique = 1e8
sizes = [14.1e6, 44e6, 146.5e6, 618.7e6]
size_names = [size_name(n) for n in sizes]


def loss_against_epochs(file):
    """The law through the runs on 100 M unique tokens; filled runs were fitted, hollow ones were not."""
    most = 2000
    epochs = log_grid(1, most, 45)
    x = axis("x", "epochs over 100 M unique tokens", True, [1, most])
    y = axis("y", "loss (nats a token)", False, [3.4, 7.4])
    colour = series("parameters", size_names)
    grid = [(n, e * unique, unique) for n in sizes for e in epochs]
    curve = [{"x": rounded(d / unique), "y": rounded(loss), "series": size_name(n)} for (n, d, _), loss in zip(grid, predict(file, grid))]
    fitted, held_out = [], []
    for row in rows_of("data_constrained_c4.csv"):
        if float(row["unique_tokens"]) == unique and float(row["params"]) in sizes:
            (fitted if row["split"] == "fit" else held_out).append({"x": float(row["epochs"]), "y": float(row["val_loss"]), "series": size_name(float(row["params"]))})
    return panel([*rule("x", [140], "fitted up to here", colour="#888"), lines(curve, x, y, colour), points(fitted, x, y, colour, filled=True), points(held_out, x, y, colour)])


def loss_against_compute(file):
    """On fresh tokens alone: where each size pays."""
    wide = [1e7, 1e8, 1e9, 1e10]
    x = axis("x", "compute (FLOPs), fresh tokens", True, [1e17, 1e24], format="~e")
    y = axis("y", "loss (nats a token)", False, [1.8, 5.2])
    grid = [(n, c / (6 * n), c / (6 * n)) for n in wide for c in log_grid(1e17, 1e24, 36)]
    rows = [{"x": rounded(6 * n * d), "y": rounded(loss), "series": size_name(n)} for (n, d, _), loss in zip(grid, predict(file, grid))]
    return panel([lines(rows, x, y, series("parameters", [size_name(n) for n in wide]))])


def worth_of_a_repeat(file):
    """What the next repeated token is worth, in fresh ones (`ration plan --details`)."""
    budget = 6 * sizes[2] * unique * 150
    plan = json.loads(ration("plan", "--fit", file, "--params", f"{sizes[2]:.9g}", "--budget", f"{budget:.9g}flop", "--unique", f"{unique:.9g}tok", "--json", "--force"))
    rows = [{"x": row["epochs"], "y": rounded(row["worth"])} for row in plan["repetition"]["rows"] if row["epochs"] <= 600]
    x = axis("x", "epochs", True, [1, 600])
    y = axis("y", "worth of the next repeat (fresh tokens)", False, [0, 1])
    half = plan["repetition"]["half_life"]
    mark = [] if half is None else rule("x", [rounded(1 + half["value"])], f"half after {half['value']:.3g} repeats", 12, align="right")
    return panel([lines(rows, x, y, color=colours[0]), *mark])


def rise_by_repeating(file):
    """Loss with repeats less loss on as many fresh tokens."""
    epochs = log_grid(1, 600, 45)
    x = axis("x", "epochs over 100 M unique tokens", True, [1, 600])
    y = axis("y", "added by repeating (nats a token)", False, [0, 4])
    grid = [(n, e * unique, unique) for n in sizes for e in epochs]
    with_repeats, fresh = predict(file, grid), predict(file, [(n, d, d) for n, d, _ in grid])
    rows = [{"x": rounded(d / unique), "y": rounded(a - b), "series": size_name(n)} for (n, d, _), a, b in zip(grid, with_repeats, fresh)]
    return panel([*rule("x", [140], None, colour="#888"), lines(rows, x, y, series("parameters", size_names))])


def slices(law, slice_list, by, x_title, folder):
    """A law in one variable along slices of the over-training runs on C4; each slice is fitted by itself."""
    curves, runs, names = [], [], []
    source = [row for row in rows_of("overtraining_104.csv") if row["train_corpus"] == "c4_original"]
    x = {"params": lambda r: float(r["params"]), "tokens": lambda r: float(r["tokens"]), "compute": lambda r: 6 * float(r["params"]) * float(r["tokens"])}[by]
    for name, where, keep in slice_list:
        chosen = [row for row in source if keep(row)]
        file = folder / f"{law}-{len(names)}.json"
        fit("overtraining_104.csv", "--column", "loss=loss_c4_val", "--where", f"train_corpus=c4_original and {where}", "--law", law, "--bootstrap", "0", "--profile", "0", file=file)
        low, high = min(map(x, chosen)), max(map(x, chosen))
        grid = log_grid(low / 2, high * 8, 40)
        asked = {"params": [(v, 1e10, 1e10) for v in grid], "tokens": [(1e8, v, v) for v in grid], "compute": [(1e8, v / 6e8, v / 6e8) for v in grid]}[by]
        curves += [{"x": rounded(v), "y": rounded(loss), "series": name} for v, loss in zip(grid, predict(file, asked))]
        runs += [{"x": rounded(x(row)), "y": float(row["loss_c4_val"]), "series": name} for row in chosen]
        names.append(name)
    xs, ys = axis("x", x_title, True, format="~e"), axis("y", "loss (nats a token)")
    colour = series("slice", names)
    return panel([lines(curves, xs, ys, colour), points(runs, xs, ys, colour, filled=True)], width=420)


def ratio(value):
    return (f"{20 * value:g} tokens a parameter", f"chinchilla_multiplier={value:g}", lambda r: float(r["chinchilla_multiplier"]) == value)


def one_size(text):
    params = next(row["params"] for row in rows_of("overtraining_104.csv") if size_name(float(row["params"])) == text)
    return (f"{text} parameters", f"params={params} and chinchilla_multiplier>=0.5", lambda r: r["params"] == params and float(r["chinchilla_multiplier"]) >= 0.5)


def draw_laws():
    folder = root / "docs/images/laws"
    second = {"chinchilla": loss_against_compute, "chinchilla-tied": loss_against_compute, "outer-exponent": loss_against_compute,
              "over-training": loss_against_compute, "joint-decay": loss_against_compute,
              "data-constrained": worth_of_a_repeat, "data-constrained-tied": worth_of_a_repeat, "data-constrained-data": worth_of_a_repeat,
              "data-constrained-outer": worth_of_a_repeat, "data-constrained-geometric": worth_of_a_repeat,
              "overfit-penalty": rise_by_repeating, "overfit-penalty-linear": rise_by_repeating, "saturating-penalty": rise_by_repeating}
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        for law, other in second.items():
            file = scratch / f"{law}.json"
            fit("data_constrained_c4.csv", "--where", "split=fit", "--law", law, "--bootstrap", "0", "--profile", "0", file=file)
            draw(folder / f"{law}.svg", [loss_against_epochs(file), other(file)], f"The law {law} fitted to published runs")
        for law, by, title, slice_list in (("power-params", "params", "parameters", [ratio(1), ratio(4)]),
                                           ("power-tokens", "tokens", "tokens", [one_size("78.91M"), one_size("153.7M"), one_size("411.6M")]),
                                           ("power-compute", "compute", "compute (FLOPs)", [ratio(1), ratio(4)])):
            draw(folder / f"{law}.svg", [slices(law, slice_list, by, title, scratch)], f"The law {law} along slices of published runs")


# ---- examples/published/README.md ---------------------------------------------------------------------------------

published = root / "docs/images/published"


def rise_of_objective(name, values, words, best, runs):
    """2 n ln(objective / best) with one parameter held at each value: 2.7 is the end of a 90 % interval."""
    curve = []
    for value in values:
        fitted = json.loads(ration("fit", *words, "--fix", f"{name}={value:.9g}", "--bootstrap", "0", "--profile", "0", "--force", "--json"))
        curve.append({"x": rounded(value), "y": rounded(max(0, 2 * runs * math.log(fitted["objective"] / best)))})
    return curve


def level(text="90 %"):
    return [{"data": {"values": [{"y": 2.71}]}, "mark": {"type": "rule", "strokeDash": [2, 2], "color": "#888"}, "encoding": {"y": {"field": "y", "type": "quantitative"}}}]


def draw_chinchilla():
    words = (tables / "chinchilla_245.csv", "--drop-outliers", "--law", "chinchilla")
    runs = [row for row in rows_of("chinchilla_245.csv") if row["outlier"] != "1"]
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "fit.json"
        document = json.loads(ration("fit", *words, "--bootstrap", "0", "--profile", "0", "--json", "-o", file))
        predicted = predict(file, [(float(r["params"]), float(r["tokens"]), float(r["tokens"])) for r in runs])
    y = axis("y", "2 n ln(objective / least)", False, [0, 40])
    rows = [{"x": rounded(p), "y": rounded(100 * math.log(float(r["loss"]) / p))} for r, p in zip(runs, predicted)]
    x = axis("x", "predicted loss (nats a token)", True, [1.95, 4.0], values=[2, 2.5, 3, 3.5, 4])
    observed = points(rows, x, axis("y", "observed above predicted (%)", False, [-3, 3]), color=colours[0], opacity=0.6, size=14)
    panels = [panel([*[{"data": {"values": [{"y": 0}]}, "mark": {"type": "rule", "color": "#444"}, "encoding": {"y": {"field": "y", "type": "quantitative"}}}], observed], "observed against predicted", width=230)]
    for name, low, high, paper, replication in (("E", 1.66, 1.92, 1.69, 1.8172), ("alpha", 0.27, 0.43, 0.34, 0.3478)):
        values = [low + (high - low) * i / 40 for i in range(41)]
        curve = rise_of_objective(name, values, words, document["objective"], document["runs"])
        xs = axis("x", f"{name} (the others fitted anew)", False, [low, high])
        panels.append(panel([*level(), lines(curve, xs, y, color=colours[0]), *rule("x", [paper], f"paper {paper:g}", 0 if name == "alpha" else 13, colours[1], align="right" if name == "alpha" else "left"),
                             *rule("x", [replication], f"replication {replication:g}", 1, colours[2])], f"profile of {name}", width=230))
    draw(published / "chinchilla.svg", panels, "The Chinchilla law on 240 published runs")


def draw_data_constrained():
    base = ["--fix", "A=520.82495", "--fix", "B=1487.71609", "--fix", "E=1.86914368", "--fix", "alpha=0.3526596", "--fix", "beta=0.3526596"]
    words = [tables / "data_constrained_c4.csv", "--where", "in_published_fit=1", *base]
    document = json.loads(ration("fit", *words, "--bootstrap", "0", "--profile", "0", "--force", "--json"))
    n, best = document["runs"], document["objective"]
    panels = []
    for name, low, high, value in (("rd_star", 3, 1000, 15.387756), ("rn_star", 0.3, 30, 5.309743)):
        curve = rise_of_objective(name, log_grid(low, high, 81), words, best, n)
        marks = [{"x": rounded(m["parameters"][name]), "y": rounded(2 * n * math.log(m["objective"] / best))} for m in document["minima"]]
        label = "R_D*" if name == "rd_star" else "R_N*"
        x, y = axis("x", f"{label} (the base law held as published)", True, [low, high]), axis("y", "2 n ln(objective / least)", False, [-0.3, 8])
        panels.append(panel([*level(), lines(curve, x, y, color=colours[0]), points(marks, x, y, color="#d62728", filled=True, size=50),
                             *rule("x", [value], f"published {value:.2f}", 0, colours[1])], f"profile of {label}: {len(marks)} minima within the noise"))
    draw(published / "data-constrained-minima.svg", panels, "R_D* and R_N* of the published two-stage fit")
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "fit.json"
        fit("data_constrained_c4.csv", "--where", "split=fit", "--law", "auto", "--bootstrap", "0", "--profile", "0", file=file)
        panels = [loss_against_epochs(file), loss_on_much_data(file)]
    draw(published / "data-constrained.svg", panels, "Loss against epochs: the chosen law and the runs")


def loss_on_much_data(file):
    """Larger models, each on one amount of unique tokens."""
    pairs = [(2.81e9, 4e9), (4.2465e9, 12e9), (8.67e9, 1.5e9)]
    names = [f"{size_name(n)} on {size_name(u)} tokens" for n, u in pairs]
    x, y = axis("x", "epochs over the unique tokens", True, [1, 30]), axis("y", "loss (nats a token)", False, [2.4, 3.5])
    colour = series("parameters", names)
    curve, fitted, held_out = [], [], []
    for (params, tokens), name in zip(pairs, names):
        grid = [(params, e * tokens, tokens) for e in log_grid(1, 30, 40)]
        curve += [{"x": rounded(d / u), "y": rounded(loss), "series": name} for (_, d, u), loss in zip(grid, predict(file, grid))]
        for row in rows_of("data_constrained_c4.csv"):
            if float(row["params"]) == params and float(row["unique_tokens"]) == tokens:
                (fitted if row["split"] == "fit" else held_out).append({"x": float(row["epochs"]), "y": float(row["val_loss"]), "series": name})
    return panel([lines(curve, x, y, colour), points(fitted, x, y, colour, filled=True), points(held_out, x, y, colour)])


if __name__ == "__main__":
    if sys.argv[1] == "laws":
        draw_laws()
    else:
        draw_chinchilla()
        draw_data_constrained()
