"""Makes a small checkpoint of random weights of each model family, with what PyTorch computes of it.

    python examples/make_family_fixtures.py [FAMILY...]

writes `model/tests/family_fixtures/FAMILY/`: the folder as transformers saves it, and
`expected.json` with the token ids, logits, losses and norms of single texts' gradients. Needs
`torch` and `transformers`; the folders are in the repository, so that the tests need neither.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

HOME = Path(__file__).parents[1] / "model/tests/family_fixtures"

TEXTS = [
    "The film was good.",
    "bad",
    "A café, naïve as ever: THE worst film of 2026, and more of it than anyone reads to the end!",
    "good good good",
    "",
]

CORPUS = ["the film was good", "a bad film", "the worst of the good films", "and more of it"] * 4

LABELS = dict(
    num_labels=3,
    id2label={0: "bad", 1: "good", 2: "mixed"},
    label2id={"bad": 0, "good": 1, "mixed": 2},
)

SIZES = dict(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    **LABELS,
)


def word_pieces():
    """As BERT's: words in small letters, cut into pieces."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=60, special_tokens=special)
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **dict(zip(roles, special))
    )


def bytes_in_pairs():
    """As RoBERTa's: any bytes, merged pair by pair, between `<s>` and `</s>`."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=special, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    roles = ["bos_token", "pad_token", "eos_token", "unk_token", "mask_token"]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token="<s>",
        sep_token="</s>",
        **dict(zip(roles, special)),
    )


def bert():
    tokenizer = word_pieces()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=40, **SIZES
    )
    return tokenizer, transformers.BertForSequenceClassification(config), TEXTS


def roberta():
    tokenizer = bytes_in_pairs()
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=42,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        **SIZES,
    )
    # A padding token in a text isn't counted in positions.
    texts = [*TEXTS, "good <pad> film"]
    return tokenizer, transformers.RobertaForSequenceClassification(config), texts


def distilbert():
    tokenizer = word_pieces()
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=40,
        dim=16,
        n_layers=2,
        n_heads=2,
        hidden_dim=24,
        **LABELS,
    )
    return tokenizer, transformers.DistilBertForSequenceClassification(config), TEXTS


def electra():
    tokenizer = word_pieces()
    config = transformers.ElectraConfig(
        vocab_size=len(tokenizer), max_position_embeddings=40, embedding_size=8, **SIZES
    )
    return tokenizer, transformers.ElectraForSequenceClassification(config), TEXTS


def mpnet():
    tokenizer = word_pieces()
    config = transformers.MPNetConfig(
        vocab_size=len(tokenizer), max_position_embeddings=42, layer_norm_eps=1e-5, **SIZES
    )
    # Far apart enough that several distances share a bucket.
    texts = [*TEXTS, "a bad film, " * 9]
    return tokenizer, transformers.MPNetForSequenceClassification(config), texts


def albert():
    tokenizer = word_pieces()
    # Three depths of one layer.
    sizes = {**SIZES, "num_hidden_layers": 3}
    config = transformers.AlbertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=40, embedding_size=8, **sizes
    )
    return tokenizer, transformers.AlbertForSequenceClassification(config), TEXTS


def modernbert():
    tokenizer = word_pieces()
    # Layers that see all, two tokens to each side, two, and all.
    sizes = {**SIZES, "num_hidden_layers": 4}
    config = transformers.ModernBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=40,
        local_attention=4,
        pad_token_id=0,
        cls_token_id=2,
        sep_token_id=3,
        bos_token_id=None,
        eos_token_id=None,
        **sizes,
    )
    return tokenizer, transformers.ModernBertForSequenceClassification(config), TEXTS


def deberta_v2():
    tokenizer = word_pieces()
    config = transformers.DebertaV2Config(
        vocab_size=len(tokenizer),
        max_position_embeddings=40,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        **SIZES,
    )
    # Far apart enough that several distances share a bucket.
    texts = [*TEXTS, "a bad film, " * 9]
    return tokenizer, transformers.DebertaV2ForSequenceClassification(config), texts


def bytes_without_ends():
    """As GPT-2's: any bytes, merged pair by pair, with nothing before or behind a text."""
    special = "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=[special], initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special, eos_token=special, unk_token=special
    )


def gpt2():
    tokenizer = bytes_without_ends()
    # No padding token, as published.
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_inner=24,
        n_positions=40,
        bos_token_id=0,
        eos_token_id=0,
        **LABELS,
    )
    # Nothing is read of an empty text; the end of a text may be in it.
    texts = [text for text in TEXTS if text] + ["a bad film<|endoftext|>"]
    return tokenizer, transformers.GPT2ForSequenceClassification(config), texts


def llama():
    tokenizer = bytes_in_pairs()
    # Two heads of queries read one of keys and values. Padding is what ends a text, too.
    sizes = {**SIZES, "num_attention_heads": 4}
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=40,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=2,
        **sizes,
    )
    tokenizer.pad_token = "</s>"
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)]
    )
    # The last token is the one before padding, whoever wrote that.
    texts = [*TEXTS, "a bad film</s>"]
    return tokenizer, transformers.LlamaForSequenceClassification(config), texts


FAMILIES = {
    "bert": bert,
    "roberta": roberta,
    "distilbert": distilbert,
    "electra": electra,
    "mpnet": mpnet,
    "albert": albert,
    "modernbert": modernbert,
    "deberta-v2": deberta_v2,
    "gpt2": gpt2,
    "llama": llama,
}


def randomise(model):
    """Scales near 1 and everything else near 0, so that no gradient vanishes."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            scales = ("LayerNorm.weight", "norm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight")
            scales += ("layernorm.weight",)
            centre = 1.0 if name.endswith(scales) else 0.0
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(centre + 0.2 * noise)


# Where the adapters of the set `lora` are: at queries and values, or at what has both.
ADAPTED = {"gpt2": ["attn.c_attn"], "llama": ["self_attn.q_proj", "self_attn.v_proj"]}

RANK = 3


def waves(start, rows, columns):
    """Numbers that anybody can compute: 0.2 sin(start + i)."""
    numbers = torch.arange(rows * columns, dtype=torch.float64) + start
    return (0.2 * numbers.sin()).float().reshape(rows, columns).requires_grad_()


class Adapters:
    """Adds 2 (x A) B to what adapted layers give, as long as it is entered."""

    def __init__(self, model, ends):
        self.matrices, self.layers = [], []
        for name, layer in model.named_modules():
            if any(name.endswith(end) for end in ends):
                inputs, outputs = layer.weight.shape
                if isinstance(layer, torch.nn.Linear):
                    inputs, outputs = outputs, inputs
                a, b = waves(1, inputs, RANK), waves(2, RANK, outputs)
                self.matrices += [a, b]
                self.layers.append((layer, a, b))

    def __enter__(self):
        def hook(a, b):
            return lambda _, inputs, output: output + 2 * (inputs[0] @ a) @ b

        self.hooks = [layer.register_forward_hook(hook(a, b)) for layer, a, b in self.layers]
        return self

    def __exit__(self, *_):
        for each in self.hooks:
            each.remove()


def norm_of(parameters):
    gradients = [p.grad for p in parameters if p.grad is not None]
    return sum(g.double().square().sum() for g in gradients).sqrt().item()


def norms_by_set(name, model, batch, label):
    """Norms of one text's gradient over the parameters of each trainable set."""
    head = list(model.score.parameters())
    tables = {id(p) for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    biases = [p for key, p in model.named_parameters() if key.endswith(".bias")]
    sets = {
        "full": list(model.parameters()),
        "encoder": [p for p in model.parameters() if id(p) not in tables],
        "bias": biases + head,
        "head": head,
    }
    model.zero_grad()
    model(**batch, labels=label).loss.backward()
    norms = {key: norm_of(parameters) for key, parameters in sets.items()}
    # PyTorch leaves the embedding of padding out of the gradient, wherever it occurs.
    if model.config.pad_token_id in batch["input_ids"][0].tolist():
        del norms["full"]
    model.zero_grad()
    with Adapters(model, ADAPTED[name]) as adapters:
        model(**batch, labels=label).loss.backward()
    return {**norms, "lora": norm_of(adapters.matrices + head)}


def expected(name, tokenizer, model, texts):
    longest = tokenizer.model_max_length
    rows = []
    for label, text in enumerate(texts):
        batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)
        batch = {key: batch[key] for key in ("input_ids", "attention_mask")}
        model.zero_grad()
        output = model(**batch, labels=torch.tensor([label % model.config.num_labels]))
        output.loss.backward()
        squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
        row = {
            "text": text,
            "ids": batch["input_ids"][0].tolist(),
            "label": label % model.config.num_labels,
            "logits": output.logits[0].tolist(),
            "loss": output.loss.item(),
        }
        # PyTorch leaves the embedding of padding out of the gradient, wherever it occurs.
        if model.config.pad_token_id not in row["ids"]:
            row["gradient_norm"] = sum(squares).sqrt().item()
        if name in ADAPTED:
            row["norms"] = norms_by_set(name, model, batch, torch.tensor([row["label"]]))
        rows.append(row)
    return rows


def make(name):
    tokenizer, model, texts = FAMILIES[name]()
    randomise(model)
    model.eval()
    folder = HOME / name
    model.save_pretrained(folder)
    longest = 40
    tokenizer.model_max_length = longest
    tokenizer.save_pretrained(folder)
    rows = expected(name, tokenizer, model, texts)
    answer = {"transformers": transformers.__version__, "max_tokens": longest, "texts": rows}
    (folder / "expected.json").write_text(json.dumps(answer, indent=1) + "\n")
    print(f"{folder}: {len(rows)} texts")


for family in sys.argv[1:] or FAMILIES:
    make(family)
