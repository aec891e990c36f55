#!/usr/bin/env python3
"""Compares the figures of `umbel evaluate` with scikit-learn's on the same predictions.

    pip install scikit-learn
    umbel evaluate --model RUN/model --data test.csv --json > evaluate.json
    umbel predict --model RUN/model --data test.csv --json > predict.jsonl
    python examples/check_scores.py evaluate.json predict.jsonl test.csv

Reads the labels from the table (CSV with a header) and the probabilities from the predictions, and
computes accuracy, macro-F1, loss, precision, recall, F1, the confusion matrix, the area under the
ROC curve, the majority's share and the expected calibration error anew. Bootstrap intervals are
drawn anew with another generator, so they agree up to chance. Ends with 1 if a figure differs.
"""

import argparse
import csv
import json
import sys

import numpy as np
from sklearn import metrics
from sklearn.dummy import DummyClassifier

BINS = 15
RESAMPLES = 1000


def calibration_error(claims, right):
    """Guo et al. 2017, equation 3: equal bins, each with its upper end."""
    place = np.clip(np.ceil(claims * BINS).astype(int), 1, BINS)
    bins = [place == i for i in range(1, BINS + 1)]
    return sum(abs(right[b].sum() - claims[b].sum()) for b in bins) / len(claims)


def intervals(truth, predicted, seed=1):
    """Percentile intervals of accuracy and macro-F1."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(truth), len(truth))
        f1 = metrics.f1_score(truth[rows], predicted[rows], average="macro", zero_division=0)
        found.append((np.mean(truth[rows] == predicted[rows]), f1))
    return np.percentile(found, [2.5, 97.5], axis=0).T


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("evaluate", help="what `umbel evaluate --json` printed")
    parser.add_argument("predict", help="what `umbel predict --json` printed")
    parser.add_argument("table", help="the labelled table, as CSV")
    parser.add_argument("--label", default="label", help="its column with the label")
    arguments = parser.parse_args()

    with open(arguments.evaluate, encoding="utf-8") as file:
        told = json.load(file)
    with open(arguments.predict, encoding="utf-8") as file:
        answers = [json.loads(line) for line in file]
    with open(arguments.table, encoding="utf-8", newline="") as file:
        truth = np.array([row[arguments.label] for row in csv.DictReader(file)])
    if len(truth) != len(answers):
        sys.exit(f"{len(truth)} labels and {len(answers)} predictions: are they of one table?")

    labels = [row["label"] for row in told["per_class"]]
    predicted = np.array([answer["label"] for answer in answers])
    probabilities = np.array([[a["probabilities"][l] for l in labels] for a in answers], dtype=float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    index = np.array([labels.index(label) for label in truth])
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    if len(labels) == 2:
        area = metrics.roc_auc_score(index, probabilities[:, 1])
    else:
        area = metrics.roc_auc_score(index, probabilities, multi_class="ovr", average="macro")
    majority = DummyClassifier(strategy="most_frequent").fit(index[:, None], index)
    boot = intervals(truth, predicted)

    exact, single, chance = 1e-9, 1e-4, 0.012
    of = lambda key: [row[key] for row in told["per_class"]]
    checks = [
        ("accuracy", told["accuracy"], metrics.accuracy_score(truth, predicted), exact),
        (
            "macro-F1",
            told["macro_f1"],
            metrics.f1_score(truth, predicted, average="macro", zero_division=0),
            exact,
        ),
        ("precision", of("precision"), precision, exact),
        ("recall", of("recall"), recall, exact),
        ("F1", of("f1"), f1, exact),
        ("support", of("examples"), support, exact),
        (
            "confusion",
            told["confusion"],
            metrics.confusion_matrix(truth, predicted, labels=labels),
            exact,
        ),
        ("majority", told["majority"]["share"], majority.score(index[:, None], index), exact),
        # Printed probabilities are in single precision.
        ("loss", told["loss"], metrics.log_loss(index, probabilities, labels=range(len(labels))), single),
        ("AUC", told["auc"], area, single),
        (
            "calibration error",
            told["calibration"]["now"]["ece"],
            calibration_error(probabilities.max(axis=1), (truth == predicted).astype(float)),
            single,
        ),
        ("interval of accuracy", told["intervals"]["accuracy"], boot[0], chance),
        ("interval of macro-F1", told["intervals"]["macro_f1"], boot[1], chance),
    ]
    wrong = 0
    for name, umbel, other, tolerance in checks:
        difference = float(np.max(np.abs(np.asarray(umbel, dtype=float) - other)))
        agrees = difference <= tolerance
        wrong += not agrees
        print(f"{name:22} largest difference {difference:.2e}  {'agrees' if agrees else 'DIFFERS'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
