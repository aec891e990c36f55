#!/usr/bin/env python3
"""Compares `umbel evaluate` of several labels or of values with scikit-learn's definitions.

    umbel evaluate --model RUN/model --data FILE ... --json > evaluate.json
    umbel predict --model RUN/model --data FILE --json >> predict.jsonl    (once for each file, in order)
    python examples/tasks/check_scores.py evaluate.json predict.jsonl FILE ...

Reads the labels, or the values, from the tables (`label`, separated by `;`, or `polarity`), and the
answers from the predictions, and computes every score anew: with scikit-learn where it is installed,
and otherwise by the formulas of its documentation. Ends with 1 if one differs. Needs `numpy`.
"""

import csv
import json
import sys

import numpy as np

try:
    from sklearn import metrics
except ImportError:
    metrics = None


def f1(truth, given, average):
    if metrics:
        return metrics.f1_score(truth, given, average=average, zero_division=0)
    axis = None if average == "micro" else 0
    hits = (truth & given).sum(axis=axis)
    named = truth.sum(axis=axis) + given.sum(axis=axis)
    return float(np.mean(np.where(named > 0, 2 * hits / np.maximum(named, 1), 0.0)))


def r2(truth, found):
    if metrics:
        return metrics.r2_score(truth, found)
    return 1 - ((truth - found) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()


def several(rows, answers, names):
    truth = np.array(
        [[name in (part.strip() for part in row["label"].split(";")) for name in names] for row in rows]
    )
    given = np.array([[name in answer["labels"] for name in names] for answer in answers])
    p = np.array([[answer["probabilities"][name] for name in names] for answer in answers])
    p = np.clip(p.astype(np.float64), 1e-12, 1 - 1e-12)
    yield "micro_f1", f1(truth, given, "micro")
    yield "macro_f1", f1(truth, given, "macro")
    yield "exact_match", float((truth == given).all(axis=1).mean())
    yield "loss", float(-np.where(truth, np.log(p), np.log1p(-p)).mean())


def values(rows, answers):
    truth = np.array([float(row["polarity"]) for row in rows])
    found = np.array([answer["values"]["polarity"] for answer in answers])
    yield "rmse", float(np.sqrt(((truth - found) ** 2).mean()))
    yield "mae", float(np.abs(truth - found).mean())
    yield "r2", float(r2(truth, found))


evaluate = json.load(open(sys.argv[1], encoding="utf-8"))
answers = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
rows = [row for path in sys.argv[3:] for row in csv.DictReader(open(path, newline="", encoding="utf-8"))]
assert len(rows) == len(answers) == evaluate["examples"], (len(rows), len(answers))
if "micro_f1" in evaluate:
    names = [label["label"] for label in evaluate["per_class"]]
    expected = several(rows, answers, names)
else:
    expected = values(rows, answers)
wrong = 0
for key, value in expected:
    found = evaluate[key]
    same = abs(found - value) < 2e-5 * max(1, abs(value))
    wrong += not same
    print(f"{key:<12} {found:.6f} {value:.6f} {'same' if same else 'DIFFERENT'}")
print("by scikit-learn" if metrics else "by scikit-learn's formulas")
sys.exit(wrong > 0)
