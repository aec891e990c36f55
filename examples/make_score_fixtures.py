#!/usr/bin/env python3
"""Writes model/tests/fixtures/scores.json: scores of made-up rows, and scikit-learn's figures.

    pip install scikit-learn scipy
    python examples/make_score_fixtures.py > model/tests/fixtures/scores.json
"""

import json

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn import metrics
from sklearn.naive_bayes import MultinomialNB

from check_scores import calibration_error

CLASSES, ROWS, TOKENS = 4, 160, 12

rng = np.random.default_rng(17)
# The last class is rare, and nothing is ever taken for it.
labels = rng.choice(CLASSES, ROWS, p=[0.5, 0.3, 0.17, 0.03])
scores = rng.integers(-8, 9, (ROWS, CLASSES)) / 4
scores[np.arange(ROWS), labels] += 1.0
scores[:, 3] -= 6.0
tokens = rng.integers(0, TOKENS, (ROWS, 6)) + labels[:, None]

probabilities = softmax(scores, axis=1)
predictions = scores.argmax(axis=1)
precision, recall, f1, support = metrics.precision_recall_fscore_support(
    labels, predictions, labels=range(CLASSES), zero_division=0
)
loss = lambda t: metrics.log_loss(labels, softmax(scores / t, axis=1), labels=range(CLASSES))
temperature = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-10})
counts = np.array([np.bincount(row, minlength=TOKENS + CLASSES) for row in tokens])
# Only tokens of the first half are known, as in a vocabulary that was counted there.
half = ROWS // 2
seen = counts[:half].sum(axis=0) > 0
words = MultinomialNB().fit(counts[:half][:, seen], labels[:half])

print(
    json.dumps(
        {
            "labels": labels.tolist(),
            "scores": scores.tolist(),
            "tokens": tokens.tolist(),
            "accuracy": metrics.accuracy_score(labels, predictions),
            "macro_f1": metrics.f1_score(labels, predictions, average="macro", zero_division=0),
            "precision": precision.tolist(),
            "recall": recall.tolist(),
            "f1": f1.tolist(),
            "support": support.tolist(),
            "confusion": metrics.confusion_matrix(labels, predictions).tolist(),
            "auc": metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
            "loss": loss(1.0),
            "ece": calibration_error(probabilities.max(axis=1), (labels == predictions) * 1.0),
            "temperature": temperature.x,
            "bag_of_words": words.predict(counts[half:][:, seen]).tolist(),
        }
    )
)
