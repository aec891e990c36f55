#!/usr/bin/env python3
"""Examples a second of one training step: umbel beside PyTorch and Opacus, in one run.

    pip install torch transformers opacus
    cargo build --release
    python examples/compare_training_speed.py [--size tiny,minilm,base] [--tokens 64,128,256,512]

All train a BERT of the same sizes, embeddings frozen, with the same batch, tokens and threads, and
take turns, so that each meets the same disturbances of the machine; medians are compared. Like the
others' model, umbel's reads the first token through a pooler; "mean" is a model of the same sizes
that reads the mean of all tokens, of which none can be left out of the last layer. PyTorch trains
without privacy. Opacus clips each example's gradient, by hooks (`GradSampleModule`) or by
ghost clipping. What can't be imported or doesn't fit into memory is left out, and said so.

A line is a shape: examples a second of each, and what umbel's private training is to its plain one,
to PyTorch's plain one, and to Opacus' better mode. --json has the turns, too.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SIZES = {
    "tiny": dict(num_hidden_layers=2, hidden_size=128, num_attention_heads=2, intermediate_size=512),
    "minilm": dict(num_hidden_layers=6, hidden_size=384, num_attention_heads=12, intermediate_size=1536),
    "base": dict(num_hidden_layers=12, hidden_size=768, num_attention_heads=12, intermediate_size=3072),
}


OTHERS = [("PyTorch plain", "plain"), ("Opacus hooks", "hooks"), ("Opacus ghost", "ghost")]


class Contender:
    """A PyTorch model and what takes one step with it."""

    def __init__(self, arguments, shape, mode):
        import torch
        from transformers import BertConfig, BertForSequenceClassification

        self.torch, self.mode = torch, mode
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(1)
        config = BertConfig(
            vocab_size=30522, num_labels=2, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, **SIZES[shape.size],
        )
        model = BertForSequenceClassification(config).train()
        for name, parameter in model.named_parameters():
            parameter.requires_grad = ".embeddings." not in name
        self.ids = torch.randint(0, 30522, (shape.batch, shape.tokens))
        self.labels = torch.randint(0, 2, (shape.batch,))
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=1e-9)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.model = model
        if mode != "plain":
            self.make_private(shape)

    def make_private(self, shape):
        from opacus import PrivacyEngine

        data = self.torch.utils.data.TensorDataset(self.ids, self.labels)
        loader = self.torch.utils.data.DataLoader(data, batch_size=shape.batch)
        settings = dict(
            module=self.model, optimizer=self.optimizer, data_loader=loader,
            noise_multiplier=1.0, max_grad_norm=1e-3, poisson_sampling=False,
        )
        if self.mode == "ghost":
            settings |= dict(grad_sample_mode="ghost", criterion=self.criterion)
            self.model, self.optimizer, self.criterion, _ = PrivacyEngine().make_private(**settings)
        else:
            self.model, self.optimizer, _ = PrivacyEngine().make_private(**settings)

    def step(self):
        start = time.perf_counter()
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(input_ids=self.ids).logits, self.labels)
        loss.backward()
        self.optimizer.step()
        return time.perf_counter() - start


class Shape:
    """A model's size, and the examples of a step."""

    def __init__(self, size, tokens, batch):
        self.size, self.tokens = size, tokens
        # About 2,048 tokens a step: more examples would be slower to measure, and no faster.
        self.batch = batch or max(8, min(32, 2048 // tokens))


def umbel(arguments, shape, pooling):
    """Medians of a short measurement: examples a second, plain and private."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(arguments.threads)}
    output = subprocess.run(
        [arguments.umbel, "bench", "--json", "--device", "cpu", "--train", "encoder"]
        + ["--pooling", pooling, "--size", shape.size, "--seconds", str(arguments.seconds)]
        + ["--batch", str(shape.batch), "--tokens", str(shape.tokens)],
        check=True, capture_output=True, text=True, env=environment,
    )
    return {row["mode"]: row["examples_per_s"] for row in json.loads(output.stdout)}


def contenders(arguments, shape):
    """Those of the others that are here, after a step to warm up."""
    found = {}
    for name, mode in OTHERS:
        try:
            found[name] = Contender(arguments, shape, mode)
            found[name].step()
        except (ImportError, MemoryError, RuntimeError) as missing:
            found.pop(name, None)
            print(f"{name}: left out, {missing}", file=sys.stderr)
    return found


def turns(arguments, shape):
    """Examples a second of each, turn by turn."""
    others = contenders(arguments, shape)
    rates = {}
    for _ in range(arguments.turns):
        for pooling, note in [("pooler", ""), ("mean", ", mean")]:
            for mode, rate in umbel(arguments, shape, pooling).items():
                rates.setdefault(f"umbel {mode}{note}", []).append(rate)
        for name, contender in others.items():
            times, start = [], time.perf_counter()
            while not times or time.perf_counter() - start < arguments.seconds:
                times.append(contender.step())
            rates.setdefault(name, []).append(shape.batch / statistics.median(times))
    others.clear()
    gc.collect()
    return rates


COLUMNS = [
    ("size", 8), ("batch", 6), ("tokens", 7), ("plain", 10), ("private", 10), ("to plain", 9),
    ("mean: plain", 12), ("private", 10), ("to plain", 9), ("PyTorch", 9), ("hooks", 8), ("ghost", 8),
    ("to PyTorch", 11), ("to Opacus", 10),
]


def line(shape, rates):
    """A shape's line of the table."""
    medians = {name: statistics.median(found) for name, found in rates.items()}
    plain, private = medians["umbel plain"], medians["umbel private"]
    plain_mean, private_mean = medians["umbel plain, mean"], medians["umbel private, mean"]
    pytorch, hooks, ghost = (medians.get(name) for name, _ in OTHERS)
    opacus = max((rate for rate in (hooks, ghost) if rate), default=None)
    rate = lambda value: "-" if value is None else f"{value:.1f}"
    ratio = lambda value: "-" if value is None else f"{private / value:.2f}"
    cells = [
        shape.size, shape.batch, shape.tokens, rate(plain), rate(private), ratio(plain),
        rate(plain_mean), rate(private_mean), f"{private_mean / plain_mean:.2f}",
        rate(pytorch), rate(hooks), rate(ghost), ratio(pytorch), ratio(opacus),
    ]
    return "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS))


def several(kind):
    """Values of `kind` with commas between them."""
    return lambda text: [kind(part) for part in text.split(",")]


def size(text):
    if text not in SIZES:
        raise ValueError(f"{text!r} is none of {', '.join(SIZES)}")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--umbel", default="target/release/umbel", help="the umbel binary")
    parser.add_argument("--size", type=several(size), default=["minilm"], help="tiny, minilm, base; with commas")
    parser.add_argument("--tokens", type=several(int), default=[64], help="of an example; several with commas")
    parser.add_argument("--batch", type=int, help="examples of a step [default: 2,048 tokens' worth, 8 to 32]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3, help="turns of each")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn, at least")
    parser.add_argument("--json", action="store_true", help="print a JSON object a shape, with all turns")
    arguments = parser.parse_args()

    if not arguments.json:
        print(f"examples a second, encoder, {arguments.threads} threads; medians of {arguments.turns} turns")
        print("".join(f"{name:>{width}}" for name, width in COLUMNS))
    for name in arguments.size:
        for tokens in arguments.tokens:
            shape = Shape(name, tokens, arguments.batch)
            rates = turns(arguments, shape)
            told = json.dumps(vars(shape) | {"examples_per_s": rates}) if arguments.json else line(shape, rates)
            print(told, flush=True)


if __name__ == "__main__":
    main()
