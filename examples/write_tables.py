"""Writes one table in every option that Python's csv, pandas, polars and pyarrow have for tables, so that
`model/tests/data_tables/python.rs` can read them again.

    python3 examples/write_tables.py FOLDER

Prints one JSON object: what couldn't be imported (`missing`), the rows (`rows`), and for each file (`files`) its
name, the options of `[data]` that it needs (`declared`), and whether it may be refused, and with which words
(`refused`; null where it must be read).
"""

import csv
import itertools
import json
import os
import sys

ROWS = [
    ("plain", "0"),
    ("a comma, a semicolon; a\ttab | a pipe", "1"),
    ('he said "no", twice', "0"),
    ("two\nlines", "1"),
    ("it's 'fine'", "0"),
    ("  blanks  ", "1"),
    ("n\u00e9 \u20ac \u4f60 \U0001f600", "0"),
    ("back\\slash", "1"),
    ("1204.50", "10"),
    ("true", "2"),
]
folder = sys.argv[1]
files = []
missing = []


def note(name, declared=None, refused=None, rows=None):
    entry = {"name": name, "declared": declared or {}, "refused": refused}
    files.append(entry | ({"rows": rows} if rows else {}))


def path(name):
    return os.path.join(folder, name)


def by_csv():
    quotings = ["QUOTE_MINIMAL", "QUOTE_ALL", "QUOTE_NONNUMERIC", "QUOTE_NONE"]
    endings = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
    choices = itertools.product(",;\t|:", quotings, endings, [True, False], "\"'")
    for i, (sign, quoting, ending, doubled, quote) in enumerate(choices):
        name = f"csv-{i}.csv"
        escape = None if doubled and quoting != "QUOTE_NONE" else "\\"
        with open(path(name), "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(
                file, delimiter=sign, quoting=getattr(csv, quoting), lineterminator=endings[ending],
                doublequote=doubled, escapechar=escape, quotechar=quote,
            )
            writer.writerow(["text", "label"])
            writer.writerows(ROWS)
        refused = None
        if quote == "'":
            # Which of the two shows first depends on the rows.
            refused = "double quotes|quote"
        elif escape:
            refused = "backslash|quotes"
        elif ending == "cr" and quoting == "QUOTE_MINIMAL":
            # Before Python 3.12, a line feed in a text is then left without quotes.
            refused = "line end"
        note(name, {"delimiter": sign} if sign == ":" else {}, refused)


def by_pandas():
    import pandas

    frame = pandas.DataFrame(ROWS, columns=["text", "label"])
    frame["label"] = frame["label"].astype(int)
    labels = {"int": frame, "float": frame.astype({"label": float}), "text": frame.astype({"label": str})}
    for kind, table in labels.items():
        for index in [True, False]:
            table.to_csv(path(f"pandas-{kind}-{index}.csv"), index=index)
            note(f"pandas-{kind}-{index}.csv")
        for sign in ";\t|":
            table.to_csv(path(f"pandas-{kind}-{ord(sign)}.csv"), sep=sign, index=False)
            note(f"pandas-{kind}-{ord(sign)}.csv")
        for orient, lines in [("records", True), ("records", False)]:
            table.to_json(path(f"pandas-{kind}-{lines}.json"), orient=orient, lines=lines)
            note(f"pandas-{kind}-{lines}.json")
        for codec in ["snappy", "gzip", "brotli", "zstd", "lz4", None]:
            table.to_parquet(path(f"pandas-{kind}-{codec}.parquet"), compression=codec)
            note(f"pandas-{kind}-{codec}.parquet")
    for orient in ["split", "columns", "index", "values", "table"]:
        frame.to_json(path(f"pandas-{orient}.json"), orient=orient)
        note(f"pandas-{orient}.json", refused="one object a row|one JSON object|no column")
    for encoding in ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]:
        frame.to_csv(path(f"pandas-{encoding}.csv"), index=False, encoding=encoding)
        note(f"pandas-{encoding}.csv")
    western = frame[frame["text"].str.len() != len(ROWS[6][0])]
    kept = [row for row in ROWS if len(row[0]) != len(ROWS[6][0])]
    western.loc[0, "text"] = "caf\u00e9"
    kept[0] = ("caf\u00e9", "0")
    western.to_csv(path("pandas-cp1252.csv"), index=False, encoding="cp1252")
    note("pandas-cp1252.csv", {"encoding": "cp1252"}, rows=kept)
    western.to_csv(path("pandas-undeclared.csv"), index=False, encoding="cp1252")
    note("pandas-undeclared.csv", refused="encoding", rows=kept)
    for compression, refused in [("gzip", None), ("zstd", None), ("bz2", "bzip2"), ("xz", "xz"), ("zip", "zip")]:
        try:
            frame.to_csv(path(f"pandas-{compression}"), index=False, compression=compression)
        except ImportError:
            continue
        note(f"pandas-{compression}", refused=refused)
    frame.to_csv(path("pandas-headless.csv"), index=False, header=False)
    note("pandas-headless.csv", refused="header")
    frame.to_csv(path("pandas-aliases.csv"), index=False, header=["Text", " label "])
    note("pandas-aliases.csv")
    gap = frame.copy()
    gap["label"] = gap["label"].astype(float)
    gap.loc[3, "label"] = None
    for word in ["", "NA", "nan"]:
        gap.to_csv(path(f"pandas-gap-{word}.csv"), index=False, na_rep=word)
        note(f"pandas-gap-{word}.csv", refused="label is missing")
    gap.to_parquet(path("pandas-gap.parquet"))
    note("pandas-gap.parquet", refused="label is missing")
    frame.astype({"label": "category"}).to_parquet(path("pandas-category.parquet"))
    note("pandas-category.parquet")
    frame.to_feather(path("pandas.feather"))
    note("pandas.feather")
    frame.to_pickle(path("pandas.pickle"))
    note("pandas.pickle", refused="pickle")
    try:
        frame.to_excel(path("pandas.xlsx"), index=False)
        note("pandas.xlsx")
    except ImportError:
        missing.append("openpyxl")


def by_polars():
    import polars

    frame = polars.DataFrame(ROWS, schema=["text", "label"], orient="row")
    frame = frame.with_columns(frame["label"].cast(polars.Int64))
    for i, (sign, style, mark, end) in enumerate(
        itertools.product(",;\t|", ["necessary", "always", "non_numeric"], [True, False], ["\n", "\r\n"])
    ):
        frame.write_csv(path(f"polars-{i}.csv"), separator=sign, quote_style=style, include_bom=mark, line_terminator=end)
        note(f"polars-{i}.csv")
    frame.write_csv(path("polars-never.csv"), quote_style="never")
    note("polars-never.csv", refused="quotes")
    frame.write_csv(path("polars-quote.csv"), quote_char="'")
    note("polars-quote.csv", refused="quotes")
    frame.write_csv(path("polars-headless.csv"), include_header=False)
    note("polars-headless.csv", refused="header")
    frame.write_json(path("polars.json"))
    note("polars.json")
    frame.write_ndjson(path("polars.ndjson"))
    note("polars.ndjson")
    for codec in ["uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4"]:
        frame.write_parquet(path(f"polars-{codec}.parquet"), compression=codec)
        note(f"polars-{codec}.parquet")
    frame.write_ipc(path("polars.arrow"))
    note("polars.arrow")
    frame.write_ipc_stream(path("polars.arrows"))
    note("polars.arrows")
    for kind, name in [(polars.Decimal(10, 2), "decimal"), (polars.Float32, "single"), (polars.UInt8, "byte")]:
        frame.with_columns(frame["label"].cast(kind)).write_parquet(path(f"polars-{name}.parquet"))
        note(f"polars-{name}.parquet")
    frame.with_columns(frame["label"].cast(polars.Date)).write_parquet(path("polars-date.parquet"))
    note("polars-date.parquet", refused="DATE")
    lists = frame.with_columns(polars.col("label").reshape((-1, 1)))
    lists.write_parquet(path("polars-list.parquet"))
    note("polars-list.parquet", refused="nested|FIXED")


def by_pyarrow():
    import pyarrow
    import pyarrow.csv
    import pyarrow.dataset
    import pyarrow.parquet

    table = pyarrow.table({"text": [text for text, _ in ROWS], "label": [int(label) for _, label in ROWS]})
    for style in ["needed", "all_valid"]:
        for sign in ",;\t|":
            options = pyarrow.csv.WriteOptions(delimiter=sign, quoting_style=style)
            pyarrow.csv.write_csv(table, path(f"pyarrow-{style}-{ord(sign)}.csv"), options)
            note(f"pyarrow-{style}-{ord(sign)}.csv")
    headless = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(table, path("pyarrow-headless.csv"), headless)
    note("pyarrow-headless.csv", refused="header")
    choices = itertools.product(["1.0", "2.4", "2.6"], ["1.0", "2.0"], [True, False])
    for i, (version, page, dictionary) in enumerate(choices):
        pyarrow.parquet.write_table(
            table, path(f"pyarrow-{i}.parquet"), version=version, data_page_version=page, use_dictionary=dictionary,
            row_group_size=3,
        )
        note(f"pyarrow-{i}.parquet")
    for kind in [pyarrow.large_string(), pyarrow.string_view(), pyarrow.binary()]:
        cast = table.set_column(0, "text", table["text"].cast(kind))
        pyarrow.parquet.write_table(cast, path(f"pyarrow-{kind}.parquet"))
        note(f"pyarrow-{kind}.parquet")
    for kind in [pyarrow.decimal128(25, 2), pyarrow.decimal256(40, 2), pyarrow.int8(), pyarrow.uint64()]:
        cast = table.set_column(1, "label", table["label"].cast(kind))
        name = str(kind).replace("(", "-").replace(", ", "-").replace(")", "")
        pyarrow.parquet.write_table(cast, path(f"pyarrow-{name}.parquet"))
        note(f"pyarrow-{name}.parquet")
    pyarrow.dataset.write_dataset(table, path("pyarrow-parts"), format="parquet", max_rows_per_file=3, max_rows_per_group=3)
    note("pyarrow-parts")
    pyarrow.dataset.write_dataset(table, path("pyarrow-partitions"), format="parquet", partitioning=["label"], partitioning_flavor="hive")
    note("pyarrow-partitions", refused="partition")


by_csv()
for library, write in [("pandas", by_pandas), ("polars", by_polars), ("pyarrow", by_pyarrow)]:
    try:
        __import__(library)
        write()
    except ImportError as error:
        missing.append(error.name or library)
print(json.dumps({"missing": missing, "rows": ROWS, "files": files}))
