#!/usr/bin/env python3
"""Computes epsilon from a ledger's events with Google's dp_accounting.

    pip install dp-accounting
    umbel account events RUN_DIR --json > events.json
    python examples/recompute_epsilon.py events.json --delta 1e-5

Reads the JSON list that `umbel account events --json` prints (or one event), builds the tree of
DpEvents that it describes, and prints what dp_accounting's two accountants make of it: PLD, which
is tight, and RDP. Nothing of Umbel is used. `-` reads standard input.
"""

import argparse
import json
import sys

import dp_accounting
from dp_accounting import pld, rdp

ADJACENCY = {
    "add-or-remove": dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE,
    "replace-one": dp_accounting.NeighboringRelation.REPLACE_ONE,
}


def event_of(written):
    """The DpEvent that one JSON object describes; unknown kinds and keys are refused."""
    keys = set(written) - {"type"}

    def known(*allowed):
        if keys - set(allowed):
            raise ValueError(f"unknown keys {sorted(keys - set(allowed))} in {written}")

    kind = written["type"]
    if kind == "gaussian":
        known("noise_multiplier", "sampling_probability", "count")
        if written.get("sampling_probability", 1) != 1:
            raise ValueError(f"a sampled event must be poisson_gaussian: {written}")
        event = dp_accounting.GaussianDpEvent(written["noise_multiplier"])
    elif kind == "poisson_gaussian":
        known("noise_multiplier", "sampling_probability", "count")
        event = dp_accounting.PoissonSampledDpEvent(
            written["sampling_probability"],
            dp_accounting.GaussianDpEvent(written["noise_multiplier"]),
        )
    elif kind == "non_private":
        known("count")
        event = dp_accounting.NonPrivateDpEvent()
    elif kind == "self_composed":
        known("event", "count")
        event = event_of(written["event"])
    elif kind == "composed":
        known("events")
        return dp_accounting.ComposedDpEvent([event_of(e) for e in written["events"]])
    else:
        raise ValueError(f"unknown type of event {kind!r}")
    count = written.get("count", 1)
    return event if count == 1 else dp_accounting.SelfComposedDpEvent(event, count)


def epsilon(accountant, event, delta):
    """Epsilon at delta, or the reason why this accountant has none."""
    try:
        return f"{accountant.compose(event).get_epsilon(delta):.6f}"
    except (dp_accounting.UnsupportedEventError, NotImplementedError, ValueError) as error:
        return f"not supported ({error})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", help="a file with a JSON list of events, or - for standard input")
    parser.add_argument("--delta", type=float, required=True)
    parser.add_argument("--adjacency", choices=ADJACENCY, default="add-or-remove")
    arguments = parser.parse_args()
    if arguments.events == "-":
        written = json.load(sys.stdin)
    else:
        with open(arguments.events, encoding="utf-8") as file:
            written = json.load(file)
    if isinstance(written, dict):
        written = [written]
    event = dp_accounting.ComposedDpEvent([event_of(e) for e in written])
    print(event)
    relation = ADJACENCY[arguments.adjacency]
    for name, accountant in [
        ("PLD", pld.PLDAccountant(neighboring_relation=relation)),
        ("RDP", rdp.RdpAccountant(neighboring_relation=relation)),
    ]:
        print(f"{name}: epsilon {epsilon(accountant, event, arguments.delta)}"
              f" at delta {arguments.delta} ({arguments.adjacency})")


if __name__ == "__main__":
    main()
