#!/usr/bin/env python3
"""Examples a second of one training step of every model family: umbel's private one beside PyTorch's plain one.

    pip install torch transformers peft
    cargo build --release
    python examples/compare_family_speed.py [--family bert,llama] [--tokens 64] [--batch 32]

transformers makes a model of random weights of each family at MiniLM's size (6 layers of width 384, 12 heads,
1,536 between the two feed-forward layers), and saves it; `umbel bench --model` opens that folder. Both train the
same parameters of it, with the same batch, tokens and threads: all but the embeddings, or of Llama low-rank adapters
at queries and values, and the head. The two take turns, each in a process of its own, and medians are compared.
Memory is the most that a process had resident, in MB: umbel's with the model and the examples, PyTorch's with its
libraries, too.

Prints a table in Markdown; --json prints all turns instead.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

WORDS = 30522
POSITIONS = 512
SIZES = dict(
    vocab_size=WORDS, num_labels=2, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
    intermediate_size=1536, pad_token_id=0,
)
PLAIN = dict(SIZES, max_position_embeddings=POSITIONS)
# Positions begin behind that of padding.
BEHIND_PADDING = dict(SIZES, max_position_embeddings=POSITIONS + 2, pad_token_id=1, layer_norm_eps=1e-5)

# How transformers calls each family's classes, its settings, and what umbel's pooling is called.
FAMILIES = {
    "bert": ("Bert", PLAIN, "pooler"),
    "roberta": ("Roberta", dict(BEHIND_PADDING, type_vocab_size=1), "pooler"),
    "distilbert": (
        "DistilBert",
        dict(
            vocab_size=WORDS, num_labels=2, dim=384, n_layers=6, n_heads=12, hidden_dim=1536,
            max_position_embeddings=POSITIONS,
        ),
        "pooler",
    ),
    "electra": ("Electra", dict(PLAIN, embedding_size=128), "pooler"),
    "mpnet": ("MPNet", BEHIND_PADDING, "pooler"),
    "albert": ("Albert", dict(PLAIN, embedding_size=128), "pooler"),
    "deberta-v2": (
        "DebertaV2",
        dict(
            PLAIN, type_vocab_size=0, relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm",
            share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False,
        ),
        "pooler",
    ),
    "modernbert": (
        "ModernBert",
        dict(PLAIN, cls_token_id=2, sep_token_id=3, bos_token_id=None, eos_token_id=None),
        "pooler",
    ),
    "gpt2": (
        "GPT2",
        dict(
            vocab_size=WORDS, num_labels=2, n_embd=384, n_layer=6, n_head=12, n_inner=1536, n_positions=POSITIONS,
            bos_token_id=0, eos_token_id=0, pad_token_id=0,
        ),
        "last",
    ),
    "llama": ("Llama", dict(PLAIN, bos_token_id=0, eos_token_id=2), "last"),
}

# Parts of the names of what isn't trained but as an embedding.
EMBEDDINGS = [
    ".embeddings.", ".embeddings_project.", ".embedding_hidden_mapping_in.", ".wte.", ".wpe.", ".embed_tokens.",
]


def trained_set(family):
    return "lora" if family == "llama" else "encoder"


def made(family):
    """The family's model of random weights."""
    import torch
    import transformers

    torch.manual_seed(1)
    name, settings, _ = FAMILIES[family]
    config = getattr(transformers, name + "Config")(**settings)
    for key in config.to_dict():
        if "drop" in key and isinstance(getattr(config, key), float):
            setattr(config, key, 0.0)
    return getattr(transformers, name + "ForSequenceClassification")(config)


def save(family, folder):
    """A folder that both can open. The examples are token ids, so that the tokeniser need know no words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made(family).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(os.path.join(folder, "tokenizer.json"))


def by_pytorch(arguments):
    """Examples a second of PyTorch's plain step, and the most memory that this process had."""
    import torch

    torch.set_num_threads(arguments.threads)
    family = arguments.step
    model = made(family).train()
    if trained_set(family) == "lora":
        from peft import LoraConfig, get_peft_model

        lora = LoraConfig(
            task_type="SEQ_CLS", r=arguments.rank, lora_alpha=2 * arguments.rank, lora_dropout=0.0,
            target_modules=["q_proj", "v_proj"],
        )
        model = get_peft_model(model, lora)
    else:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = not any(part in f".{name}" for part in EMBEDDINGS)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-9)
    criterion = torch.nn.CrossEntropyLoss()
    # Ids of special tokens are left out: padding would be passed over.
    ids = torch.randint(5, WORDS, (arguments.batch, arguments.tokens))
    labels = torch.randint(0, 2, (arguments.batch,))

    def step():
        start = time.perf_counter()
        optimizer.zero_grad()
        criterion(model(input_ids=ids).logits, labels).backward()
        optimizer.step()
        return time.perf_counter() - start

    step()
    times, start = [], time.perf_counter()
    while not times or time.perf_counter() - start < arguments.seconds:
        times.append(step())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    rate = arguments.batch / statistics.median(times)
    print(json.dumps({"rate": rate, "memory": memory, "trained": sum(p.numel() for p in trained)}))


def run(command, threads):
    """What a process prints. This one stays small: a child's peak of memory is never below its parent's."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    if finished.returncode:
        raise RuntimeError(finished.stderr.strip().splitlines()[-1:] or finished.returncode)
    return json.loads(finished.stdout or "null")


def turns(arguments, family):
    """What each turn of each gave."""
    shape = ["--batch", str(arguments.batch), "--tokens", str(arguments.tokens), "--seconds", str(arguments.seconds)]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        run([sys.executable, __file__, "--save", folder, "--family", family], arguments.threads)
        for _ in range(arguments.turns):
            command = [arguments.umbel, "bench", "--json", "--device", "cpu", "--model", folder, *shape]
            command += ["--train", trained_set(family), "--pooling", FAMILIES[family][2]]
            for row in run(command, arguments.threads):
                told = {"rate": row["examples_per_s"], "memory": row["peak_memory_mb"]}
                found.setdefault(f"umbel {row['mode']}", []).append(told)
            command = [sys.executable, __file__, "--step", family, *shape]
            command += ["--threads", str(arguments.threads), "--rank", str(arguments.rank)]
            found.setdefault("PyTorch plain", []).append(run(command, arguments.threads))
    return found


COLUMNS = [
    "family", "trained", "umbel plain", "umbel private", "to plain", "PyTorch plain", "private to PyTorch",
    "memory: umbel private", "PyTorch plain",
]


def line(family, found):
    """A family's line of the table."""
    def median(name, key):
        values = [turn[key] for turn in found[name] if turn[key] is not None]
        return statistics.median(values) if values else float("nan")

    plain, private, pytorch = (median(name, "rate") for name in ("umbel plain", "umbel private", "PyTorch plain"))
    cells = [
        family, trained_set(family), f"{plain:.1f}", f"{private:.1f}", f"{private / plain:.2f}", f"{pytorch:.1f}",
        f"{private / pytorch:.2f}", f"{median('umbel private', 'memory'):.0f}",
        f"{median('PyTorch plain', 'memory'):.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def families(text):
    chosen = text.split(",")
    unknown = [name for name in chosen if name not in FAMILIES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(FAMILIES)}")
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--umbel", default="target/release/umbel", help="the umbel binary")
    parser.add_argument("--family", type=families, default=list(FAMILIES), help="several with commas [default: all]")
    parser.add_argument("--tokens", type=int, default=64, help="of an example")
    parser.add_argument("--batch", type=int, default=32, help="examples of a step")
    parser.add_argument("--rank", type=int, default=8, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3, help="turns of each")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn, at least")
    parser.add_argument("--json", action="store_true", help="print a JSON object a family, with all turns")
    # What the processes are told that this one starts.
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        return by_pytorch(arguments)
    if arguments.save:
        return save(arguments.family[0], arguments.save)

    if not arguments.json:
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for family in arguments.family:
        try:
            found = turns(arguments, family)
        except RuntimeError as missing:
            print(f"{family}: left out, {missing}", file=sys.stderr)
            continue
        told = {"family": family, "train": trained_set(family), "turns": found}
        print(json.dumps(told) if arguments.json else line(family, found), flush=True)


if __name__ == "__main__":
    main()
