"""What deadline and quorum do to time and accuracy, where clients differ in speed and some drop out.

Runs stragglers.toml, in virtual time, once for each choice below, and compares the runs: in a table, on a page, and
in a figure of accuracy over virtual seconds.

usage: python examples/sentiment/stragglers.py target/release/umbel [FOLDER FOR THE RUNS]
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
CHOICES = {
    "nobody slow": ["simulation.training_spread=0.0", "simulation.round_spread=0.0", "simulation.drop_out=0.0"],
    "600 s": [],
    "300 s": ["federation.round_seconds=300"],
    "120 s": ["federation.round_seconds=120"],
    "60 s": ["federation.round_seconds=60"],
    "90 %, grace 0.5": ["federation.quorum_percent=90", "federation.grace=0.5"],
    "70 %, grace 0.5": ["federation.quorum_percent=70", "federation.grace=0.5"],
    "50 %, grace 0": ["federation.quorum_percent=50", "federation.grace=0.0"],
}


def main():
    umbel = sys.argv[1]
    out = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    print("| waits for | minutes | updates a round | late | still busy | dropped out | accuracy |")
    print("|---|---|---|---|---|---|---|")
    folders = []
    for name, settings in CHOICES.items():
        run = name.replace(" %", "-percent").replace(", ", "-").replace(" ", "-")
        command = [umbel, "simulate", str(HERE / "stragglers.toml"), "--json", "--out", str(out), "--set", "evaluation.every=1", "--set", "evaluation.rows=4000"]
        for setting in settings + [f"run.name={run}"]:
            command += ["--set", setting]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        result = json.loads(told)
        folder = pathlib.Path(result["run_dir"])
        folders.append(str(folder))
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        mean = lambda count: sum(map(count, lines)) / len(lines)
        missing = [mean(lambda line: len(line["virtual"][why])) for why in ("late", "busy", "dropped")]
        numbers = [result["seconds"] / 60, mean(lambda line: line["clients"]), *missing]
        print(f"| {name} | {' | '.join(f'{n:.1f}' for n in numbers)} | {result['accuracy']:.3f} |", flush=True)
    page = out / "comparison.html"
    figure = out / "stragglers.svg"
    subprocess.run([umbel, "compare", *folders, "--html", str(page), "--svg", str(figure)], check=True)
    print("comparison:", page, figure)


main()
