"""Prints the logits of a folder's classifier for texts, as transformers computes them.

Called with the folder and a JSON list of texts; prints JSON.
"""

import json
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, texts = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
with torch.no_grad():
    logits = model.eval()(**batch).logits
labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
print(json.dumps({"labels": labels, "logits": logits.tolist()}))
