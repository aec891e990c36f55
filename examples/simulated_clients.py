"""Times simulations of many clients of few rows: Umbel beside Flower and pfl-research, in one run.

Each client has EXAMPLES texts of TOKENS tokens and takes one step of SGD on all of them, at the size of
BERT-tiny with frozen embeddings. Its difference is clipped, and the round's sum gets noise. A round draws
COHORT of the CLIENTS. With --head only the last layer is trained: what is left is what a simulator costs.

Two curves are printed: over the clients listed, with the first cohort; and over the cohorts, with the last
number of clients. Programs take turns at each point, so that all meet the same machine. On a busy machine, pin the whole script to one core (taskset -c 0).

usage: python examples/simulated_clients.py target/release/umbel --clients 200 1000 10000 --cohort 100 20 50
needs: pip install "flwr[simulation]==1.42.0" pfl==0.6.0 torch transformers (not with --only umbel)
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time

WORDS = "the good bad film story actor plot music scene very quite dull bright long short new old great poor best"
PROGRAMS = ("umbel", "flower", "pfl")

CONFIGURATION = """[run]
name = "many"
rounds = {rounds}

[model]
base = {model}
max_tokens = {tokens}
train = "{train}"

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

[clients]
from = "rows.csv"
by = "user"
"""


def arguments():
    tiny = pathlib.Path(__file__).resolve().parent / "sentiment/bert-tiny"
    parser = argparse.ArgumentParser()
    parser.add_argument("umbel", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, default=tiny)
    parser.add_argument("--clients", type=int, nargs="+", default=[100])
    parser.add_argument("--cohort", type=int, nargs="+", default=[20])
    for name, number in dict(rounds=6, examples=32, tokens=32, turns=1, patience=3600).items():
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--head", action="store_true", help="train the last layer only")
    parser.add_argument("--parallel", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", choices=PROGRAMS, nargs="+", default=PROGRAMS)
    parser.add_argument("--peer", choices=PROGRAMS[1:], help=argparse.SUPPRESS)
    return parser.parse_args()


def told(program, asked, first_round, rounds, **more):
    """What is known of one simulation. `rounds`: seconds of all rounds but the first."""
    median = sorted(rounds)[len(rounds) // 2] if rounds else None
    return {
        "program": program,
        "clients": asked.clients[0],
        "cohort": asked.cohort[0],
        "first_round_s": round(first_round, 2),
        "median_round_s": median and round(median, 3),
        "trainings_per_s": median and round(asked.cohort[0] / median, 1),
        **more,
    }


# Umbel


def write(folder, asked):
    """Writes table and configuration."""
    draw = random.Random(0)
    with open(folder / "rows.csv", "w") as table:
        table.write("user,text,label\n")
        for client in range(asked.clients[0]):
            for _ in range(asked.examples):
                text = " ".join(draw.choices(WORDS.split(), k=asked.tokens + 8))
                table.write(f"user-{client:06},{text},{draw.choice(['negative', 'positive'])}\n")
    (folder / "run.toml").write_text(CONFIGURATION.format(
        rounds=asked.rounds,
        model=json.dumps(str(asked.model.resolve())),
        tokens=asked.tokens,
        train="head" if asked.head else "encoder",
        rate=asked.cohort[0] / asked.clients[0],
        examples=asked.examples,
    ))


def first_line(process, folder):
    """When the first round's line was written: counted from the program's start, as with the others."""
    while process.poll() is None:
        if any(path.stat().st_size for path in folder.glob("runs/*/metrics.jsonl")):
            break
        time.sleep(0.02)
    return time.time()


def umbel(asked):
    command = [asked.umbel.resolve(), "simulate", "run.toml", "--json", "--parallel", str(asked.parallel)]
    if asked.seed is not None:
        command += ["--seed", str(asked.seed)]
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        write(folder, asked)
        began = time.time()
        with open(folder / "answer", "w+") as answer, open(folder / "log", "w+") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=answer, stderr=log)
            first = first_line(process, folder) - began
            if process.wait() != 0:
                raise SystemExit((folder / "log").read_text())
        seconds = time.time() - began
        run = folder / json.loads((folder / "answer").read_text())["run_dir"]
        at = [json.loads(line)["seconds"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        weights = hashlib.sha256((run / "model/model.safetensors").read_bytes()).hexdigest()
    rounds = [after - before for before, after in zip(at, at[1:])]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return told("umbel", asked, first, rounds, seconds=round(seconds, 1), peak_mb=peak, weights=weights[:16])


# Flower and pfl-research, each in a process of its own


def network(head):
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    sizes = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512)
    dropout = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = BertForSequenceClassification(BertConfig(vocab_size=30522, num_labels=2, **sizes, **dropout))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("classifier") if head else "embeddings" not in name
    return model


def flower(asked):
    os.environ.update(FLWR_TELEMETRY_ENABLED="0", RAY_DEDUP_LOGS="1", TOKENIZERS_PARALLELISM="false")
    import torch
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.clientapp.mod import fixedclipping_mod
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import DifferentialPrivacyClientSideFixedClipping, FedAvg
    from flwr.simulation import run_simulation

    clients, cohort, examples, tokens = asked.clients[0], asked.cohort[0], asked.examples, asked.tokens
    head, rounds, kept, marks = asked.head, asked.rounds, {}, []

    def state(model):
        return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    client = ClientApp(mods=[fixedclipping_mod])

    @client.train()
    def train(message, context):
        torch.set_num_threads(1)
        model = kept.get("model") or kept.setdefault("model", network(head))
        model.load_state_dict(message.content["arrays"].to_torch_state_dict(), strict=False)
        model.train()
        optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
        optimiser.zero_grad()
        x, y = torch.randint(1000, 20000, (examples, tokens)), torch.randint(0, 2, (examples,))
        loss = torch.nn.functional.cross_entropy(model(input_ids=x).logits, y)
        loss.backward()
        optimiser.step()
        metrics = MetricRecord({"num-examples": examples, "loss": float(loss)})
        content = RecordDict({"arrays": ArrayRecord(state(model)), "metrics": metrics})
        return Message(content=content, reply_to=message)

    server = ServerApp()

    @server.main()
    def main_of_server(grid, context):
        plain = FedAvg(fraction_train=cohort / clients, fraction_evaluate=0.0, min_available_nodes=clients)
        strategy = DifferentialPrivacyClientSideFixedClipping(
            plain, noise_multiplier=1.0, clipping_norm=1.0, num_sampled_clients=cohort
        )

        def mark(number, arrays):
            marks.append(time.time())
            return MetricRecord({"round": number})

        strategy.start(
            grid=grid, initial_arrays=ArrayRecord(state(network(head))), num_rounds=rounds, evaluate_fn=mark
        )

    began = time.time()
    backend = {
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "init_args": {"num_cpus": asked.parallel},
    }
    run_simulation(server_app=server, client_app=client, num_supernodes=clients, backend_config=backend)
    # The first mark is that of the initial model.
    between = [after - before for before, after in zip(marks[1:], marks[2:])]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return told("flower", asked, marks[1] - began, between, seconds=round(time.time() - began, 1), peak_mb=peak)


def pfl(asked):
    import torch
    from pfl.internal.ops import pytorch_ops
    from pfl.internal.ops.selector import set_framework_module

    set_framework_module(pytorch_ops)
    from pfl.aggregate.simulate import SimulatedBackend
    from pfl.algorithm.base import NNAlgorithmParams
    from pfl.algorithm.federated_averaging import FederatedAveraging
    from pfl.callback.base import TrainingProcessCallback
    from pfl.data.dataset import Dataset
    from pfl.data.federated_dataset import FederatedDataset
    from pfl.data.sampling import get_user_sampler
    from pfl.hyperparam.base import NNTrainHyperParams
    from pfl.metrics import Metrics, Weighted
    from pfl.model.pytorch import PyTorchModel
    from pfl.privacy.gaussian_mechanism import GaussianMechanism
    from pfl.privacy.privacy_mechanism import CentrallyAppliedPrivacyMechanism

    began, marks = time.time(), []
    torch.set_num_threads(asked.parallel)
    head, examples, tokens = asked.head, asked.examples, asked.tokens

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network(head)

        def forward(self, x):
            return self.inner(input_ids=x).logits

        def loss(self, x, y, eval=False):
            return torch.nn.functional.cross_entropy(self(x), y.long().view(-1))

        def metrics(self, x, y, eval=False):
            return {"loss": Weighted(0.0, len(x))}

    class Clock(TrainingProcessCallback):
        def after_central_iteration(self, *args, **keys):
            marks.append(time.time())
            return False, Metrics()

    def rows(user):
        data = [torch.randint(1000, 20000, (examples, tokens)), torch.randint(0, 2, (examples,))]
        return Dataset(data, user_id=str(user))

    net = Net()
    trained = [p for p in net.parameters() if p.requires_grad]
    model = PyTorchModel(
        net, local_optimizer_create=torch.optim.SGD, central_optimizer=torch.optim.SGD(trained, lr=1.0)
    )
    users = FederatedDataset(rows, get_user_sampler("random", list(range(asked.clients[0]))))
    noise = CentrallyAppliedPrivacyMechanism(GaussianMechanism(clipping_bound=1.0, relative_noise_stddev=0.1))
    backend = SimulatedBackend(training_data=users, val_data=None, postprocessors=[noise])
    settings = NNAlgorithmParams(
        central_num_iterations=asked.rounds,
        evaluation_frequency=10**9,
        train_cohort_size=asked.cohort[0],
        val_cohort_size=None,
    )
    local = NNTrainHyperParams(local_num_epochs=1, local_learning_rate=0.01, local_batch_size=examples)
    FederatedAveraging().run(settings, backend, model, local, None, [Clock()])
    between = [after - before for before, after in zip(marks, marks[1:])]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return told("pfl", asked, marks[0] - began, between, seconds=round(time.time() - began, 1), peak_mb=peak)


# Both curves


def measured(program, asked, clients, cohort):
    """One simulation, in a process of its own."""
    command = [sys.executable, __file__, str(asked.umbel), "--clients", str(clients), "--cohort", str(cohort)]
    command += ["--only", program, "--model", str(asked.model), "--parallel", str(asked.parallel)]
    for name in ("rounds", "examples", "tokens"):
        command += [f"--{name}", str(getattr(asked, name))]
    command += ["--head"] if asked.head else []
    command += ["--seed", str(asked.seed)] if asked.seed is not None else []
    command += ["--peer", program] if program != "umbel" else []
    failed = f"{program}, {clients} clients, cohort {cohort}: "
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=asked.patience)
    except subprocess.TimeoutExpired:
        print(f"{failed}given up after {asked.patience} s", file=sys.stderr)
        return None
    if done.returncode != 0:
        print(f"{failed}failed\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def best(program, asked, point, found):
    """The quickest of the turns of one program at one point."""
    own = [line for line in found if (line["program"], line["clients"], line["cohort"]) == (program, *point)]
    return min(own, key=lambda line: line["median_round_s"] or 0, default=None)


def table(title, points, asked, found):
    print(f"\n{title}\n\n| clients | cohort | program | first round | a round | trainings/s | peak memory |")
    print("|---|---|---|---|---|---|---|")
    for point in points:
        for program in asked.only:
            line = best(program, asked, point, found)
            if line is not None:
                print(
                    f"| {point[0]:,} | {point[1]:,} | {program} | {line['first_round_s']} s "
                    f"| {line['median_round_s']} s | {line['trainings_per_s']} | {line['peak_mb']:,} MB |"
                )


def main():
    asked = arguments()
    if asked.peer:
        return print(json.dumps({"flower": flower, "pfl": pfl}[asked.peer](asked)), flush=True)
    by_clients = [(clients, asked.cohort[0]) for clients in asked.clients]
    by_cohort = [(asked.clients[-1], cohort) for cohort in sorted(asked.cohort)]
    if tuple(asked.only) == ("umbel",) and len(by_clients) == len(by_cohort) == 1:
        return print(json.dumps(umbel(asked)))
    found = []
    for _ in range(asked.turns):
        for point in dict.fromkeys(by_clients + by_cohort):
            lines = (measured(program, asked, *point) for program in asked.only)
            for line in filter(None, lines):
                found.append(line)
                print(json.dumps(line), file=sys.stderr, flush=True)
    table("Over the clients listed", by_clients, asked, found)
    table("Over the cohort", by_cohort, asked, found)


main()
