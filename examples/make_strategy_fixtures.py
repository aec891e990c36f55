"""Makes coordinator/tests/strategies/flower.json and flower_robust.json: what Flower's strategies do
with random updates.

    pip install flwr==1.42.0 numpy
    python examples/make_strategy_fixtures.py > coordinator/tests/strategies/flower.json
    python examples/make_strategy_fixtures.py robust > coordinator/tests/strategies/flower_robust.json

Each strategy gets the same twenty rounds of three clients' updates. The file has, by strategy, its
settings, the learning rate, and the parameters after each round. Umbel's strategies must come to the
same parameters, to 1e-6.
"""

import json
import sys

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.common import Array
from flwr.serverapp import strategy
from flwr.supercore.task_identity import TaskIdentity

ROUNDS, CLIENTS, PARAMETERS = 20, 3, 6

# By Umbel's names: Flower's strategy, its learning rate, and Umbel's settings.
STRATEGIES = {
    "sgd": (lambda: strategy.FedAvg(), 1.0, {}),
    "momentum": (
        lambda: strategy.FedAvgM(server_learning_rate=0.5, server_momentum=0.8),
        0.5,
        {"momentum": 0.8},
    ),
    "fed-adam": (
        lambda: strategy.FedAdam(eta=0.05, beta_1=0.8, beta_2=0.95, tau=0.01),
        0.05,
        {"beta1": 0.8, "beta2": 0.95, "epsilon": 0.01},
    ),
    "fed-yogi": (
        lambda: strategy.FedYogi(eta=0.05, beta_1=0.8, beta_2=0.95, tau=0.01),
        0.05,
        {"beta1": 0.8, "beta2": 0.95, "epsilon": 0.01},
    ),
    "fed-adagrad": (
        lambda: strategy.FedAdagrad(eta=0.05, tau=0.01),
        0.05,
        {"epsilon": 0.01},
    ),
}


def record(values):
    return ArrayRecord({"w": Array(np.asarray(values, dtype=np.float64))})


def reply(values):
    content = RecordDict({"arrays": record(values), "metrics": MetricRecord({"num-examples": 1})})
    message = Message(content=RecordDict(), dst_node_id=1, message_type="train")
    return Message(content, reply_to=message)


class Grid:
    """As much of a grid as choosing clients takes."""

    def get_node_ids(self):
        return list(range(1, 8))


def run(make, start, updates):
    """The parameters after each round."""
    server, parameters, after = make(), start, []
    for number, of_clients in enumerate(updates, start=1):
        server.configure_train(number, record(parameters), ConfigRecord(), Grid())
        replies = [reply(parameters + update) for update in of_clients]
        arrays, _ = server.aggregate_train(number, replies)
        parameters = arrays["w"].numpy()
        after.append(parameters.tolist())
    return after


def main():
    # Messages name the process's task; here there is one.
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
    if sys.argv[1:] == ["robust"]:
        return robust()
    rng = np.random.default_rng(1)
    start = rng.normal(size=PARAMETERS)
    updates = rng.normal(scale=0.1, size=(ROUNDS, CLIENTS, PARAMETERS))
    # A parameter that no client changes, and one whose updates are tiny.
    updates[:, :, 0] = 0.0
    updates[:, :, 1] *= 1e-6
    fixture = {
        "flower": "1.42.0",
        "start": start.tolist(),
        # What the mean of the clients' parameters loses in each round.
        "gradients": (-updates.mean(axis=1)).tolist(),
        "strategies": {
            name: {
                "learning_rate": rate,
                "settings": settings,
                "after": run(make, start, updates),
            }
            for name, (make, rate, settings) in STRATEGIES.items()
        },
    }
    print(json.dumps(fixture, indent=1))


# By Umbel's names: Flower's strategy, Umbel's settings, and numbers of clients.
ROBUST = [
    ("median", strategy.FedMedian, {}, (3, 4)),
    ("trimmed-mean", lambda: strategy.FedTrimmedAvg(beta=0.2), {"trim": 0.2}, (4, 7)),
    ("krum", lambda: strategy.Krum(num_malicious_nodes=1), {"malicious": 1}, (5, 6)),
    (
        "krum",
        lambda: strategy.MultiKrum(num_malicious_nodes=2, num_nodes_to_select=3),
        {"malicious": 2, "keep": 3},
        (7,),
    ),
]


def robust():
    """What withstands clients that send anything, of which the first one makes use."""
    rng = np.random.default_rng(2)
    start = rng.normal(size=PARAMETERS)
    runs = []
    for name, make, settings, numbers in ROBUST:
        for clients in numbers:
            updates = rng.normal(scale=0.1, size=(ROUNDS, clients, PARAMETERS))
            updates[:, 0, :] *= 1e3
            after = run(make, start, updates)
            runs.append(
                {"rule": name, "settings": settings, "updates": updates.tolist(), "after": after}
            )
    print(json.dumps({"flower": "1.42.0", "start": start.tolist(), "runs": runs}, indent=1))


if __name__ == "__main__":
    main()
