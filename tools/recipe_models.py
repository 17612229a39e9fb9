#!/usr/bin/env python3
"""Makes small model directories with the files of the models that the recipes of docs/models.md name, and what the libraries make
of the texts in tests/models/texts.json. tools/recipes_check.py runs it.

    tools/recipe_models.py FOLDER MINILM SPLADE [NAME...]

MINILM and SPLADE are directories with trained weights; all other weights are random. Each model gets the directory FOLDER/NAME,
and beside it NAME.json with the vectors of all texts as documents and as queries. Without a NAME, all models are made.

Needs: pip install "sentence-transformers[onnx]" model2vec
"""

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # Everything is made here.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import torch
import transformers
from model_fixtures import MAX_LENGTH, random, tokenizer, vectors, vocabulary
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.models import Dense, Normalize, Pooling, Router, Transformer
from sentence_transformers.sparse_encoder.models import MLMTransformer, SparseStaticEmbedding, SpladePooling
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = json.loads((Path(__file__).parents[1] / "tests/models/texts.json").read_text(encoding="utf-8"))
BGE_QUERY = "Represent this sentence for searching relevant passages: "
QWEN_QUERY = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
# The size of every transformer with random weights; large weights, so that texts get different vectors.
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}
SPREAD = {"initializer_range": 0.5}


# Tokenizers


def sentencepiece(special, unknown, template):
    """Unigram as SentencePiece writes it, trained on the texts; `special` are the first ids."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token=unknown, show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    ids = [(token, made.token_to_id(token)) for token in special]
    made.post_processor = processors.TemplateProcessing(single=template, special_tokens=ids)
    return made


def xlm_roberta_tokenizer():
    made = sentencepiece(["<s>", "<pad>", "</s>", "<unk>"], "<unk>", "<s> $A </s>")
    made.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    return transformers.XLMRobertaTokenizerFast(tokenizer_object=made, model_max_length=512)


def t5_tokenizer():
    made = sentencepiece(["<pad>", "</s>", "<unk>"], "<unk>", "$A </s>")
    return transformers.T5TokenizerFast(tokenizer_object=made, extra_ids=0, model_max_length=MAX_LENGTH)


def qwen_tokenizer():
    """Byte-level BPE that ends each text with a token, as Qwen3-Embedding has it."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    end = "<|endoftext|>"
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=[end], initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    made.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, 0)])
    return transformers.Qwen2TokenizerFast(
        tokenizer_object=made, unk_token=None, pad_token=end, eos_token=end, padding_side="left", model_max_length=MAX_LENGTH
    )


def wordpiece(kind=transformers.PreTrainedTokenizerFast):
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return kind(tokenizer_object=tokenizer(), model_max_length=MAX_LENGTH, **names)


# Transformers with random weights


def transformer(directory, model, config, words, **settings):
    """A transformer of the class `model` with the tokenizer `words`, as transformers saves them."""
    torch.manual_seed(1)
    model(config(vocab_size=len(words), **settings)).eval().save_pretrained(directory)
    words.save_pretrained(directory)


def bert(directory, words):
    limits = {"max_position_embeddings": MAX_LENGTH}
    transformer(directory, transformers.BertModel, transformers.BertConfig, words, **SHAPE, **SPREAD, **limits)


def xlm_roberta(directory):
    # Positions count from 2.
    settings = {"max_position_embeddings": 8194, "type_vocab_size": 1, "pad_token_id": 1}
    words = xlm_roberta_tokenizer()
    transformer(directory, transformers.XLMRobertaModel, transformers.XLMRobertaConfig, words, **SHAPE, **SPREAD, **settings)


def distilbert(directory):
    settings = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, "max_position_embeddings": MAX_LENGTH}
    model, config = transformers.DistilBertModel, transformers.DistilBertConfig
    words = wordpiece(transformers.DistilBertTokenizerFast)
    transformer(directory, model, config, words, **settings, **SPREAD)


def t5(directory):
    settings = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "initializer_factor": 4.0}
    transformer(directory, transformers.T5EncoderModel, transformers.T5Config, t5_tokenizer(), **settings)


def qwen3(directory):
    settings = {"num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": MAX_LENGTH, "tie_word_embeddings": True}
    transformer(
        directory, transformers.Qwen3Model, transformers.Qwen3Config, qwen_tokenizer(), **SHAPE, **SPREAD, **settings
    )


# Whole models: each function makes a directory and returns the library's model


def sentence_transformer(make, pooling, prompts=None, dense=None):
    """`make` writes the transformer; `dense` is the activation of a module `Dense`."""

    def save(directory):
        base = directory.with_name("base")
        make(base)
        modules = [Transformer(str(base)), Pooling(32, pooling_mode=pooling)]
        if dense:
            torch.manual_seed(2)
            modules.append(Dense(32, 24, activation_function=dense))
        model = SentenceTransformer(modules=[*modules, Normalize()], prompts=prompts, device="cpu")
        model.save_pretrained(str(directory))
        shutil.rmtree(base)
        return SentenceTransformer(str(directory), device="cpu")

    return save


def minilm(directory, trained):
    shutil.copytree(trained, directory)
    return SentenceTransformer(str(directory), device="cpu")


def splade(directory, trained):
    SparseEncoder(modules=[MLMTransformer(str(trained)), SpladePooling("max")], device="cpu").save_pretrained(str(directory))
    return SparseEncoder(str(directory), device="cpu")


def opensearch(activation):
    """The files of a hub: the transformer lies in the directory itself, the table of weights a second time as JSON."""

    def save(directory, trained):
        transformer = MLMTransformer(str(trained))
        words = transformer.tokenizer.get_vocab()
        weights = torch.from_numpy(random(3).uniform(0.0, 4.0, len(words)).astype(np.float32))
        queries = SparseStaticEmbedding(tokenizer=transformer.tokenizer, weight=weights)
        documents = [transformer, SpladePooling("max", activation_function=activation)]
        router = Router.for_query_document([queries], documents)
        SparseEncoder(modules=[router], device="cpu").save_pretrained(str(directory))
        folder = directory / "document_0_MLMTransformer"
        for file in folder.iterdir():
            file.rename(directory / file.name)
        folder.rmdir()
        settings = directory / "router_config.json"
        settings.write_text(settings.read_text().replace(folder.name, ""))
        table = {token: float(weights[n]) for token, n in words.items()}
        (directory / "idf.json").write_text(json.dumps(table), encoding="utf-8")
        return SparseEncoder(str(directory), device="cpu")

    return save


def potion(directory):
    from model2vec import StaticModel

    rows = vectors(len(vocabulary()), 5, dim=32)
    StaticModel(vectors=rows, tokenizer=tokenizer(), normalize=True).save_pretrained(directory)
    return StaticModel.from_pretrained(directory)


RANDOM = {
    "minishlab/potion-base-8M": potion,
    "BAAI/bge-m3": sentence_transformer(xlm_roberta, "cls"),
    "BAAI/bge-base-en-v1.5": sentence_transformer(lambda directory: bert(directory, wordpiece()), "cls"),
    "intfloat/multilingual-e5-small": sentence_transformer(lambda directory: bert(directory, xlm_roberta_tokenizer()), "mean"),
    "Qwen/Qwen3-Embedding-0.6B": sentence_transformer(qwen3, "lasttoken", {"query": QWEN_QUERY, "document": ""}),
    "sentence-transformers/gtr-t5-base": sentence_transformer(t5, "mean", dense=torch.nn.Identity()),
    "sentence-transformers/distiluse-base-multilingual-cased-v2": sentence_transformer(
        distilbert, "mean", dense=torch.nn.Tanh()
    ),
}
SPARSE = {
    "prithivida/Splade_PP_en_v1": splade,
    "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-mini": opensearch("relu"),
    "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill": opensearch("log1p_relu"),
}
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
# What the cards tell to put in front, as (query, document), where the library does not do it.
CARDS = {"BAAI/bge-base-en-v1.5": (BGE_QUERY, ""), "intfloat/multilingual-e5-small": ("query: ", "passage: ")}


def dense_vectors(name, model):
    if name in CARDS:
        query, document = CARDS[name]
        return model.encode(TEXTS, prompt=document), model.encode(TEXTS, prompt=query)
    if not isinstance(model, SentenceTransformer):
        found = model.encode(TEXTS, max_length=None)
        return found, found
    return model.encode_document(TEXTS), model.encode_query(TEXTS)


def terms(model, rows):
    """Token and weight of each entry that is not zero."""
    tokens = {n: token for token, n in model.tokenizer.get_vocab().items()}
    rows = np.asarray(rows.to_dense())
    return [{tokens[n]: round(float(row[n]), 5) for n in np.flatnonzero(row)} for row in rows]


def write(path, kind, documents, queries):
    value = {"kind": kind, "documents": documents, "queries": queries}
    path.write_text(json.dumps(value), encoding="utf-8")


def make(folder, name, minilm_weights, splade_weights):
    directory = folder / name
    directory.parent.mkdir(parents=True, exist_ok=True)
    expected = folder / f"{name}.json"
    if name in SPARSE:
        model = SPARSE[name](directory, splade_weights)
        rows = [terms(model, found) for found in (model.encode_document(TEXTS), model.encode_query(TEXTS))]
        return write(expected, "sparse", *rows)
    model = minilm(directory, minilm_weights) if name == MINILM else RANDOM[name](directory)
    rows = [np.asarray(found, dtype=np.float64).tolist() for found in dense_vectors(name, model)]
    return write(expected, "dense", *rows)


def main():
    names = [*SPARSE, MINILM, *RANDOM]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("minilm", type=Path)
    parser.add_argument("splade", type=Path)
    parser.add_argument("names", nargs="*", choices=[*names, []], metavar="NAME", help=", ".join(names))
    arguments = parser.parse_args()
    for name in arguments.names or names:
        make(arguments.folder, name, arguments.minilm, arguments.splade)


if __name__ == "__main__":
    main()
