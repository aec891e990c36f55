"""Writes random tables of awkward texts in random options of Python's csv, pandas, polars, pyarrow and openpyxl, so
that `model/tests/data_tables/python.rs` can read them again.

    python3 examples/write_random_tables.py SEED COUNT FOLDER

Prints one JSON object as `write_tables.py` does. Rows are a text, a label in its normal form, and a group or null.
`refused` has words of which one stands in a refusal, for options that aren't read; `rows_too` the rows that are right,
too, where an option leaves no trace in the file.
"""

import csv
import json
import os
import random
import sys

seed, count, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
csv.field_size_limit(1 << 24)
files = []
missing = set()
PIECES = [
    "the film", "good", "bad ", " ", "  ", "\t", "\n", "\r\n", "\r", ",", ";", "|", ":", '"', '""', "'", "''", "\\", "\\n",
    '\\"', "\u00e9", "e\u0301", "\u20ac", "\u4f60\u597d", "\U0001f600", "\ufeff", "\u2028", "\x85", "\xa0", "\u200b", "#", "=1+1",
    "NA", "null", "nan", "None", "1", "1.0", "-0", "1e5", "true", "[", "]", "{", "}", "<b>", "&amp;", "%", "\x00", "\x1f", "_x000D_",
]
WHOLE = ["", " ", "NA", "null", "nan", "\\N", "0", "1.50", "TRUE", "'", '"', '""', "'quoted'", '"quoted"', "a" * 70_000]
LABELS = {
    "text": ["neg", "pos", "n\u00e9", "not, good", 'so "so"', "it's"],
    "int": [0, 1, 2, 10, -1], "float": [0.0, 1.0, 0.5], "bool": [True, False], "category": ["x", "y"],
}


def normal(label):
    """The normal form of a label."""
    if isinstance(label, bool):
        return str(label).lower()
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def normal_text(label):
    """The same of a label as it is written."""
    label = label.strip()
    return {"True": "true", "False": "false"}.get(label, label.removesuffix(".0"))


class Case:
    """One table, and what its options are."""

    def __init__(self, number):
        self.rng = random.Random(f"{seed}/{number}")
        rng = self.rng
        self.number = number
        self.kind = rng.choice(sorted(LABELS))
        self.plain = rng.random() < 0.3
        self.texts, self.labels, self.groups = [], [], []
        for i in range(rng.choice([1, 2, 5, 40])):
            self.texts.append(self.text(i))
            self.labels.append(rng.choice(LABELS[self.kind]))
            self.groups.append(rng.choice(["p1", "p2", "P-7", "007"]))
        self.header = ["text", "label", "patient"]
        self.extra = rng.random() < 0.3

    def text(self, i):
        if self.plain:
            return f"a plain text, the {i}th"
        if self.rng.random() < 0.2:
            return self.rng.choice(WHOLE)
        return "".join(self.rng.choice(PIECES) for _ in range(self.rng.randint(1, 8)))

    def rows(self):
        return [[t, normal(l), g] for t, l, g in zip(self.texts, self.labels, self.groups)]

    def columns(self):
        columns = {"text": self.texts, "label": self.labels, "patient": self.groups}
        return columns | ({"r\u00e9marque, \"x\"": self.texts[::-1]} if self.extra else {})

    def without(self, letters):
        """Leaves out letters that a writer can't write."""
        self.texts = ["".join(c for c in text if c not in letters) for text in self.texts]

    def path(self, end):
        return os.path.join(folder, f"{self.number}-{end}")

    def note(self, end, declared=None, refused=None, rows=None, rows_too=None, options=None):
        files.append({
            "name": f"{self.number}-{end}", "declared": declared or {}, "refused": refused, "rows": rows or self.rows(),
            "rows_too": rows_too, "options": repr(options),
        })


def standard(path, sign, encoding="utf-8"):
    """The rows that Python's csv reads by the usual dialect; none if it can't."""
    try:
        with open(path, newline="", encoding=encoding) as file:
            rows = [row for row in csv.reader(file, delimiter=sign, strict=True) if row]
        at = [rows[0].index(name) for name in ["text", "label", "patient"]]
        return [[row[at[0]], normal_text(row[at[1]]), row[at[2]]] for row in rows[1:]]
    except (csv.Error, ValueError, IndexError):
        return None


def by_csv(case):
    rng = case.rng
    sign = rng.choice(",,;\t|:^ ")
    quoting = rng.choice([name for name in dir(csv) if name.startswith("QUOTE_")])
    doubled = rng.random() < 0.8
    escape = "\\" if not doubled or quoting == "QUOTE_NONE" or rng.random() < 0.2 else None
    quote = "'" if not escape and rng.random() < 0.15 else '"'
    if quote == "'":
        # Double quotes are then left as they are, and whoever reads the file takes them for quotes.
        case.without('"')
    ending = rng.choice(["\n", "\n", "\r\n", "\r"])
    encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
    if encoding == "cp1252":
        case.texts = [t.encode("cp1252", "ignore").decode("cp1252") for t in case.texts]
    path, columns = case.path("csv.csv"), case.columns()
    with open(path, "w", newline="", encoding=encoding) as file:
        writer = csv.writer(
            file, delimiter=sign, quoting=getattr(csv, quoting), doublequote=doubled, escapechar=escape, quotechar=quote,
            lineterminator=ending,
        )
        writer.writerow(columns)
        writer.writerows(zip(*columns.values()))
    declared = {"delimiter": sign} if sign in ":^ " else {}
    declared |= {"encoding": encoding} if encoding == "cp1252" else {}
    refused = rows_too = None
    if escape or quote == "'":
        refused, rows_too = "backslash|quote", standard(path, sign, encoding)
    elif ending == "\r" or sys.version_info < (3, 13):
        # Such a line end within a text is then left without quotes.
        refused = "line end|fields where the header"
    options = [sign, quoting, doubled, escape, quote, ending, encoding, case.kind]
    case.note("csv.csv", declared, refused, rows_too=rows_too, options=options)


def frame_of(case):
    import pandas

    frame = pandas.DataFrame(case.columns())
    if case.kind == "category":
        frame["label"] = frame["label"].astype("category")
    return frame


def by_pandas_csv(case):
    rng = case.rng
    end, refused = rng.choice([
        ("csv", None), ("csv", None), ("csv.gz", None), ("csv.zst", None), ("csv.bz2", "bzip2"), ("csv.xz", "xz"),
        ("csv.zip", "zip"), ("csv.tar", "tar"),
    ])
    options = {
        "sep": rng.choice(",;\t|"), "index": rng.random() < 0.5, "quoting": rng.randint(0, 2),
        "lineterminator": rng.choice(["\n", "\r\n"]), "encoding": rng.choice(["utf-8", "utf-8-sig", "utf-16"]),
        "na_rep": rng.choice(["", "NA"]), "chunksize": rng.choice([None, 1]),
    }
    if options["encoding"] == "utf-8-sig" and options["chunksize"]:
        options["encoding"] = "utf-8"
    try:
        frame_of(case).to_csv(case.path(end), **options)
    except ImportError as error:
        return missing.add(error.name or "zstandard")
    if not refused and sys.version_info < (3, 13):
        refused = "line end|fields where the header"
    case.note(end, refused=refused, options=options)


def by_pandas_json(case):
    orient = case.rng.choice(["records"] * 4 + ["split", "index", "columns", "values", "table"])
    lines = orient == "records" and case.rng.random() < 0.5
    options = {
        "orient": orient, "lines": lines, "force_ascii": case.rng.random() < 0.5, "indent": None if lines else case.rng.choice([None, 2]),
        "compression": case.rng.choice([None, "gzip"]),
    }
    frame_of(case).to_json(case.path("json"), **options)
    refused = None if orient == "records" else "one object a row|one JSON object|no column"
    case.note("json", refused=refused, options=options)


def by_json(case):
    rng, columns = case.rng, case.columns()
    rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    ascii_only, encoding = rng.random() < 0.5, rng.choice(["utf-8", "utf-8-sig", "utf-16"])
    separators = rng.choice([None, (",", ":")])
    write = lambda value, **more: json.dumps(value, ensure_ascii=ascii_only, separators=separators, **more)
    style = rng.choice(["lines", "list", "indented", "objects"])
    text = {
        "lines": lambda: "".join(write(row) + rng.choice(["\n", "\r\n"]) for row in rows), "list": lambda: write(rows),
        "indented": lambda: write(rows, indent=1), "objects": lambda: "\n".join(write(row, indent=2) for row in rows),
    }[style]()
    with open(case.path("own.json"), "w", newline="", encoding=encoding) as file:
        file.write(text)
    case.note("own.json", options=[style, ascii_only, encoding, separators])


def arrow_table(case):
    import pyarrow

    table = pyarrow.table(case.columns())
    rng = case.rng
    kinds = [pyarrow.string(), pyarrow.large_string(), pyarrow.string_view(), pyarrow.binary()]
    kind = rng.choice(kinds)
    table = table.set_column(0, "text", table["text"].cast(kind))
    if case.kind in ("text", "category") and rng.random() < 0.5:
        table = table.set_column(1, "label", table["label"].dictionary_encode())
    if case.kind == "int":
        kind = rng.choice([pyarrow.int8(), pyarrow.int32(), pyarrow.float32(), pyarrow.decimal128(22, 3), pyarrow.string()])
        table = table.set_column(1, "label", table["label"].cast(kind))
    return table, str(table.schema)


def by_parquet(case):
    import pyarrow.parquet

    rng = case.rng
    table, schema = arrow_table(case)
    options = {
        "compression": rng.choice(["none", "snappy", "gzip", "brotli", "zstd", "lz4"]), "version": rng.choice(["1.0", "2.4", "2.6"]),
        "data_page_version": rng.choice(["1.0", "2.0"]), "use_dictionary": rng.random() < 0.5, "row_group_size": rng.choice([1, 3, 1000]),
        "write_statistics": rng.random() < 0.5, "store_schema": rng.random() < 0.5, "data_page_size": rng.choice([None, 64]),
        "write_page_index": rng.random() < 0.5, "store_decimal_as_integer": rng.random() < 0.5, "write_page_checksum": rng.random() < 0.5,
    }
    if not options["use_dictionary"] and rng.random() < 0.5 and "dictionary" not in schema:
        options["column_encoding"] = {"text": rng.choice(["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "PLAIN"])}
    pyarrow.parquet.write_table(table, case.path("parquet"), **options)
    case.note("parquet", options=[schema, options])


def by_arrow(case):
    import pyarrow
    import pyarrow.feather

    rng = case.rng
    table, schema = arrow_table(case)
    codec, style = rng.choice([None, "lz4", "zstd"]), rng.choice(["file", "stream", "feather", "feather 1"])
    legacy, refused = rng.random() < 0.1, None
    if style == "feather":
        pyarrow.feather.write_feather(table, case.path("arrow"), compression=codec or "uncompressed", chunksize=rng.choice([None, 2]))
    elif style == "feather 1":
        pyarrow.feather.write_feather(pyarrow.table({"text": case.texts, "label": [normal(l) for l in case.labels]}), case.path("arrow"), version=1)
        refused = "Feather file of version 1"
    else:
        version = rng.choice([pyarrow.ipc.MetadataVersion.V4, pyarrow.ipc.MetadataVersion.V5])
        options = pyarrow.ipc.IpcWriteOptions(
            compression=codec, metadata_version=version, use_legacy_format=legacy, emit_dictionary_deltas=rng.random() < 0.5,
            unify_dictionaries=style == "file",
        )
        new = pyarrow.ipc.new_stream if style == "stream" else pyarrow.ipc.new_file
        with new(case.path("arrow"), table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=rng.choice([1, 3, 1000]))
    case.note("arrow", refused=refused, options=[style, codec, legacy, schema])


def by_pyarrow_csv(case):
    import pyarrow
    import pyarrow.csv

    rng = case.rng
    style, sign = rng.choice(["needed", "all_valid", "none"]), rng.choice(",;\t|")
    table = pyarrow.table(case.columns())
    options = pyarrow.csv.WriteOptions(delimiter=sign, quoting_style=style, batch_size=rng.choice([1, 1024]))
    try:
        pyarrow.csv.write_csv(table, case.path("pyarrow.csv"), options)
    except pyarrow.ArrowInvalid:
        return
    case.note("pyarrow.csv", options=[style, sign])


def by_polars(case):
    import polars

    rng = case.rng
    style = rng.choice(["csv", "json", "ndjson", "parquet", "ipc", "stream", "avro"])
    if style == "csv":
        # A quote after a backslash, unquoted, is what others' escaped quotes look like.
        case.without("\\")
    frame = polars.DataFrame(case.columns())
    if case.kind == "category":
        kind = rng.choice([polars.Categorical, polars.Enum(["x", "y"]), polars.String])
        frame = frame.with_columns(frame["label"].cast(kind))
    refused = rows_too = None
    options = {}
    if style == "csv":
        options = {
            "separator": rng.choice(",;\t|"), "quote_style": rng.choice(["necessary", "always", "non_numeric", "never"]),
            "include_bom": rng.random() < 0.3, "line_terminator": rng.choice(["\n", "\r\n"]),
        }
        frame.write_csv(case.path("polars"), **options)
        if options["quote_style"] == "never":
            encoding = "utf-8-sig" if options["include_bom"] else "utf-8"
            refused, rows_too = "quote|line end", standard(case.path("polars"), options["separator"], encoding)
    elif style == "json":
        frame.write_json(case.path("polars"))
    elif style == "ndjson":
        frame.write_ndjson(case.path("polars"))
    elif style == "parquet":
        options = {
            "compression": rng.choice(["uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4"]), "statistics": rng.random() < 0.5,
            "row_group_size": rng.choice([None, 2]), "data_page_size": rng.choice([None, 64]),
        }
        frame.write_parquet(case.path("polars"), **options)
    elif style == "avro":
        refused = "Avro"
        frame.select(frame["text"], frame["patient"]).write_avro(case.path("polars"))
    else:
        options = {"compression": rng.choice(["uncompressed", "lz4", "zstd"]), "compat_level": rng.choice([polars.CompatLevel.newest(), polars.CompatLevel.oldest()])}
        (frame.write_ipc if style == "ipc" else frame.write_ipc_stream)(case.path("polars"), **options)
    case.note("polars", refused=refused, rows_too=rows_too, options=[style, options, case.kind])


def by_excel(case):
    import openpyxl
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    # Texts of nothing but blanks lose them, and _x000D_ is how workbooks write CR.
    texts = [ILLEGAL_CHARACTERS_RE.sub("", text)[:32_767].replace("_x000D_", "") for text in case.texts]
    case.texts = [text if text.strip() else "" for text in texts]
    book = openpyxl.Workbook(write_only=case.rng.random() < 0.5)
    sheet = book.active or book.create_sheet("visits")
    title = case.rng.random() < 0.3
    if title:
        sheet.append(["Visits of 2026"])
    columns = case.columns()
    for row in [list(columns)] + list(zip(*columns.values())):
        sheet.append(row)
    book.save(case.path("book.xlsx"))
    # What a workbook can't hold as it was (formulas, CR) is what openpyxl reads again.
    sheet = openpyxl.load_workbook(case.path("book.xlsx"), data_only=True).active
    again = list(sheet.iter_rows(min_row=2 + title, max_col=3, values_only=True))
    rows = [[text or "", normal(label), group] for text, label, group in again]
    case.note("book.xlsx", rows=rows, options=[title, case.kind])


def by_parts(case):
    import pyarrow
    import pyarrow.dataset

    style = case.rng.choice(["parquet", "arrow", "csv"])
    table = pyarrow.table(case.columns())
    partitions = case.rng.random() < 0.2
    options = {"partitioning": ["patient"], "partitioning_flavor": "hive"} if partitions else {}
    pyarrow.dataset.write_dataset(table, case.path("parts"), format=style, max_rows_per_file=2, max_rows_per_group=2, **options)
    case.note("parts", refused="partition" if partitions else None, options=[style, partitions])


WRITERS = [
    by_csv, by_csv, by_csv, by_pandas_csv, by_pandas_csv, by_pandas_json, by_json, by_parquet, by_arrow, by_pyarrow_csv, by_polars,
    by_polars, by_excel, by_parts,
]
for number in range(count):
    case = Case(number)
    write = WRITERS[number % len(WRITERS)]
    try:
        write(case)
    except ImportError as error:
        missing.add(error.name or "a library")
    except csv.Error:
        # What can't be written in these options.
        pass
print(json.dumps({"missing": sorted(missing), "rows": [], "files": files}))
