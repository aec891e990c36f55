#!/usr/bin/env python3
"""Texts a second that a model scores: umbel beside PyTorch and onnxruntime, in one run.

    pip install torch transformers onnx onnxruntime
    cargo build --release
    python examples/compare_inference_speed.py [--size minilm] [--longest 16,64,256]

A BERT with random weights is saved as a Hugging Face folder, which all of them read. `umbel predict`
reads the texts as lines and is timed as a whole; the time that it takes for a single text, which is
that of starting and of reading the model, is taken off, and so is none of its tokenising. The
others get the tokens ready-made, sorted by length and padded to the longest of each batch. They take
turns; medians are compared, and so are the probabilities: the largest difference is shown.
Lengths are spread evenly from a quarter of the longest on. What can't be imported is left out.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SIZES = {
    "tiny": dict(num_hidden_layers=2, hidden_size=128, num_attention_heads=2, intermediate_size=512),
    "minilm": dict(num_hidden_layers=6, hidden_size=384, num_attention_heads=12, intermediate_size=1536),
    "base": dict(num_hidden_layers=12, hidden_size=768, num_attention_heads=12, intermediate_size=3072),
}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [f"w{i}" for i in range(30522 - len(SPECIAL))]


def save(folder, size):
    """A model with random weights and a tokeniser of whole words; gives the model."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    config = BertConfig(vocab_size=30522, num_labels=2, **SIZES[size])
    config.id2label, config.label2id = {0: "negative", 1: "positive"}, {"negative": 0, "positive": 1}
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(SPECIAL + WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512})
    )
    return model


def texts(count, longest):
    """Texts of a quarter of the longest up to it, special tokens included, and their tokens."""
    draw = random.Random(1)
    lengths = [longest // 4 + i % (longest - longest // 4 + 1) for i in range(count)]
    draw.shuffle(lengths)
    words = [[draw.randrange(len(WORDS)) for _ in range(max(1, length - 2))] for length in lengths]
    ids = [[2] + [len(SPECIAL) + word for word in row] + [3] for row in words]
    return [" ".join(WORDS[word] for word in row) for row in words], ids


def batches(ids, size):
    """Places of rows by length, and their padded tokens and masks."""
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        width = max(len(ids[row]) for row in rows)
        padded = [ids[row] + [0] * (width - len(ids[row])) for row in rows]
        mask = [[1] * len(ids[row]) + [0] * (width - len(ids[row])) for row in rows]
        yield rows, padded, mask


def softmax(scores):
    import numpy

    powers = numpy.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class PyTorch:
    def __init__(self, model, arguments):
        import torch

        torch.set_num_threads(arguments.threads)
        self.torch, self.model = torch, model

    def run(self, rows):
        answers = []
        with self.torch.inference_mode():
            for places, ids, mask in rows:
                tensors = dict(input_ids=self.torch.tensor(ids), attention_mask=self.torch.tensor(mask))
                answers.append((places, self.model(**tensors).logits.numpy()))
        return answers


class OnnxRuntime:
    def __init__(self, model, arguments, folder):
        import onnxruntime
        import torch

        path = str(folder / "model.onnx")
        # A mask of ones alone would be left out of what is exported.
        example = (torch.ones((2, 8), dtype=torch.int64), torch.tensor([[1] * 8, [1] * 5 + [0] * 3]))
        names = ["input_ids", "attention_mask"]
        axes = {name: {0: "rows", 1: "tokens"} for name in names}

        class Scores(torch.nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, input_ids, attention_mask):
                return self.inner(input_ids=input_ids, attention_mask=attention_mask).logits

        model.config._attn_implementation = "eager"
        torch.onnx.export(Scores(model).eval(), example, path, input_names=names, output_names=["logits"],
                          dynamic_axes=axes, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(self, rows):
        import numpy

        answers = []
        for places, ids, mask in rows:
            inputs = dict(input_ids=numpy.array(ids), attention_mask=numpy.array(mask))
            answers.append((places, self.session.run(["logits"], inputs)[0]))
        return answers


def umbel(arguments, folder, lines):
    """Seconds, and the probabilities in the order of the texts."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(arguments.threads)}
    start = time.perf_counter()
    output = subprocess.run(
        [arguments.umbel, "predict", "--model", str(folder), "--device", "cpu", "--json"],
        input="\n".join(lines) + "\n", check=True, capture_output=True, text=True, env=environment,
    )
    took = time.perf_counter() - start
    told = [json.loads(line)["probabilities"] for line in output.stdout.splitlines()]
    return took, [[row["negative"], row["positive"]] for row in told]


def compare(arguments, folder, model, longest):
    lines, ids = texts(arguments.texts, longest)
    padded = list(batches(ids, arguments.batch))
    others = {}
    for name, make in [("PyTorch", lambda: PyTorch(model, arguments)),
                       ("onnxruntime", lambda: OnnxRuntime(model, arguments, folder))]:
        try:
            others[name] = make()
            others[name].run(padded[:1])
        except ImportError as missing:
            others.pop(name, None)
            print(f"{name}: left out, {missing}", file=sys.stderr)
    times, worst = {}, {}
    for _ in range(arguments.turns):
        alone, _ = umbel(arguments, folder, lines[:1])
        took, own = umbel(arguments, folder, lines)
        times.setdefault("umbel", []).append(max(took - alone, 1e-9))
        for name, other in others.items():
            start = time.perf_counter()
            answers = other.run(padded)
            times.setdefault(name, []).append(time.perf_counter() - start)
            for places, logits in answers:
                for place, row in zip(places, softmax(logits)):
                    gap = max(abs(x - y) for x, y in zip(row, own[place]))
                    worst[name] = max(worst.get(name, 0.0), float(gap))
    rates = {name: len(lines) / statistics.median(found) for name, found in times.items()}
    cells = [arguments.size, longest, f"{rates['umbel']:.1f}"]
    for name in ["PyTorch", "onnxruntime"]:
        there = name in rates
        cells += [f"{rates[name]:.1f}", f"{rates['umbel'] / rates[name]:.2f}"] if there else ["-", "-"]
    cells.append(f"{max(worst.values(), default=0.0):.1e}")
    print("".join(f"{cell:>13}" for cell in cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--umbel", default="target/release/umbel", help="the umbel binary")
    parser.add_argument("--size", choices=SIZES, default="minilm")
    parser.add_argument("--longest", default="64", help="tokens of the longest text; several with commas")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32, help="texts of a batch of the others")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = save(folder, arguments.size)
        print(f"texts a second, {arguments.threads} threads; medians of {arguments.turns} turns")
        columns = ["size", "longest", "umbel", "PyTorch", "umbel to it", "onnxruntime", "umbel to it", "difference"]
        print("".join(f"{name:>13}" for name in columns))
        for longest in arguments.longest.split(","):
            compare(arguments, folder, model, int(longest))


if __name__ == "__main__":
    main()
