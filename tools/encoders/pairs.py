"""Pairs of a question and its answer out of sources: what tools/train_encoders.py trains on."""

import ast
import re
import warnings
from pathlib import PurePosixPath

# Folders of tests, and copies of other packages.
NOT_READ = {"test", "tests", "testing", "benches", "examples", "_vendor", "vendor", "vendored", "node_modules"}
SUFFIXES = {"python": (".py",), "crates": (".rs", ".md"), "npm": (".js", ".mjs", ".cjs", ".ts", ".mts", ".md")}
LARGEST = {"python": 300_000, "crates": 1_500_000, "npm": 1_500_000}


def is_read(kind, path, size):
    path = PurePosixPath(path)
    is_bundle = ".min." in path.name or path.name.upper().startswith("CHANGELOG")
    return path.suffix in SUFFIXES[kind] and size <= LARGEST[kind] and not is_bundle and not NOT_READ.intersection(path.parts)


def is_good(query, document):
    """Whether the query says something and the document is neither a line nor a file, nor has the query in it."""
    is_long = 100 <= len(document) <= 12_000 and len(document.splitlines()) >= 2
    return 3 <= len(query.split()) <= 40 and is_long and query not in document


def split_comment(text):
    """The first sentence of a comment, on one line, and what follows."""
    paragraph, _, others = text.strip().partition("\n\n")
    paragraph = " ".join(paragraph.split())
    sentence = re.split(r"(?<=[.!?])\s", paragraph)[0]
    return sentence, (paragraph[len(sentence) :] + "\n" + others).strip()


def of_comment(text):
    """The sentence with the rest of the comment, if that is long."""
    sentence, rest = split_comment(text)
    if len(rest) > 250:
        yield sentence, rest


def without_indent(lines):
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] if line[:indent].isspace() else line for line in lines)


def python(source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return
    lines = re.split(r"\r\n|\r|\n", source)
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        comment = ast.get_docstring(node)
        if not comment:
            continue
        yield from of_comment(comment)
        first, last = node.body[0].lineno - 1, node.body[0].end_lineno
        if len(node.body) == 1 or node.body[1].lineno <= last:
            continue
        document = without_indent(lines[node.lineno - 1 : first] + lines[last : node.end_lineno])
        if isinstance(node, ast.ClassDef):
            document = re.sub(r'(?s)"""(?:.*?)"""', "", document)[:3_000]
        yield split_comment(comment)[0], document


RUST_ITEM = re.compile(
    r"[ \t]*(?:pub(?:\([^)]*\))?\s+)?(?:(?:const|async|unsafe|extern\s+\"\w+\")\s+)*(?:fn|struct|enum|trait)\s+\w+"
)
RUST_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(?P<hash>\#*)".*?"(?P=hash)|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\\n])'|[{};]""", re.S
)
SCRIPT_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|[{};]""", re.S
)


def braced(text, tokens):
    """From the start of a definition to its closing brace; None without a body, or if that ends past 8,000 characters."""
    depth = 0
    for token in tokens.finditer(text, 0, min(len(text), 8_000)):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if depth <= 0:
                return text[: token.end()] if depth == 0 else None
        elif token[0] == ";" and depth == 0 and not text[token.end() :].split("\n", 1)[0].strip():
            return None
    return None


def rust(source):
    lines, at = source.split("\n"), 0
    while at < len(lines):
        comment = []
        while at < len(lines) and (line := lines[at].strip()).startswith(("///", "#[")):
            if line.startswith("///"):
                comment.append(line[3:].removeprefix(" "))
            at += 1
        if at < len(lines) and comment:
            yield from of_comment("\n".join(comment))
            if RUST_ITEM.match(lines[at]) and (item := braced("\n".join(lines[at : at + 250]), RUST_TOKEN)):
                yield split_comment("\n".join(comment))[0], re.sub(r"///.*", "", without_indent(item.split("\n")))
        at += 1


def script(source):
    """JavaScript and TypeScript."""
    for match in re.finditer(r"/\*\*(?!/)(.*?)\*/[ \t]*\n?", source, re.S):
        comment = "\n".join(re.sub(r"^\s*\*? ?", "", line) for line in match[1].split("\n")).strip()
        for tag in ("@description ", "@desc ", "@summary "):
            if comment.startswith("@") and tag in comment:
                comment = comment.split(tag, 1)[1]
                break
        comment = re.split(r"\n@|^@", comment)[0].strip()
        if not comment or "eslint" in comment or "opyright" in comment:
            continue
        yield from of_comment(comment)
        after = source[match.end() : match.end() + 8_000]
        if not after.strip() or after.lstrip().startswith(("/", "import", "}", "*")):
            continue
        item = braced(after, SCRIPT_TOKEN)
        if item and len(item.split("{")[0]) < 400:
            plain = re.sub(r"\{@link\w* ([^}|]*)[^}]*\}", r"\1", re.sub(r"<[^>]+>", "", comment))
            document = re.sub(r"(?s)/\*\*.*?\*/", "", without_indent(item.strip("\n").split("\n")))
            yield split_comment(plain)[0], document


def markdown(source):
    parts = re.split(r"(?m)^(#{1,4} .+)$", source)
    for heading, section in zip(parts[1::2], parts[2::2]):
        heading = " ".join(re.sub(r"[#*`]|\[|\]\([^)]*\)", " ", heading).split())
        # Not the sections of a list of releases.
        if not re.search(r"\d+\.\d+", heading):
            yield heading, section.strip()[:2_500]


PAIRS = {".py": python, ".rs": rust, ".md": markdown} | dict.fromkeys((".js", ".mjs", ".cjs", ".ts", ".mts"), script)
