"""Makes what the tests of model folders compare with: tokenisers in all layouts, PyTorch's own files.

    python examples/make_folder_fixtures.py

writes `model/tests/folder_fixtures/`: `tokenizers.json` has folders of tokenisers, file by file,
with the token ids that transformers gives for each; the `.bin` files hold the same few tensors as
PyTorch has saved them over the years, and one that asks for more than tensors. Needs `torch`,
`transformers`, `sentencepiece` and `protobuf`; the fixtures are in the repository, so that the tests need neither.
"""

import json
import os
import tempfile
from pathlib import Path

import sentencepiece
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HOME = Path(__file__).parents[1] / "model/tests/folder_fixtures"

TEXTS = [
    "the film was good",
    "BAD, awful film!",
    "café naïve É",
    "sepsis [DRUG] bad [MASK]",
    "好film好",
    "",
    " a  film\t\u00a0good\u0000 ",
    "the \ufb01rst \ufb01lm\uff01 \u00ad\u00ad É\u00adt\u0301",
]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = """the film was good bad awful a Bad Film BAD , ! cafe café naive naïve ##s ##fe ##fé ##e é É 好 ##好
##film e c na ##ï ##ve ##i""".split()
LETTERS = [*"abcdefghilmnoprstuvw", *(f"##{c}" for c in "abcdefghilmnoprstuvw")]
VOCABULARY = [*SPECIAL, *WORDS, *(c for c in LETTERS if c not in WORDS)]


def word_pieces(lowercase=True, words=VOCABULARY):
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([w for w in SPECIAL if w in words])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))],
    )
    return tokenizer.to_str()


def byte_pairs():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = ["t h", "th e", "Ġ t", "Ġ f", "i l", "il m", "Ġf ilm", "g o", "o d", "go od", "Ġ good", "f ilm"]
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet]
    words += [merge.replace(" ", "") for merge in merges]
    return {w: i for i, w in enumerate(dict.fromkeys(words))}, "#version: 0.2\n" + "\n".join(merges) + "\n"


def pieces():
    """XLM-RoBERTa's `tokenizer.json`, whose normaliser is a table of SentencePiece's."""
    with tempfile.TemporaryDirectory() as home:
        rules = Path(home) / "rules.tsv"
        # ﬁ is two letters, É small, a fullwidth ! plain; a soft hyphen is nothing.
        rules.write_text("FB01\t66 69\nC9\tE9\nFF01\t21\nAD\t\nA0\t20\n", encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["the film was good", "bad, awful film!", "café naïve é", "first films"] * 5),
            model_prefix=f"{home}/sentencepiece.bpe",
            vocab_size=40,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(rules),
            minloglevel=2,
        )
        (Path(home) / "config.json").write_text('{"model_type": "xlm-roberta"}')
        tokenizer = transformers.AutoTokenizer.from_pretrained(home)
        saved = Path(home) / "saved"
        tokenizer.save_pretrained(saved)
        return {file: (saved / file).read_text(encoding="utf-8") for file in ["tokenizer.json", "tokenizer_config.json"]}


def folders():
    text = lambda words: "\n".join(words) + "\n"
    bert = {"model_type": "bert"}
    plain = {"vocab.txt": text(VOCABULARY)}
    settings = lambda **keys: {"tokenizer_config.json": json.dumps(keys)}
    named = {"tokenizer_class": "BertTokenizer"}
    pairs, merges = byte_pairs()
    pairs = {"vocab.json": json.dumps(pairs), "merges.txt": merges}
    fast = {"tokenizer.json": word_pieces()}
    mpnet = ["<s>", "<pad>", "</s>", "[UNK]", *WORDS, *LETTERS, "<mask>"]
    added = {
        str(len(VOCABULARY)): dict(content="sepsis", lstrip=False, rstrip=False, normalized=True, single_word=False, special=False),
        "4": dict(content="[MASK]", lstrip=True, rstrip=False, normalized=False, single_word=False, special=True),
    }
    yield "words alone", bert, plain
    yield "words with line ends of Windows", bert, {"vocab.txt": text(VOCABULARY).replace("\n", "\r\n")}
    yield "a word twice", bert, {"vocab.txt": text([*VOCABULARY, "film"])}
    yield "words of a cased model", bert, plain | settings(do_lower_case=False)
    yield "accents kept", bert, plain | settings(strip_accents=False)
    yield "accents stripped from a cased model", bert, plain | settings(do_lower_case=False, strip_accents=True)
    yield "Chinese characters not cut", bert, plain | settings(tokenize_chinese_chars=False)
    yield "DistilBERT's class", {"model_type": "distilbert"}, plain | settings(tokenizer_class="DistilBertTokenizer", do_lower_case=False)
    yield "ELECTRA's class", {"model_type": "electra"}, plain | settings(tokenizer_class="ElectraTokenizer")
    yield "added tokens in a file of their own", bert, plain | {"added_tokens.json": json.dumps({"sepsis": len(VOCABULARY), "[DRUG]": len(VOCABULARY) + 1})}
    yield "added tokens that a map calls special", bert, plain | {
        "added_tokens.json": json.dumps({"[DRUG]": len(VOCABULARY)}),
        "special_tokens_map.json": json.dumps({"additional_special_tokens": ["[DRUG]"], "mask_token": {"content": "[MASK]", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}}),
    }
    yield "added tokens in the settings", bert, plain | settings(added_tokens_decoder=added)
    # A tokeniser with one token more than the model has embeddings.
    yield "no mask among the words", bert | {"vocab_size": len(VOCABULARY) - 1}, {"vocab.txt": text([w for w in VOCABULARY if w != "[MASK]"])}
    yield "tokenizer.json alone", bert, fast
    yield "tokenizer.json of a cased model alone", bert, {"tokenizer.json": word_pieces(False)}
    yield "tokenizer.json against its settings", bert, fast | settings(**named, do_lower_case=False)
    yield "tokenizer.json with a fast class", bert, fast | settings(tokenizer_class="BertTokenizerFast", do_lower_case=False, strip_accents=True)
    yield "tokenizer.json as it is", bert, fast | settings(tokenizer_class="PreTrainedTokenizerFast", do_lower_case=False)
    yield "tokenizer.json against words", bert, fast | {"vocab.txt": text(reversed(VOCABULARY))}
    yield "tokenizer.json with more tokens", bert, fast | settings(**named, added_tokens_decoder=added)
    yield "tokenizer.json with a file of more tokens", bert, fast | {"added_tokens.json": json.dumps({"sepsis": len(VOCABULARY)})}
    yield "MPNet's words", {"model_type": "mpnet"}, {"vocab.txt": text(mpnet)}
    yield "a table of SentencePiece", {"model_type": "xlm-roberta"}, pieces()
    yield "byte pairs", {"model_type": "roberta"}, pairs
    yield "byte pairs that begin with a space", {"model_type": "roberta"}, pairs | settings(add_prefix_space=True)
    yield "byte pairs with added tokens", {"model_type": "roberta"}, pairs | {"added_tokens.json": json.dumps({"sepsis": 999})}
    gpt2 = {"model_type": "gpt2"}
    whole, merges = byte_pairs()
    # One token at both ends, and none for padding.
    words = ["<|endoftext|>", *list(whole)[5:]]
    pairs = {"vocab.json": json.dumps({w: i for i, w in enumerate(words)}), "merges.txt": merges}
    yield "GPT-2's byte pairs", gpt2, pairs
    named = lambda **keys: pairs | settings(tokenizer_class="GPT2Tokenizer", **keys)
    yield "GPT-2's class", gpt2, named()
    yield "GPT-2's byte pairs that begin with a space", gpt2, named(add_prefix_space=True)
    yield "GPT-2's byte pairs behind a token", gpt2, named(add_bos_token=True)
    yield "GPT-2's byte pairs between tokens", gpt2, named(add_bos_token=True, add_eos_token=True)
    yield "GPT-2's byte pairs before a token for padding", gpt2, named(pad_token="<|endoftext|>")


def tokenizers():
    for name, config, files in folders():
        with tempfile.TemporaryDirectory() as home:
            files = {"config.json": json.dumps(config)} | files
            for file, content in files.items():
                (Path(home) / file).write_text(content, encoding="utf-8", newline="")
            tokenizer = transformers.AutoTokenizer.from_pretrained(home)
            ids = [tokenizer(text)["input_ids"] for text in TEXTS]
            print(f"{name}: {type(tokenizer).__name__} {ids[0]}")
            yield {"name": name, "files": files, "ids": ids}


class Asks:
    def __reduce__(self):
        return os.system, ("touch /tmp/a-pickle-was-run",)


def bins():
    whole = torch.arange(6.0).reshape(2, 3)
    tensors = {
        "whole": whole,
        "turned": whole.t(),
        "part": whole[1:],
        "again": whole,
        "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "brain": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
        "double": torch.tensor([0.5, -2.0], dtype=torch.float64),
        "position_ids": torch.arange(3).unsqueeze(0),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    torch.save(tensors, HOME / "zip.bin")
    torch.save(tensors, HOME / "stream.bin", _use_new_zipfile_serialization=False)
    torch.save(tensors | {"asks": Asks()}, HOME / "asks.bin")
    torch.save({"asks": Asks()}, HOME / "asks_alone.bin")
    bert = load_file(HOME.parent / "family_fixtures/bert/model.safetensors")
    torch.save(bert, HOME / "pytorch_model.bin")


HOME.mkdir(parents=True, exist_ok=True)
answer = {"transformers": transformers.__version__, "texts": TEXTS, "folders": list(tokenizers())}
(HOME / "tokenizers.json").write_text(json.dumps(answer, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
bins()
