"""Writes the genotype files beside this script from a JSON file of published genotypes.

    python3 generate.py genotypes.json DARTS_V1 DARTS_V2 PDARTS Hc_DAS_cells Hs_DAS_CIFAR_stages Hs_DAS_ImageNet_stages

Edges keep the published order: the names of parameters depend on it.
"""
import json
import pathlib
import sys


def pairs(flat):
    return [flat[i:i + 2] for i in range(0, len(flat), 2)]


def dag(nodes, out, indent):
    pad = " " * indent
    lines = [pad + "nodes:"]
    for node in nodes:
        lines.append(pad + "  - [" + ", ".join("{%s: %d}" % (op, state) for op, state in node) + "]")
    lines.append(pad + "out: [" + ", ".join(map(str, out)) + "]")
    return lines


def main(file, names):
    data = json.loads(pathlib.Path(file).read_text())
    for name in names:
        lines = ["version: 1", "name: " + name]
        if name in data["genotypes"]:
            g = data["genotypes"][name]
            s = g["source"]
            lines.append('source: "%s %s @ %s"' % (s["repo"], s["path"], s["commit"][:12]))
            lines.append("cells:")
            for cell in "normal", "reduce":
                lines += ["  %s:" % cell] + dag(pairs(g[cell]), g[cell + "_concat"], 4)
        else:
            g = data["hdas_figures"][name]
            s = g["source"]
            lines.append('source: "%s %s, transcribed by eye"' % (s["repo"], s["figure"]))
            dags = [k for k in g if k + "_concat" in g]
            if dags[0].startswith("DAG"):
                lines.append("stages:")
                for i, k in enumerate(dags):
                    lines += ["  - cell: normal"] + dag(g[k], g[k + "_concat"], 4)
                    if i < len(dags) - 1:
                        lines.append("    reduce: reduce")
            else:
                lines.append("cells:")
                for k in sorted(dags):
                    lines += ["  %s:" % k] + dag(g[k], g[k + "_concat"], 4)
        (pathlib.Path(__file__).parent / (name + ".yaml")).write_text("\n".join(lines) + "\n")


main(sys.argv[1], sys.argv[2:])
