"""Prints the logits of classifiers for texts, as transformers computes them.

Called with a JSON list of texts, and one of cases: each is a list of a folder alone, or of a base
model's folder and that of an adapter, which peft puts onto it. Prints a JSON list of answers.
"""

import json
import sys

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer


def with_adapter(base, adapter):
    from peft import PeftModel
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    config = AutoConfig.from_pretrained(adapter)
    kind = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
    if config.umbel_pooling not in ("pooler", "last"):
        name = f"modeling_umbel.{config.architectures[0]}"
        kind = get_class_from_dynamic_module(name, adapter)
    model = kind.from_pretrained(base, config=config)
    return PeftModel.from_pretrained(model, adapter), config


def answer(texts, folders):
    tokenizer = AutoTokenizer.from_pretrained(folders[-1])
    if len(folders) == 1:
        model = AutoModelForSequenceClassification.from_pretrained(
            folders[0], trust_remote_code=True
        )
        config = model.config
    else:
        model, config = with_adapter(*folders)
    model.eval()

    def logits(batch):
        encoded = tokenizer(batch, padding=len(batch) > 1, truncation=True, return_tensors="pt")
        with torch.no_grad():
            return model(**encoded).logits

    # Without a token for padding, transformers takes a decoder's texts one by one.
    batches = [texts] if tokenizer.pad_token else [[text] for text in texts]
    labels = [config.id2label[i] for i in range(config.num_labels)]
    return {"labels": labels, "logits": torch.cat([logits(batch) for batch in batches]).tolist()}


texts, cases = (json.loads(argument) for argument in sys.argv[1:])
print(json.dumps([answer(texts, folders) for folders in cases]))
