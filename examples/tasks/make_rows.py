#!/usr/bin/env python3
"""Makes rows for other tasks than one label a text, from the texts of the sentiment example.

    python examples/tasks/make_rows.py

writes `examples/tasks/data`. Nothing in the rows is invented: what is to be answered follows from
where a text is from and from the label that its publishers gave it.

| folder | a row is | what is to be answered |
|---|---|---|
| `tags` | a text | which of `positive`, `shop`, `film`, `news`, `tweet` hold: any number of labels |
| `polarity` | three texts of one site, one after the other | the mean of +1 for each positive, -1 for each negative one |
| `pairs` | two texts of one site | the sentiment of the second one |

Needs Python alone.
"""

import csv
import random
from pathlib import Path

HERE = Path(__file__).parent
SITES = HERE.parent / "sentiment" / "data" / "sites"
TAGS = {"amazon": "shop", "movie": "film", "nyt": "news", "twitter": "tweet"}


def read(site, part):
    with open(SITES / site / f"{part}.csv", newline="", encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def write(task, site, part, header, rows):
    folder = HERE / "data" / task / site
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{part}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def tags(texts, site):
    for text, label in texts:
        named = [TAGS[site]] + (["positive"] if label == "positive" else [])
        yield text, "; ".join(named)


def polarity(texts, rng):
    texts = texts[:]
    rng.shuffle(texts)
    for three in zip(*[iter(texts)] * 3):
        signs = [1 if label == "positive" else -1 for _, label in three]
        yield " ".join(text for text, _ in three), f"{sum(signs) / 3:.4f}"


def pairs(texts, rng):
    texts = texts[:]
    rng.shuffle(texts)
    for (one, _), (other, label) in zip(*[iter(texts)] * 2):
        yield one, other, label


for site in TAGS:
    for part in ("train", "test"):
        texts = read(site, part)
        rng = random.Random(f"{site}/{part}")
        write("tags", site, part, ["text", "label"], tags(texts, site))
        write("polarity", site, part, ["text", "polarity"], polarity(texts, rng))
        write("pairs", site, part, ["one", "other", "label"], pairs(texts, rng))
print(f"wrote {HERE / 'data'}")
