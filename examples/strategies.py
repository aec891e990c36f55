"""Tries every strategy where clients' data differ much: banking77, 77 labels, split by Dirichlet 0.1 over 50
clients, most of which have a handful of labels.

The last layer of BERT-tiny is trained. Without privacy, each client takes four local steps a round. With
privacy, rows are protected at epsilon 8: sums of gradients with central noise; or, for FedProx, which needs local
steps, each client's own noise. Prints a Markdown table of accuracy on the test rows. One seed, no tuning: learning
rates were set beforehand, by the scale of what each strategy divides by.

usage: python examples/strategies.py target/release/umbel DATA MODEL [--only NAME ...]
DATA: a folder with banking77's train.csv and test.csv; MODEL: BERT-tiny's folder
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

COMMON = """[run]
name = "strategies"
rounds = 15
[model]
base = {model}
max_tokens = 24
train = "head"
[data]
clean = false
[evaluation]
every = 0
rows = 4000
files = [{{ name = "test", path = {test} }}]
[clients]
from = {train}
split = "dirichlet"
clients = 50
alpha = 0.1
seed = 1
"""
PLAIN = """[privacy]
unit = "none"
[training]
method = "deltas"
[training.local]
optimiser = "sgd"
steps = 4
batch = 20
learning_rate = 1.0
[server]
optimiser = "sgd"
learning_rate = 1.0
"""
PRIVATE = """[privacy]
unit = "record"
epsilon = 8.0
delta = 1e-5
clipping_norm = 1.0
sampling_rate = 0.1
[training]
method = "gradients"
expected_batch = 1000
[server]
optimiser = "sgd"
learning_rate = 10.0
"""
LOCAL = PLAIN.replace('unit = "none"', """unit = "record"
noise = "local"
epsilon = 8.0
delta = 1e-5
clipping_norm = 1.0
sampling_rate = 0.1""")
ROUNDS = ["run.rounds=40"]

# Name; settings without privacy; the configuration and settings with it, or None where it is refused.
STRATEGIES = [
    ("FedAvg", [], (PRIVATE, ROUNDS)),
    ("FedAvg, averaged", ["server.average=0.8"], (PRIVATE, ROUNDS + ["server.average=0.8"])),
    ("FedAvgM", ["server.optimiser=momentum", "server.learning_rate=0.3"],
     (PRIVATE, ROUNDS + ["server.optimiser=momentum", "server.learning_rate=2.0"])),
    ("Adam", ["server.optimiser=adam", "server.learning_rate=0.05"],
     (PRIVATE, ROUNDS + ["server.optimiser=adam", "server.learning_rate=0.05"])),
    ("FedAdam", ["server.optimiser=fed-adam", "server.learning_rate=0.05"],
     (PRIVATE, ROUNDS + ["server.optimiser=fed-adam", "server.learning_rate=0.05"])),
    ("FedYogi", ["server.optimiser=fed-yogi", "server.learning_rate=0.05"],
     (PRIVATE, ROUNDS + ["server.optimiser=fed-yogi", "server.learning_rate=0.05"])),
    ("FedAdagrad", ["server.optimiser=fed-adagrad", "server.learning_rate=0.1"],
     (PRIVATE, ROUNDS + ["server.optimiser=fed-adagrad", "server.learning_rate=0.1"])),
    ("FedProx, 0.1", ["training.local.proximal=0.1"], (LOCAL, ["training.local.proximal=0.1"])),
    ("SCAFFOLD", ["server.optimiser=scaffold"], None),
    ("median", ["server.aggregate=median"], None),
    ("trimmed mean, 0.2", ["server.aggregate=trimmed-mean"], None),
    ("Krum, 5 malicious", ["server.aggregate=krum", "server.malicious=5"], None),
    ("multi-Krum, 5 malicious, 25 kept", ["server.aggregate=krum", "server.malicious=5", "server.keep=25"], None),
    ("updates of norm 3 at most", ["server.update_norm=3.0"], None),
]


def accuracy(asked, folder, sections, settings):
    quoted = lambda path: json.dumps(str(path.resolve()))
    files = {name: quoted(asked.data / f"{name}.csv") for name in ("train", "test")}
    path = folder / "run.toml"
    path.write_text(COMMON.format(model=quoted(asked.model), **files) + sections)
    command = [asked.umbel.resolve(), "simulate", path, "--json", "--seed", "1"]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return f"failed: {done.stderr.strip().splitlines()[-1]}"
    return f"{json.loads(done.stdout)['accuracy']:.3f}"


def main():
    parser = argparse.ArgumentParser()
    for name in ("umbel", "data", "model"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    asked = parser.parse_args()
    print("| strategy | privacy off | rows at epsilon 8 |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        for name, settings, private in STRATEGIES:
            if asked.only and name not in asked.only:
                continue
            plain = accuracy(asked, folder, PLAIN, settings)
            protected = accuracy(asked, folder, *private) if private else "refused"
            print(f"| {name} | {plain} | {protected} |", flush=True)


main()
