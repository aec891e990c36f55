"""Makes coordinator/tests/strategies/scaffold.json: SCAFFOLD (Karimireddy et al. 2020, algorithm 1,
option II) by the paper's letters, on clients that each want parameters of their own.

    pip install numpy
    python examples/make_scaffold_fixture.py > coordinator/tests/strategies/scaffold.json

Client i's gradient at y is a[i] * (y - b[i]). The file has these, who took part in each of twenty
rounds, and the server's parameters and control variate after each. Umbel must come to the same, to
1e-6.
"""

import json

import numpy as np

ROUNDS, CLIENTS, PARAMETERS = 20, 5, 6
STEPS, LOCAL_RATE, SERVER_RATE = 3, 0.1, 0.8


def scaffold(a, b, x, cohorts):
    """x and c after each round."""
    c, own = np.zeros(PARAMETERS), np.zeros((CLIENTS, PARAMETERS))
    after = []
    for cohort in cohorts:
        x_delta, c_delta = np.zeros(PARAMETERS), np.zeros(PARAMETERS)
        for i in cohort:
            y = x.copy()
            for _ in range(STEPS):
                y -= LOCAL_RATE * (a[i] * (y - b[i]) - own[i] + c)
            moved = own[i] - c + (x - y) / (STEPS * LOCAL_RATE)
            x_delta, c_delta = x_delta + y - x, c_delta + moved - own[i]
            own[i] = moved
        x = x + SERVER_RATE * x_delta / len(cohort)
        c = c + c_delta / CLIENTS
        after.append({"parameters": x.tolist(), "variate": c.tolist()})
    return after


def main():
    rng = np.random.default_rng(3)
    a = rng.uniform(0.2, 2.0, size=(CLIENTS, PARAMETERS))
    b, start = rng.normal(size=(CLIENTS, PARAMETERS)), rng.normal(size=PARAMETERS)
    sizes = rng.integers(1, CLIENTS + 1, size=ROUNDS)
    cohorts = [sorted(rng.choice(CLIENTS, size=n, replace=False).tolist()) for n in sizes]
    fixture = {
        "steps": STEPS,
        "local_learning_rate": LOCAL_RATE,
        "learning_rate": SERVER_RATE,
        "a": a.tolist(),
        "b": b.tolist(),
        "start": start.tolist(),
        "cohorts": cohorts,
        "after": scaffold(a, b, start, cohorts),
    }
    print(json.dumps(fixture, indent=1))


if __name__ == "__main__":
    main()
