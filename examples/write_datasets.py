"""Writes one table in the ways in which Hugging Face `datasets` keeps tables, so that
`model/tests/data_tables/python.rs` can read them again.

    python3 examples/write_datasets.py FOLDER

Prints the same object as `write_tables.py`. Names of files may be those of folders.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

NAMES = ["neg", "pos", "mixed"]
ROWS = [(f"text {i}, with a comma\nand a line" if i % 5 == 0 else f"text {i}", NAMES[i % 3]) for i in range(23)]
NUMBERS = [(text, str(NAMES.index(label))) for text, label in ROWS]
folder = os.path.abspath(sys.argv[1])
os.environ["HF_HOME"] = os.path.join(folder, "home")
files = []
missing = []

try:
    import datasets
except ImportError:
    print(json.dumps({"missing": ["datasets"], "rows": ROWS, "files": []}))
    sys.exit()

datasets.disable_progress_bars()
CLASSES = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=NAMES)})


def path(*parts):
    return os.path.join(folder, *parts)


def note(name, refused=None, rows=None):
    files.append({"name": name, "declared": {}, "refused": refused} | ({"rows": rows} if rows is not None else {}))


def table(rows=ROWS, **features):
    columns = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    kinds = datasets.Features({**CLASSES, **features})
    if isinstance(kinds["label"], datasets.ClassLabel):
        columns["label"] = [NAMES.index(label) for label in columns["label"]]
    return datasets.Dataset.from_dict(columns, features=kinds)


def saved():
    classes = table()
    for shards in [1, 3, 12]:
        classes.save_to_disk(path(f"saved-{shards}"), num_shards=shards)
        note(f"saved-{shards}")
    # Parts of an earlier, longer version may stay behind.
    classes.select(range(20)).save_to_disk(path("saved-again"), num_shards=4)
    classes.save_to_disk(path("saved-again"), num_shards=2)
    note("saved-again")
    table(label=datasets.Value("string")).save_to_disk(path("saved-words"))
    note("saved-words")
    table(text=datasets.Value("large_string")).save_to_disk(path("saved-large"))
    note("saved-large")
    # Views of rows: some of them, in another order, and in both ways at once.
    classes.shuffle(seed=1).save_to_disk(path("saved-shuffled"))
    note("saved-shuffled")
    classes.filter(lambda row: row["label"] != 2).save_to_disk(path("saved-filtered"), num_shards=2)
    note("saved-filtered", rows=[row for row in ROWS if row[1] != "mixed"])
    classes.select(range(3, 9)).save_to_disk(path("saved-selected"))
    note("saved-selected", rows=ROWS[3:9])
    classes.sort("label").map(lambda row: {"length": len(row["text"])}).save_to_disk(path("saved-mapped"))
    note("saved-mapped")
    halves = datasets.concatenate_datasets([table(ROWS[:10]), table(ROWS[10:])])
    halves.save_to_disk(path("saved-joined"))
    note("saved-joined")
    beside = datasets.concatenate_datasets([classes.select_columns(["text"]), classes.select_columns(["label"])], axis=1)
    beside.save_to_disk(path("saved-beside"))
    note("saved-beside")
    classes.add_column("note", [None] * len(ROWS)).save_to_disk(path("saved-nulls"))
    note("saved-nulls")
    renamed = classes.rename_column("text", "sentence")
    renamed.save_to_disk(path("saved-renamed"))
    note("saved-renamed", refused="sentence")


def with_gaps():
    gaps = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [None, 1]}, features=CLASSES)
    gaps.save_to_disk(path("saved-gaps"))
    note("saved-gaps", refused="label is missing")
    # As test sets without labels have them.
    unknown = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [-1, -1]}, features=CLASSES)
    unknown.save_to_disk(path("saved-unknown"))
    note("saved-unknown", refused="label is missing")
    for kind, labels in [("list", [[0], [1]]), ("words", [["neg"], ["pos"]])]:
        inner = CLASSES["label"] if kind == "list" else datasets.Value("string")
        kinds = datasets.Features({"text": datasets.Value("string"), "label": datasets.Sequence(inner)})
        lists = datasets.Dataset.from_dict({"text": ["a", "b"], "label": labels}, features=kinds)
        lists.save_to_disk(path(f"saved-lists-{kind}"))
        note(f"saved-lists-{kind}", rows=[("a", "neg"), ("b", "pos")])
        lists.to_parquet(path(f"{kind}.parquet"))
        note(f"{kind}.parquet", rows=[("a", "neg"), ("b", "pos")])
    nested = datasets.Dataset.from_list([{"text": {"en": "a"}, "label": "neg"}])
    nested.save_to_disk(path("saved-nested"))
    note("saved-nested", refused="nested|flatten|struct|object")


def splits():
    classes = table()
    both = classes.train_test_split(test_size=5, seed=3)
    both.save_to_disk(path("splits"), num_shards={"train": 2, "test": 1})
    note("splits", refused="one split")
    of = lambda rows: [(row["text"], NAMES[row["label"]]) for row in rows]
    for split in ["train", "test"]:
        note(os.path.join("splits", split), rows=of(both[split]))
    # As the Hub has data sets: all splits in one folder.
    os.mkdir(path("hub"))
    for split in ["train", "test"]:
        for part in range(2):
            name = f"{split}-{part:05}-of-00002.parquet"
            both[split].shard(2, part, contiguous=True).to_parquet(path("hub", name))
    note("hub", refused="2 tables")
    os.mkdir(path("hub-one"))
    for part in range(2):
        name = f"train-{part:05}-of-00002.parquet"
        both["train"].shard(2, part, contiguous=True).to_parquet(path("hub-one", name))
    note("hub-one", rows=of(both["train"]))
    # A part wasn't fetched.
    os.mkdir(path("hub-cut"))
    both["train"].shard(2, 0, contiguous=True).to_parquet(path("hub-cut", "train-00000-of-00002.parquet"))
    note("hub-cut", refused="train-00001-of-00002.parquet")
    both["train"].save_to_disk(path("saved-cut"), num_shards=2)
    os.remove(path("saved-cut", "data-00001-of-00002.arrow"))
    note("saved-cut", refused="data-00001-of-00002.arrow")


def caches():
    """What stays in the cache: streams of Arrow beside their description."""
    classes = table()
    classes.to_csv(path("source.csv"))
    note("source.csv", rows=NUMBERS)
    loaded = datasets.load_dataset("csv", data_files=path("source.csv"), cache_dir=path("cache"), split="train")
    file = loaded.cache_files[0]["filename"]
    note(os.path.relpath(file, folder), rows=NUMBERS)
    note(os.path.relpath(os.path.dirname(file), folder), rows=NUMBERS)
    both = {"train": path("source.csv"), "test": path("source.csv")}
    loaded = datasets.load_dataset("csv", data_files=both, cache_dir=path("cache-both"))
    home = os.path.dirname(loaded["train"].cache_files[0]["filename"])
    note(os.path.relpath(home, folder), refused="several splits")
    # By two processes, each a file of its own.
    twice = [path("source.csv"), path("source.csv")]
    loaded = datasets.load_dataset("csv", data_files=twice, cache_dir=path("cache-two"), split="train", num_proc=2)
    home = os.path.dirname(loaded.cache_files[0]["filename"])
    note(os.path.relpath(home, folder), rows=NUMBERS + NUMBERS)
    mapped = classes.map(lambda row: {"text": row["text"] + "!"}, cache_file_name=path("mapped.arrow"))
    assert mapped.cache_files
    note("mapped.arrow", rows=[(text + "!", label) for text, label in ROWS])
    streamed = classes.to_iterable_dataset(num_shards=3)
    if hasattr(streamed, "to_parquet"):
        streamed.to_parquet(path("streamed.parquet"))
        note("streamed.parquet")


def written():
    classes = table()
    for size in [None, 4]:
        classes.to_parquet(path(f"classes-{size}.parquet"), batch_size=size)
        note(f"classes-{size}.parquet")
    classes.shuffle(seed=2).to_parquet(path("shuffled.parquet"))
    note("shuffled.parquet")
    # Names of classes don't get into text.
    for name, options in {
        "lines.json": {}, "list.json": {"lines": False, "orient": "records"}, "packed.json": {"compression": "gzip"},
    }.items():
        classes.to_json(path(name), **options)
        note(name, rows=NUMBERS)
    for orient in ["split", "columns", "index", "values", "table"]:
        classes.to_json(path(f"{orient}.json"), lines=False, orient=orient)
        note(f"{orient}.json", refused="one object a row|one JSON object|no column|rows are")
    for name, options in {
        "plain.csv": {}, "indexed.csv": {"index": True}, "tabs.csv": {"sep": "\t"}, "packed.csv": {"compression": "gzip"},
    }.items():
        classes.to_csv(path(name), **options)
        note(name, rows=NUMBERS)
    words = classes.map(
        lambda row: {"label": NAMES[row["label"]]},
        features=datasets.Features({**CLASSES, "label": datasets.Value("string")}),
    )
    words.to_csv(path("words.csv"))
    note("words.csv")
    words.to_json(path("words.json"))
    note("words.json")


for write in [saved, with_gaps, splits, caches, written]:
    write()
print(json.dumps({"missing": missing, "rows": ROWS, "files": files}))
