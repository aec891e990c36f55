"""Prints the logits of a classifier for texts, as transformers computes them.

Called with a JSON list of texts and a folder, or a base model's folder and that of an adapter,
which peft puts onto it. Prints JSON.
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


texts, folders = json.loads(sys.argv[1]), sys.argv[2:]
tokenizer = AutoTokenizer.from_pretrained(folders[-1])
if len(folders) == 1:
    model = AutoModelForSequenceClassification.from_pretrained(folders[0], trust_remote_code=True)
    config = model.config
else:
    model, config = with_adapter(*folders)
# Without a token for padding, transformers takes a decoder's texts one by one.
batches = [texts] if tokenizer.pad_token else [[text] for text in texts]
with torch.no_grad():
    model.eval()
    encode = lambda batch: tokenizer(batch, padding=len(batch) > 1, truncation=True, return_tensors="pt")
    logits = torch.cat([model(**encode(batch)).logits for batch in batches])
labels = [config.id2label[i] for i in range(config.num_labels)]
print(json.dumps({"labels": labels, "logits": logits.tolist()}))
