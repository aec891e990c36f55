"""Times `umbel simulate` with many clients of few rows, and prints one JSON object.

Each client has a table of its own, of EXAMPLES texts of TOKENS tokens. The unit is the client; a round
draws about COHORT of them, and each takes one step on all of its texts. `weights` is the beginning of the
SHA-256 of the released weights: with --seed, it is the same however many clients train at a time.

usage: python examples/simulated_clients.py target/release/umbel --clients 100 --cohort 20
"""
import argparse
import hashlib
import json
import pathlib
import random
import resource
import subprocess
import tempfile
import time

WORDS = "the good bad film story actor plot music scene very quite dull bright long short new old great poor best"

CONFIGURATION = """[run]
name = "many"
rounds = {rounds}

[model]
base = {model}
max_tokens = {tokens}
train = "encoder"

[data]
labels = ["negative", "positive"]
clean = false

[privacy]
unit = "client"
noise_multiplier = 1.0
epsilon = 1000.0
delta = 1e-6
clipping_norm = 1.0
sampling_rate = {rate}

[training]
method = "deltas"
micro_batch = {examples}

[training.local]
optimiser = "sgd"
steps = 1
batch = {examples}
learning_rate = 0.01

[server]
optimiser = "sgd"
learning_rate = 1.0
"""


def arguments():
    tiny = pathlib.Path(__file__).resolve().parent / "sentiment/bert-tiny"
    parser = argparse.ArgumentParser()
    parser.add_argument("umbel", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, default=tiny)
    for name, number in dict(clients=100, cohort=20, rounds=6, examples=32, tokens=32).items():
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--parallel", type=int)
    parser.add_argument("--seed", type=int)
    return parser.parse_args()


def write(folder, asked):
    """Writes tables and configuration."""
    draw = random.Random(0)
    text = CONFIGURATION.format(
        rounds=asked.rounds,
        model=json.dumps(str(asked.model.resolve())),
        tokens=asked.tokens,
        rate=asked.cohort / asked.clients,
        examples=asked.examples,
    )
    for client in range(asked.clients):
        rows = [
            " ".join(draw.choices(WORDS.split(), k=asked.tokens + 8)) + "," + draw.choice(["negative", "positive"])
            for _ in range(asked.examples)
        ]
        (folder / f"{client}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
        text += f'\n[[clients]]\nname = "client-{client:06}"\ndata = "{client}.csv"\n'
    (folder / "run.toml").write_text(text)


def main():
    asked = arguments()
    command = [asked.umbel.resolve(), "simulate", "run.toml", "--json"]
    for name in ("parallel", "seed"):
        if getattr(asked, name) is not None:
            command += [f"--{name}", str(getattr(asked, name))]
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        write(folder, asked)
        began = time.monotonic()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        seconds = time.monotonic() - began
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        run = folder / json.loads(done.stdout)["run_dir"]
        lines = (run / "metrics.jsonl").read_text().splitlines()
        at = [json.loads(line)["seconds"] for line in lines]
        rounds = sorted(after - before for before, after in zip(at, at[1:]))
        median = rounds[len(rounds) // 2] if rounds else None
        weights = hashlib.sha256((run / "model/model.safetensors").read_bytes()).hexdigest()
    print(json.dumps({
        "clients": asked.clients,
        "cohort": asked.cohort,
        "seconds": round(seconds, 1),
        "first_round_s": round(at[0], 2),
        "median_round_s": median and round(median, 3),
        "trainings_per_s": median and round(asked.cohort / median, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "weights": weights[:16],
    }))


main()
