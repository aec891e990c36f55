#!/usr/bin/env python3
"""Compares `umbel account epsilon` with Google's dp_accounting at random settings.

    pip install dp-accounting
    python examples/compare_with_dp_accounting.py [--umbel target/release/umbel] [--seed 1]

Settings: noise multiplier 0.4 to 20, sampling rate 1e-4 to 1, 1 to 100,000 rounds, delta 1e-12 to
1e-3, all but delta's exponent drawn on a logarithmic scale. Left out are those where dp_accounting
takes long or isn't asked for sensible things: an epsilon below 0.01 or above 50.

Both libraries compute privacy-loss distributions under adding or removing one record.
dp_accounting rounds losses up to a grid (`--grid`), so that its epsilon is too large by up to about
the grid's width times the square root of the rounds; `umbel` gives an interval that the true
epsilon lies in. So, for each setting:

* CONTRADICTION: umbel's lower end is above dp_accounting's pessimistic epsilon, also where that is
  asked for at a delta that is 1e-13 smaller. One of them is wrong. (The Fourier transforms of
  dp_accounting round, and move delta by some 1e-15 to 1e-13, which nothing of it accounts for.)
* ABOVE: umbel's epsilon is more than a thousandth above dp_accounting's: it would waste budget.

Either makes the script exit with 1. Below delta = 1e-10 those rounding errors may be most of
delta; settings there that contradict are marked, and don't fail the script.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import time

from dp_accounting import dp_event
from dp_accounting.pld import pld_privacy_accountant


# What the rounding of Fourier transforms may do to delta.
ROUNDING = 1e-13


def settings(seed):
    """Random settings, and no end of them."""
    draw = random.Random(seed)

    def logarithmic(low, high):
        return math.exp(draw.uniform(math.log(low), math.log(high)))

    while True:
        yield {
            "sigma": round(logarithmic(0.4, 20), 3),
            "q": float(f"{logarithmic(1e-4, 1):.3g}"),
            "steps": round(logarithmic(1, 100_000)),
            "delta": 10.0 ** -draw.randint(3, 12),
        }


def by_umbel(binary, setting):
    answer = subprocess.run(
        [binary, "account", "epsilon", "--json"]
        + ["--noise-multiplier", str(setting["sigma"])]
        + ["--sampling-rate", str(setting["q"])]
        + ["--steps", str(setting["steps"])]
        + ["--delta", repr(setting["delta"])],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(answer.stdout)


def by_dp_accounting(setting, grid):
    event = dp_event.PoissonSampledDpEvent(
        setting["q"], dp_event.GaussianDpEvent(setting["sigma"])
    )
    accountant = pld_privacy_accountant.PLDAccountant(value_discretization_interval=grid)
    start = time.perf_counter()
    accountant.compose(event, setting["steps"])
    epsilon = accountant.get_epsilon(setting["delta"])
    milliseconds = (time.perf_counter() - start) * 1e3
    return epsilon, accountant.get_epsilon(max(setting["delta"] - ROUNDING, 0.5 * setting["delta"])), milliseconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--umbel", default="target/release/umbel", help="the umbel binary")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--grid", type=float, default=1e-4, help="dp_accounting's grid of losses")
    arguments = parser.parse_args()

    wrong = compared = 0
    print("  sigma        q   steps  delta      umbel: from          to   dp_accounting"
          "   to / it - 1   umbel ms   its ms")
    for setting in settings(arguments.seed):
        ours = by_umbel(arguments.umbel, setting)
        if not 0.01 <= ours["epsilon"] <= 50:
            continue
        theirs, cautious, milliseconds = by_dp_accounting(setting, arguments.grid)
        remark = ""
        if ours["epsilon_lower"] > cautious:
            trusted = setting["delta"] >= 1e-10
            remark = "CONTRADICTION" if trusted else "(below its rounding errors)"
            wrong += trusted
        elif ours["epsilon"] > theirs * 1.001:
            remark = "ABOVE"
            wrong += 1
        print(
            f"{setting['sigma']:7.3f} {setting['q']:8.3g} {setting['steps']:7d} {setting['delta']:6.0e}"
            f" {ours['epsilon_lower']:16.9f} {ours['epsilon']:11.9f} {theirs:15.9f}"
            f" {ours['epsilon'] / theirs - 1:13.2e} {ours['elapsed_ms']:10.2f} {milliseconds:8.1f} {remark}",
            flush=True,
        )
        compared += 1
        if compared == arguments.count:
            break
    print(f"{compared} settings compared, {wrong} of them disagree")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
