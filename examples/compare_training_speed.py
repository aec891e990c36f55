#!/usr/bin/env python3
"""Examples a second of one training step: umbel beside PyTorch and Opacus, in one run.

    pip install torch transformers opacus
    cargo build --release
    python examples/compare_training_speed.py [--size minilm] [--batch 32] [--tokens 64]

All train a BERT of the same sizes, embeddings frozen, with the same batch, tokens and threads, and
take turns, so that each meets the same disturbances of the machine; medians are compared. Like the
others' model, umbel's reads the first token through a pooler; "mean" is a model of the same sizes
that reads the mean of all tokens, of which none can be left out of the last layer. PyTorch trains
without privacy. Opacus clips each example's gradient, by hooks (`GradSampleModule`) or by
ghost clipping. What can't be imported is left out, and said so.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SIZES = {
    "tiny": dict(num_hidden_layers=2, hidden_size=128, num_attention_heads=2, intermediate_size=512),
    "minilm": dict(num_hidden_layers=6, hidden_size=384, num_attention_heads=12, intermediate_size=1536),
    "base": dict(num_hidden_layers=12, hidden_size=768, num_attention_heads=12, intermediate_size=3072),
}


class Contender:
    """A PyTorch model and what takes one step with it."""

    def __init__(self, arguments, mode):
        import torch
        from transformers import BertConfig, BertForSequenceClassification

        self.torch, self.mode = torch, mode
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(1)
        config = BertConfig(
            vocab_size=30522, num_labels=2, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, **SIZES[arguments.size],
        )
        model = BertForSequenceClassification(config).train()
        for name, parameter in model.named_parameters():
            parameter.requires_grad = ".embeddings." not in name
        self.ids = torch.randint(0, 30522, (arguments.batch, arguments.tokens))
        self.labels = torch.randint(0, 2, (arguments.batch,))
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=1e-9)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.model = model
        if mode != "plain":
            self.make_private(arguments)

    def make_private(self, arguments):
        from opacus import PrivacyEngine

        data = self.torch.utils.data.TensorDataset(self.ids, self.labels)
        loader = self.torch.utils.data.DataLoader(data, batch_size=arguments.batch)
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


def umbel(arguments, pooling):
    """Medians of a short measurement: examples a second, plain and private."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(arguments.threads)}
    output = subprocess.run(
        [arguments.umbel, "bench", "--json", "--device", "cpu", "--train", "encoder"]
        + ["--pooling", pooling, "--size", arguments.size, "--seconds", str(arguments.seconds)]
        + ["--batch", str(arguments.batch), "--tokens", str(arguments.tokens)],
        check=True, capture_output=True, text=True, env=environment,
    )
    return {row["mode"]: row["examples_per_s"] for row in json.loads(output.stdout)}


def contenders(arguments):
    found = {}
    for name, mode in [("PyTorch plain", "plain"), ("Opacus hooks", "hooks"), ("Opacus ghost", "ghost")]:
        try:
            found[name] = Contender(arguments, mode)
            found[name].step()
        except ImportError as missing:
            print(f"{name}: left out, {missing}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--umbel", default="target/release/umbel", help="the umbel binary")
    parser.add_argument("--size", choices=SIZES, default="minilm")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3, help="turns of each")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn, at least")
    arguments = parser.parse_args()

    others = contenders(arguments)
    rates = {}
    for _ in range(arguments.turns):
        for pooling, note in [("pooler", ""), ("mean", ", mean")]:
            for mode, rate in umbel(arguments, pooling).items():
                rates.setdefault(f"umbel {mode}{note}", []).append(rate)
        for name, contender in others.items():
            times, start = [], time.perf_counter()
            while not times or time.perf_counter() - start < arguments.seconds:
                times.append(contender.step())
            rates.setdefault(name, []).append(arguments.batch / statistics.median(times))

    print(f"{arguments.size}, batch {arguments.batch}, {arguments.tokens} tokens, encoder, "
          f"{arguments.threads} threads")
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"{'':20}{'':>12}{'':>10}{'':>10}{'umbel private to it':>22}")
    print(f"{'':20}{'examples/s':>12}{'lowest':>10}{'highest':>10}{'pooler':>14}{'mean':>8}")
    for name, rate in medians.items():
        low, high = min(rates[name]), max(rates[name])
        pooler, mean = (medians[f"umbel private{note}"] / rate for note in ["", ", mean"])
        print(f"{name:20}{rate:12.1f}{low:10.1f}{high:10.1f}{pooler:14.2f}{mean:8.2f}")


if __name__ == "__main__":
    main()
