"""What PyTorch and transformers make of pairs of texts with any number of labels.

    python examples/make_pair_fixtures.py

reads the checkpoints that `make_family_fixtures.py` wrote and writes `model/tests/fixtures/pairs.json`:
for each family the token ids of pairs, cut longest first, their segments, logits, binary cross-entropy and
the norm of each pair's gradient. Needs `torch` and `transformers`; the file is in the repository, so that
the tests need neither.
"""

import json
from pathlib import Path

import torch
import transformers

MODEL = Path(__file__).parents[1] / "model"
LONGEST = 12

# A pair that fits, one whose first text is cut, one whose second is, and one where both are.
PAIRS = [
    ("the film was good", "a bad film"),
    ("the worst of the good films and more of it and more of it", "bad"),
    ("good", "and more of it and the worst of the good films and more"),
    ("the film was good and more of it", "the worst of the good films and more"),
]
LABELS = [[0, 2], [], [0, 1, 2], [1]]


def rows(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, problem_type="multi_label_classification", attn_implementation="eager"
    ).eval()
    for (text, second), labels in zip(PAIRS, LABELS):
        batch = tokenizer(
            text, second, truncation="longest_first", max_length=LONGEST, return_tensors="pt"
        )
        whole = len(tokenizer(text, second)["input_ids"])
        segments = tokenizer(
            text,
            second,
            truncation="longest_first",
            max_length=LONGEST,
            return_token_type_ids=True,
        )["token_type_ids"]
        wanted = ["input_ids", "attention_mask"]
        if getattr(model.config, "type_vocab_size", 0) > 1:
            wanted.append("token_type_ids")
            batch["token_type_ids"] = torch.tensor([segments])
        truth = torch.zeros(1, 3)
        truth[0, labels] = 1.0
        model.zero_grad()
        output = model(**{key: batch[key] for key in wanted}, labels=truth)
        output.loss.backward()
        squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
        yield {
            "text": text,
            "second": second,
            "ids": batch["input_ids"][0].tolist(),
            "segments": segments,
            "whole": whole,
            "labels": labels,
            "logits": output.logits[0].tolist(),
            "loss": output.loss.item(),
            "gradient_norm": sum(squares).sqrt().item(),
        }


folders = sorted(folder for folder in (MODEL / "tests/family_fixtures").iterdir() if folder.is_dir())
answer = {folder.name: list(rows(folder)) for folder in folders}
path = MODEL / "tests/fixtures/pairs.json"
path.write_text(json.dumps({"max_tokens": LONGEST, "families": answer}, indent=1) + "\n")
print(f"{path}: {', '.join(answer)}")
