#!/usr/bin/env python3
"""Writes small model directories with random weights, as the libraries that people use save and export them, and what those
libraries make of 40 texts.

    tools/model_fixtures.py OUTDIR [NAME...]

tests/models holds what this script wrote; src/encode/tests/fixtures.rs compares. Each directory gets an expected.json:
the library's versions, and its vectors of all texts as documents and as queries. Without a NAME, all that the installed
libraries can make are made:

    with  sentence-transformers 5.1.0, transformers 4.57.6, optimum-onnx 0.0.3:  st5-*, optimum-*
    with  sentence-transformers 6.2.0, transformers 5.24.0, onnxscript:          st6-*
    with  model2vec 0.10.0:                                                     model2vec-*

Weights are drawn anew where another version of torch draws other numbers, so that a directory and its expected.json always
come from one run.

Needs: pip install torch numpy safetensors tokenizers, and the libraries above.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # Everything is made here.

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

TEXTS = [
    "the build stops when the disk is full",
    "parse a glob pattern",
    "Read the header of a file and return its version.",
    "fn read_header(input: &mut impl Read) -> io::Result<Header>",
    "def parse_pattern(text, flags=0):\n    return compile(text)",
    "error: index out of range",
    "open file for reading",
    "open files for writing",
    "The quick brown fox jumps over the lazy dog.",
    "a token table with weights",
    "query the index for a word",
    "words of the query are tokens",
    "class Reader: pass",
    "if not found: raise KeyError(name)",
    "for word in words: count[word] += 1",
    "retry with backoff after an error",
    "the server returns an empty body",
    "HTTP server on port 8080",
    "write ahead log of the database",
    "select name from words where count = 1",
    "sort words by count",
    "a list of names",
    "names, counts; and weights!",
    "return None",
    "int main(void) { return 0; }",
    "public static void main(String[] args)",
    "let words = text.split(' ');",
    "unknownword otherword xyzzy",
    "naïve café résumé",
    "日本語 のテキスト",
    "emoji 🙂 in a text",
    "UPPER and lower CASE",
    "tabs\tand\nnewlines\r\nhere",
    "   spaces   around   ",
    "reading reads reader read",
    "indexing indexed indexes index",
    "compressed files are read in blocks",
    "a",
    "(...)",
    "the disk is full, so the build stops: no space is left for the files of the index and its log",
]

WORDS = """the a an and or of to in on for with by from is are was not no if when where after so its all each one
build builds stops stop disk full file files read write open close error index query word words token tokens table weight weights
parse glob pattern header version return input output result text flags compile range server body empty port database log
select name names count counts sort list none int main void public static string args let split class reader pass found raise key
retry backoff space left block blocks compress def fn impl io mut quick brown fox jumps over lazy dog upper lower case tabs newlines
here spaces around emoji cafe resume ##s ##ed ##ing ##er ##es ##ion ##ly ##header ##value re un get set""".split()
SIGNS = list(".,;:!?()[]{}<>=+-_*/&|'\"") + list("abcdefghijklmnopqrstuvwxyz0123456789")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MAX_LENGTH = 128
# Terms of a sparse vector that are kept in expected.json.
HEAVIEST = 40
PROMPTS = {"query": "query: ", "document": "text: "}


def vocabulary():
    parts = ["##" + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    return {token: n for n, token in enumerate(dict.fromkeys(SPECIAL + WORDS + SIGNS + parts))}


def tokenizer(special=True):
    """WordPiece with BERT's rules; `special`: [CLS] and [SEP] around a text."""
    made = Tokenizer(models.WordPiece(vocabulary(), unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    if special:
        ids = [("[CLS]", 2), ("[SEP]", 3)]
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
        )
    return made


def random(seed):
    return np.random.default_rng(seed)


def vectors(rows, seed, dim=8):
    return random(seed).standard_normal((rows, dim)).astype(np.float32)


def numbers(rows):
    return [[round(float(x), 6) for x in row] for row in np.asarray(rows, dtype=np.float32)]


def expect(directory, kind, documents, queries, **versions):
    value = {"kind": kind, "versions": versions, "documents": documents, "queries": queries}
    (directory / "expected.json").write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")


def drop(directory, *names):
    """Removes files that no test needs: model cards, weights that a graph repeats."""
    for name in names:
        for path in directory.glob(name):
            path.unlink()


# Static models


def static_versions():
    import sentence_transformers

    return {"sentence-transformers": sentence_transformers.__version__}


def model2vec(directory, **tables):
    import model2vec
    from model2vec import StaticModel

    model = StaticModel(tokenizer=tokenizer(), max_length=None, **tables)
    model.save_pretrained(directory)
    found = numbers(StaticModel.from_pretrained(directory).encode(TEXTS, max_length=None))
    drop(directory, "README.md")
    expect(directory, "dense", found, found, model2vec=model2vec.__version__)


def model2vec_plain(directory):
    model2vec(directory, vectors=vectors(len(vocabulary()), 1), normalize=True)


def model2vec_clusters(directory):
    """Fewer rows than tokens, a weight for each token, 16-bit floats."""
    n = len(vocabulary())
    mapping = random(2).integers(0, 40, n)
    weights = random(3).uniform(0.1, 2.0, n).astype(np.float32)
    rows = vectors(40, 4).astype(np.float16)
    model2vec(directory, vectors=rows, weights=weights, token_mapping=mapping, normalize=False)


def model2vec_bytes(directory):
    """8-bit integers."""
    rows = np.clip(vectors(len(vocabulary()), 5) * 40, -127, 127).astype(np.int8)
    model2vec(directory, vectors=rows, normalize=True)


def st_static(directory, prompts=None, nested=False):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, StaticEmbedding

    rows = vectors(len(vocabulary()), 6)
    modules = [StaticEmbedding(tokenizer(), embedding_weights=rows), Normalize()]
    model = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
    model.save_pretrained(str(directory))
    if nested:
        # Versions before 5 put the module into its own folder.
        folder = directory / "0_StaticEmbedding"
        folder.mkdir()
        for name in ["model.safetensors", "tokenizer.json"]:
            (directory / name).rename(folder / name)
        listed = json.loads((directory / "modules.json").read_text())
        listed[0]["path"] = folder.name
        (directory / "modules.json").write_text(json.dumps(listed, indent=2) + "\n")
    model = SentenceTransformer(str(directory), device="cpu")
    drop(directory, "README.md")
    documents = numbers(model.encode_document(TEXTS))
    expect(directory, "dense", documents, numbers(model.encode_query(TEXTS)), **static_versions())


# Transformers


def transformer(directory, masked, seed):
    """A BERT of one layer with its tokenizer, as transformers saves them."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.6,
    )
    model = (BertForMaskedLM if masked else BertModel)(config).eval()
    model.save_pretrained(directory)
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(), model_max_length=MAX_LENGTH, **names
    ).save_pretrained(directory)
    return directory


def versions():
    import sentence_transformers
    import torch
    import transformers

    return {
        "sentence-transformers": sentence_transformers.__version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
    }


def dense_model(base, pooling, prompts=None, dense=False):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer

    words = Transformer(str(base))
    modules = [words, Pooling(16, pooling_mode=pooling)]
    if dense:
        modules.append(Dense(16, 6))
    modules.append(Normalize())
    return SentenceTransformer(modules=modules, prompts=prompts, device="cpu")


def expect_dense(directory, model):
    documents, queries = model.encode_document(TEXTS), model.encode_query(TEXTS)
    expect(directory, "dense", numbers(documents), numbers(queries), **versions())


def sparse_model(base, activation, table):
    """`table`: queries are looked up, as OpenSearch's third generation does."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.models import Router
    from sentence_transformers.sparse_encoder.models import MLMTransformer, SparseStaticEmbedding, SpladePooling

    documents = [MLMTransformer(str(base)), SpladePooling("max", activation_function=activation)]
    modules = documents
    if table:
        import torch

        weights = torch.from_numpy(random(7).uniform(0.0, 4.0, len(vocabulary())).astype(np.float32))
        queries = SparseStaticEmbedding(tokenizer=documents[0].tokenizer, weight=weights)
        modules = [Router.for_query_document([queries], documents)]
    return SparseEncoder(modules=modules, device="cpu")


def expect_sparse(directory, model):
    def weights(rows):
        """The heaviest terms of each row; random weights give nearly every term one."""
        tokens = {n: token for token, n in vocabulary().items()}
        rows = np.asarray(rows.to_dense())
        heaviest = [np.argsort(-row, kind="stable")[:HEAVIEST] for row in rows]
        return [{tokens[n]: round(float(row[n]), 5) for n in ids if row[n] > 0} for row, ids in zip(rows, heaviest)]

    documents, queries = model.encode_document(TEXTS), model.encode_query(TEXTS)
    expect(directory, "sparse", weights(documents), weights(queries), **versions())


def save(model, directory):
    model.save_pretrained(str(directory), create_model_card=False)
    drop(directory, "README.md")


def with_onnx(directory, encoder, base):
    """Saves the model again, run by ONNX Runtime: sentence transformers export it through optimum."""
    with tempfile.TemporaryDirectory() as other:
        model = encoder(str(directory), backend="onnx", device="cpu", model_kwargs={"export": True})
        shutil.rmtree(directory)
        model.save_pretrained(str(directory), create_model_card=False)
    drop(directory, "README.md", "**/model.safetensors" if base else "model.safetensors")


def dynamo(weights, directory, masked):
    """Exports a transformer with torch's newer exporter."""
    import torch
    from transformers import BertForMaskedLM, BertModel

    model = (BertForMaskedLM if masked else BertModel).from_pretrained(weights).eval()
    model.config.return_dict = True
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = {name: torch.ones(2, 7, dtype=torch.long) for name in names}
    batch, length = torch.export.Dim("batch"), torch.export.Dim("sequence")
    torch.onnx.export(
        model,
        (),
        str(directory / "model.onnx"),
        kwargs=example,
        input_names=names,
        output_names=["logits"] if masked else ["last_hidden_state", "pooler_output"],
        dynamic_shapes={name: {0: batch, 1: length} for name in names},
        dynamo=True,
        external_data=False,
    )


def st5_mean(directory):
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as base:
        model = dense_model(transformer(base, False, 11), "mean", PROMPTS)
        save(model, directory)
    expected = model
    with_onnx(directory, SentenceTransformer, base=False)
    expect_dense(directory, expected)


def st5_splade(directory):
    from sentence_transformers import SparseEncoder

    with tempfile.TemporaryDirectory() as base:
        model = sparse_model(transformer(base, True, 12), "relu", table=False)
        save(model, directory)
    with_onnx(directory, SparseEncoder, base=False)
    expect_sparse(directory, model)


def st5_router(directory):
    """A router saved by the library; its graph exported by optimum into the folder of the documents."""
    from optimum.exporters.onnx import main_export

    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory() as exported:
        model = sparse_model(transformer(base, True, 13), "log1p_relu", table=True)
        save(model, directory)
        main_export(base, exported, task="fill-mask", library_name="transformers")
        folder = directory / "document_0_MLMTransformer"
        shutil.copy(Path(exported) / "model.onnx", folder / "model.onnx")
    drop(directory, "document_0_MLMTransformer/model.safetensors")
    expect_sparse(directory, model)


def optimum_mean(directory):
    """Of optimum with `--library transformers`: no file states the pooling."""
    from optimum.exporters.onnx import main_export

    with tempfile.TemporaryDirectory() as base:
        model = dense_model(transformer(base, False, 14), "mean")
        main_export(base, directory, task="feature-extraction", library_name="transformers")
    (directory / "helix-model.toml").write_text('pooling = "mean"\n')
    expect_dense(directory, model)


def optimum_whole(directory):
    """Of optimum with `--library sentence_transformers`: the whole pipeline, with a module `Dense`."""
    from optimum.exporters.onnx import main_export

    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory() as saved:
        model = dense_model(transformer(base, False, 15), "cls", dense=True)
        save(model, Path(saved))
        main_export(saved, directory, task="sentence-similarity", library_name="sentence_transformers")
        for file in ["modules.json", "config_sentence_transformers.json"]:
            shutil.copy(Path(saved) / file, directory / file)
    expect_dense(directory, model)


def st6_mean(directory):
    with tempfile.TemporaryDirectory() as base:
        model = dense_model(transformer(base, False, 16), "mean", PROMPTS)
        save(model, directory)
        dynamo(base, directory, masked=False)
    drop(directory, "model.safetensors")
    expect_dense(directory, model)


def st6_last(directory):
    with tempfile.TemporaryDirectory() as base:
        model = dense_model(transformer(base, False, 17), "lasttoken")
        save(model, directory)
        dynamo(base, directory, masked=False)
    drop(directory, "model.safetensors")
    expect_dense(directory, model)


def st6_router(directory):
    with tempfile.TemporaryDirectory() as base:
        model = sparse_model(transformer(base, True, 19), "log1p_relu", table=True)
        save(model, directory)
        dynamo(base, directory / "document_0_MLMTransformer", masked=True)
    drop(directory, "document_0_MLMTransformer/model.safetensors")
    expect_sparse(directory, model)


MAKERS = {
    "model2vec-plain": model2vec_plain,
    "model2vec-clusters": model2vec_clusters,
    "model2vec-bytes": model2vec_bytes,
    "st5-static-nested": lambda directory: st_static(directory, nested=True),
    "st6-static": lambda directory: st_static(directory, PROMPTS),
    "st5-mean": st5_mean,
    "st5-splade": st5_splade,
    "st5-router": st5_router,
    "optimum-mean": optimum_mean,
    "optimum-whole": optimum_whole,
    "st6-mean": st6_mean,
    "st6-last": st6_last,
    "st6-router": st6_router,
}


def possible():
    """Names of what the installed libraries can make."""
    import importlib.util

    names = ["model2vec"] if importlib.util.find_spec("model2vec") else []
    try:
        import sentence_transformers

        names.append("st" + sentence_transformers.__version__.split(".")[0])
        from optimum.exporters.onnx import main_export  # noqa: F401

        names.append("optimum")
    except ImportError as error:
        print(error, file=sys.stderr)
    return [name for name in MAKERS if name.split("-")[0] in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path, help="folder in which each model gets a folder of its name")
    parser.add_argument("names", nargs="*", choices=[*MAKERS, []], metavar="NAME", help=", ".join(MAKERS))
    arguments = parser.parse_args()
    arguments.outdir.mkdir(parents=True, exist_ok=True)
    texts = json.dumps(TEXTS, ensure_ascii=False, indent=1) + "\n"
    (arguments.outdir / "texts.json").write_text(texts, encoding="utf-8")
    for name in arguments.names or possible():
        directory = arguments.outdir / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        MAKERS[name](directory)
        size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
        print(f"{directory}: {size / 1e3:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
