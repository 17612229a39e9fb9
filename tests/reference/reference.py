#!/usr/bin/env python3
"""What the encoders of helix-build must give, worked out a second time.

    reference.py MODEL_DIR sparse|dense [--coverage whole|head] [--query] < TEXTS > VECTORS

Reads one JSON object with a `text` per line and writes one per line: `tokens`, and `terms` (pairs of term and weight,
heaviest first) or `vector` (null for a text without any direction). Shares no code with the program. It does
everything the long way: all windows of a text in one padded batch, all weights at [windows, positions, vocabulary], then
the mask. So it is slow, takes 250 MB for a page of Chinese, and is wrong elsewhere than the program is.

The rules:

- A text is cut after `char_cap` characters; with coverage `head` after 1,000 (sparse) or 2,000 (dense) at the latest.
- It is tokenized with its prefix in front and without special tokens. Tokens that end with the prefix's last word, or before, are the
  prefix's, the others the text's, which are cut into windows. Each has the leading special tokens, the prefix's, its part of the
  text's and the trailing special tokens, `max_len` in all. A text of nothing has no window. With coverage `head` the first window is all, of 256 tokens at most
  for sparse.
- sparse: ln(1 + relu(logit)), of `splade-log1p` ln(1 + that), the maximum over all positions of all windows; 4 decimals; special tokens, tokens of one
  character and those without a letter or digit left out; then the 128 heaviest (32 of a query), ties by token id.
- dense: each window pooled (mean over all its tokens, special and prefix included, or its first or last), scaled to length 1, the sum weighted
  by the tokens of the text in the window; cut to `dim` numbers, scaled to length 1.

Needs: pip install numpy onnxruntime tokenizers   (the versions in requirements.txt), Python 3.11
"""

import argparse
import itertools
import json
import math
import sys
import tomllib
import unicodedata
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

DOCUMENT_TERMS, QUERY_TERMS = 128, 32
POOLINGS = {"cls": "pooling_mode_cls_token", "last": "pooling_mode_lasttoken"}
HEAD = {"sparse": (1_000, 256), "dense": (2_000, math.inf)}


class Encoder:
    """A model directory and the rules for it."""

    def __init__(self, directory, kind, coverage="whole"):
        directory = Path(directory)
        self.kind, self.whole = kind, coverage == "whole"
        self.rules = rules_of(directory, kind)
        self.chars = self.rules["char_cap"]
        self.length = self.rules["max_len"]
        if not self.whole:
            head_chars, head_tokens = HEAD[kind]
            self.chars = min(self.chars, head_chars)
            self.length = min(self.length, head_tokens)
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.before, self.after = special_tokens(directory / "tokenizer.json")
        self.session = open_session(directory / self.rules["file"])
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.terms = terms_of(self.tokenizer) if kind == "sparse" else None

    def encode(self, text, query=False, limit=None):
        """The number of the text's tokens, and its terms with weights, or its vector or None."""
        windows, room_taken = self.windows(text, query)
        n_tokens = sum(len(window) - room_taken for window in windows)
        if self.kind == "sparse":
            return n_tokens, self.sparse(windows, limit or (QUERY_TERMS if query else DOCUMENT_TERMS))
        return n_tokens, self.dense(windows, [len(window) - room_taken for window in windows])

    def windows(self, text, query):
        """Lists of token ids, and how many ids of each are not the text's."""
        text = text[: self.chars] if len(text) > self.chars else text
        if not text:
            return [], 0
        prefix = self.rules["query_prefix" if query else "passage_prefix"]
        # Prefix and text are tokenized as one. What ends with the prefix's last word is the prefix's, and is
        # repeated in each window; a space between the two is the text's, if it is a token's at all.
        whole = self.tokenizer.encode(prefix + text, add_special_tokens=False)
        last = len(prefix.rstrip())
        of_prefix = sum(1 for _ in itertools.takewhile(lambda span: span[1] <= last, whole.offsets)) if prefix else 0
        front, ids = self.before + whole.ids[:of_prefix], whole.ids[of_prefix:]
        room = self.length - len(front) - len(self.after)
        parts = [ids[at : at + room] for at in range(0, len(ids), room)]
        windows = [front + part + self.after for part in parts if part]
        if len(windows) == 1:
            # The tokenizer itself must agree, asked for all at once.
            assert windows[0] == self.tokenizer.encode(prefix + text).ids, (prefix, text)
        return (windows if self.whole else windows[:1]), len(front) + len(self.after)

    def run(self, windows):
        """All outputs by name, and the mask [windows, positions] of what is no padding."""
        longest = max(map(len, windows))
        ids = np.zeros((len(windows), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        places = np.broadcast_to(np.arange(longest), ids.shape)
        feed = {
            "input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids), "position_ids": places
        }  # fmt: skip
        wanted = {declared.name for declared in self.session.get_inputs()}
        found = self.session.run(None, {name: feed[name] for name in wanted})
        return dict(zip(self.outputs, found)), mask

    def sparse(self, windows, limit):
        if not windows:
            return []
        outputs, mask = self.run(windows)
        if "values" in outputs:
            weights = np.zeros(len(self.terms), np.float32)
            for values, indices in zip(outputs["values"], outputs["indices"]):
                np.maximum.at(weights, indices, values)
        elif "sparse_weights" in outputs:
            weights = outputs["sparse_weights"].max(axis=0)
        else:
            weights = outputs["logits"]
            np.maximum(weights, 0, out=weights)
            for _ in range(2 if self.rules["pooling"] == "splade-log1p" else 1):
                np.log1p(weights, out=weights)
            weights *= mask[:, :, None].astype(np.float32)
            weights = weights.max(axis=(0, 1))
        # In units of the fourth decimal, a half rounded up.
        units = np.floor(weights.astype(np.float64) * 10_000 + 0.5).astype(int)
        kept = [(-units[i], i) for i in np.flatnonzero(units > 0) if i < len(self.terms) and self.terms[i]]
        return [(self.terms[i], int(-unit) / 10_000) for unit, i in sorted(kept)[:limit]]

    def dense(self, windows, n_tokens):
        if not windows:
            return None
        outputs, mask = self.run(windows)
        rows = self.pooled(outputs, mask.astype(np.float64))
        if len(rows) > 1:
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            rows = rows * np.array(n_tokens, np.float64)[:, None]
        vector = rows.sum(axis=0)[: self.rules["dim"]]
        return vector / np.linalg.norm(vector)

    def pooled(self, outputs, mask):
        """One row per window, in double precision."""
        if self.rules["pooling"] == "none":
            return next(o for o in outputs.values() if o.ndim == 2).astype(np.float64)
        hidden = next(o for o in outputs.values() if o.ndim == 3).astype(np.float64)
        if self.rules["pooling"] == "cls":
            return hidden[:, 0]
        if self.rules["pooling"] == "last":
            return hidden[np.arange(len(hidden)), mask.sum(axis=1).astype(int) - 1]
        return (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)


def rules_of(directory, kind):
    """From the exporter's files; helix-model.toml has the last word."""

    def read(name):
        path = directory / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    config, pooling = read("config.json"), read("1_Pooling/config.json")
    positions = config.get("max_position_embeddings", 512)
    if config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        # They are numbered from the id behind the padding token's.
        positions -= config.get("pad_token_id", 1) + 1
    rules = {
        "file": "model.onnx" if (directory / "model.onnx").exists() else "onnx/model.onnx",
        "max_len": read("sentence_bert_config.json").get("max_seq_length") or positions,
        "dim": pooling.get("word_embedding_dimension") or config.get("hidden_size"),
        "pooling": next((p for p, key in POOLINGS.items() if pooling.get(key)), "mean"),
        "query_prefix": "",
        "passage_prefix": "",
        "char_cap": math.inf,
    }
    stated = directory / "helix-model.toml"
    if stated.exists():
        rules |= tomllib.loads(stated.read_text(encoding="utf-8"))
    assert rules.get("kind", kind) == kind, f"{directory} is not {kind}"
    return rules


def special_tokens(path):
    """The ids before and after a single text, as the tokenizer's template has them."""
    template = json.loads(path.read_text(encoding="utf-8"))["post_processor"]
    assert template["type"] == "TemplateProcessing", "write down the rule for this one"
    sides = ([], [])
    after = 0
    for part in template["single"]:
        if "Sequence" in part:
            after = 1
        else:
            sides[after].extend(template["special_tokens"][part["SpecialToken"]["id"]]["ids"])
    return sides


def terms_of(tokenizer):
    """The term of each id, empty for those that no vector has."""
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    terms = [""] * (max(vocabulary.values()) + 1)
    for term, i in vocabulary.items():
        is_piece = len(term) > 1 and any(map(is_letter_or_digit, term.removeprefix("##")))
        if is_piece and i not in special and not (term[0] == "[" and term[-1] == "]"):
            terms[i] = term
    return terms


def is_letter_or_digit(character):
    """Letters, numbers, and the vowel signs of Indic scripts (of all marks, BERT's vocabulary has those alone)."""
    return unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Mc")


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("kind", choices=["sparse", "dense"])
    parser.add_argument("--coverage", choices=["whole", "head"], default="whole")
    parser.add_argument("--query", action="store_true")
    arguments = parser.parse_args()
    encoder = Encoder(arguments.model, arguments.kind, arguments.coverage)
    for line in sys.stdin:
        n_tokens, found = encoder.encode(json.loads(line)["text"], arguments.query)
        if arguments.kind == "sparse":
            print(json.dumps({"tokens": n_tokens, "terms": found}))
        else:
            print(json.dumps({"tokens": n_tokens, "vector": None if found is None else found.tolist()}))


if __name__ == "__main__":
    main()
