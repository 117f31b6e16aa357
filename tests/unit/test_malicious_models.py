"""Files that try to run code, to exhaust memory or to pass as something else: all refused at once, none of them run."""

from __future__ import annotations

import importlib.util
import os

import pytest
import yaml

from tests.unit.model_files import GOOD
from workflow.evo.config import strict_yaml
from workflow.evo.errors import UserError
from workflow.evo.models import graph, located_yaml

CANARY = "canary"
TOUCH = f"__import__('os').system('touch {CANARY}')"
RELU = "torch.nn.ReLU()"
ROW = "- [-1, 1, SPPF, [1024, 5]]"


def activation(expression: str) -> bytes:
    return GOOD.replace(RELU, expression).encode()


def quoted(expression: str) -> str:
    """Return the expression as a YAML string, so that only its meaning can be refused."""
    return "'" + expression.replace("'", "''") + "'"


def row(layer: str) -> bytes:
    return GOOD.replace(ROW, layer).encode()


EXPRESSIONS = {
    "import and system": TOUCH,
    "import inside an argument": f"torch.nn.LeakyReLU({TOUCH} or 0.1)",
    "argument that runs": f"torch.nn.LeakyReLU(negative_slope={TOUCH})",
    "lambda": f"(lambda: {TOUCH})()",
    "lambda as argument": f"torch.nn.ReLU(inplace=(lambda: {TOUCH})())",
    "getattr chain": f"getattr(getattr(torch, 'nn'), 'ReLU')(getattr(__import__('os'), 'system')('touch {CANARY}'))",
    "f-string": f'f"{{{TOUCH}}}"',
    "f-string call": f'torch.nn.LeakyReLU(f"{{{TOUCH}}}")',
    "walrus": f"(x := {TOUCH})",
    "comprehension": f"[{TOUCH} for _ in [0]]",
    "generator in an argument": f"torch.nn.LeakyReLU(next({TOUCH} for _ in [0]))",
    "conditional": f"torch.nn.ReLU() if {TOUCH} else torch.nn.SiLU()",
    "or": f"{TOUCH} or torch.nn.ReLU()",
    "subscript": f"[torch.nn.ReLU(), {TOUCH}][0]",
    "dictionary": f"{{'a': {TOUCH}}}['a']",
    "module of a module": f"torch.nn.modules.module.os.system('touch {CANARY}')",
    "globals of a method": f"torch.nn.ReLU.__init__.__globals__['__builtins__']['exec']('open(\"{CANARY}\", \"w\")')",
    "method of an instance": f"torch.nn.ReLU().apply(lambda _: {TOUCH})",
    "subclass": f"type('X', (torch.nn.Module,), {{'__init__': lambda s: {TOUCH}}})()",
    "subclasses of object": "().__class__.__base__.__subclasses__()",
    "exec": f"exec(\"open('{CANARY}', 'w')\")",
    "compile": f"eval(compile(\"open('{CANARY}', 'w')\", '', 'eval'))",
    "hub": "torch.hub.load('someone/something', 'anything')",
    "load": "torch.load('evil.pt')",
    "container of activations": f"torch.nn.Sequential(torch.nn.ReLU(), {TOUCH})",
    "base class": "torch.nn.Module()",
    "class attribute": "nn.Module.__class__()",
    "star arguments": f"torch.nn.ReLU(*[{TOUCH}])",
    "double star arguments": f"torch.nn.ReLU(**{{'inplace': {TOUCH}}})",
    "await": f"await {TOUCH}",
    "two statements": f"torch.nn.ReLU(); {TOUCH}",
    "newline": f"torch.nn.ReLU()\\n{TOUCH}",
    "homoglyph": f"tоrch.nn.ReLU({TOUCH})",  # the first o is Cyrillic
    "brackets": "(" * 95 + ")" * 95,
    "minus signs": "torch.nn.LeakyReLU(" + "-" * 150 + "1)",
}

ROWS = {
    "__import__ as module": "- [-1, 1, __import__, [os]]",
    "dotted function as module": "- [-1, 1, os.system, ['touch canary']]",
    "hub as module": "- [-1, 1, torch.hub.load, ['a/b', 'c']]",
    "dunder of torch.nn": "- [-1, 1, nn.Module.__class__, []]",
    "torch.nn's own modules": "- [-1, 1, nn.modules, []]",
    "base class": "- [-1, 1, nn.Module, []]",
    "a function of torch.nn": "- [-1, 1, nn.factory_kwargs, [{}]]",
    "torchvision by name": "- [-1, 1, torchvision.ops.misc, []]",
    "a helper of the library": "- [-1, 1, attempt_load_weights, ['evil.pt']]",
    "weights from the network": "- [-1, 1, TorchVision, [1024, resnet18, DEFAULT, True, 2, True]]",
    "a list as module": "- [-1, 1, [Conv], [64]]",
    "expression as argument": f"- [-1, 1, Conv, [\"{TOUCH}\", 3]]",
    "a literal hidden in a string": "- [-1, 1, Conv, [\"[64, 3]\", 3]]",
    "a local variable of the parser": "- [-1, 1, Conv, [max_channels, 3]]",
    "the whole document as argument": "- [-1, 1, Conv, [1024, d]]",
    "activation by string": "- [-1, 1, Conv, [1024, 1, 1, None, 1, 1, \"torch.nn.ReLU()\"]]",
    "a table as argument": "- [-1, 1, Conv, [{a: 1}, 3]]",
    "expression as repeats": f"- [-1, \"{TOUCH}\", Conv, [1024]]",
    "expression as from": f"- [\"{TOUCH}\", 1, Conv, [1024]]",
    "python object": "- [-1, 1, Conv, [!!python/object/apply:os.system ['touch canary'], 3]]",
    "a billion repeats": "- [-1, 1000000000, Conv, [1024]]",
    "a billion channels": "- [-1, 1, Conv, [1000000000]]",
    "a huge number": f"- [-1, 1, Conv, [{'9' * 190}]]",
    "an endless number": "- [-1, 1, C2f, [1024, True, 1, .inf]]",
    "no number": "- [-1, 1, C2f, [1024, True, 1, .nan]]",
}  # fmt: skip

LAUGHS = "\n".join(
    ["a0: &a0 [lol, lol]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)), ""]
)

FILES = {
    **{f"activation: {name}": activation(quoted(text)) for name, text in EXPRESSIONS.items()},
    **{f"layer: {name}": row(text) for name, text in ROWS.items()},
    "activation: as a list": activation("[torch.nn.ReLU()]"),
    "activation: as a table": activation("{torch.nn.ReLU(): 1}"),
    "activation: python object": activation(f"!!python/object/apply:os.system ['touch {CANARY}']"),
    "activation: python name": activation("!!python/name:os.system"),
    "activation: local tag": activation("!run torch.nn.ReLU()"),
    "python object as document": f"!!python/object/apply:os.system ['touch {CANARY}']\n".encode(),
    "python object as key": b"? !!python/object/apply:os.getcwd []\n: 1\n" + GOOD.encode(),
    "tag directive": b"%TAG ! tag:yaml.org,2002:python/\n---\n" + GOOD.replace(RELU, "!name:os.system x").encode(),
    "list as key": b"? [a, b]\n: 1\n" + GOOD.encode(),
    "table as key": b"? {a: b}\n: 1\n" + GOOD.encode(),
    "number as key": b"1: 1\n" + GOOD.encode(),
    "merge key": b"<<: {nc: 1}\n" + GOOD.encode(),
    "anchor that holds itself": b"loop: &loop [*loop]\n" + GOOD.encode(),
    "cycle through a table": b"a: &a {b: &b {a: *a, b: *b}}\n" + GOOD.encode(),
    "head that is its own layer": GOOD.replace("head:\n", "head: &h\n  - [*h, 1, Conv, *h]\n").encode(),
    "a billion laughs": LAUGHS.encode() + GOOD.encode(),
    "ten megabytes": GOOD.encode() + b"#" * 10_000_000,
    "one megabyte": GOOD.encode() + b"#" * 1_000_000,
    "100,000 opening brackets": b"nc: " + b"[" * 100_000,
    "100,000 opening braces": b"nc: " + b"{" * 100_000,
    "100,000 nested dashes": b"- " * 100_000,
    "100,000 nested keys": b"? " * 100_000,
    "700 levels of indentation": b"".join(b" " * i + b"a:\n" for i in range(700)),
    "25,000 keys": b"".join(b"k%d: 1\n" % i for i in range(25_000)),
    "one value of 200,000 characters": b"nc: " + b"x" * 200_000,
    "an open quote of 200,000 characters": b"nc: \"" + b"x" * 200_000,
    "empty": b"",
    "only comments": b"# nothing\n\n",
    "only a separator": b"---\n...\n",
    "a scalar": b"just a word\n",
    "a list": b"- 1\n- 2\n",
    "null": b"~\n",
    "zeros": b"\0" * 4096,
    "an ELF file": b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8,
    "a zip file": b"PK\x03\x04" + bytes(range(128, 256)) * 8,
    "a pickle": b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "NUL in the middle": GOOD.encode().replace(b"SPPF", b"SP\0PF"),
    "a terminal's escape sequence": GOOD.encode().replace(b"SPPF", b"\x1b[2JSPPF"),
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-16 without a mark": GOOD.encode("utf-16-le"),
    "UTF-32": GOOD.encode("utf-32"),
    "Latin-1": b"# caf\xe9\n" + GOOD.encode(),
    "carriage return as line break in a comment": GOOD.replace("# 9", f"# 9\ractivation: {TOUCH}").encode(),
    "two documents": GOOD.encode() + b"---\n" + GOOD.encode(),
    "the same key twice": GOOD.encode() + b"activation: torch.nn.SiLU()\n",
    "a key of Python": b"__class__: 1\n" + GOOD.encode(),
    "a key that clears the terminal": b'"\\e[2J\\e]0;owned\\a": 1\n' + GOOD.encode(),
    "a key that runs backwards": "\u202egpj.lmay: 1\n".encode() + GOOD.encode(),
    "a path to import": b"import: os\n" + GOOD.encode(),
    "a weights file": b"pretrained: evil.pt\n" + GOOD.encode(),
}  # fmt: skip


@pytest.mark.timeout(60)  # none may hang
@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
def test_a_malicious_file_is_refused_at_once_and_nothing_of_it_runs(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        graph.load(path)
    lines = str(refused.value).splitlines()
    assert lines and all(line.startswith(("mine.yaml", "…")) for line in lines)
    assert all(len(line) < 400 and line.isprintable() for line in lines)
    assert graph.identity(path, 10).startswith("invalid:")
    assert os.listdir(tmp_path) == ["mine.yaml"]  # noqa: PTH208


def test_the_corpus_is_refused_without_libyaml_too(tmp_path, monkeypatch):
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    spec = importlib.util.spec_from_file_location(strict_yaml.__name__, strict_yaml.__file__)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert issubclass(plain.Loader, yaml.SafeLoader)
    monkeypatch.setattr(located_yaml, "Loader", plain.Loader)
    path = tmp_path / "mine.yaml"
    for name, content in FILES.items():
        path.write_bytes(content)
        with pytest.raises(UserError):
            graph.load(path)
            pytest.fail(f"accepted: {name}")
    path.write_text(GOOD)
    assert graph.load(path)


def test_the_corpus_is_not_refused_for_a_reason_of_its_own(tmp_path):
    """The file that the corpus varies is a good one, so each refusal is about what was put in."""
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert graph.load(tmp_path / "mine.yaml")
    assert len(FILES) >= 25
    assert GOOD.encode() not in FILES.values()


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    path = tmp_path / "mine.yaml"
    os.mkfifo(path)
    with pytest.raises(UserError, match="not a file"):
        graph.load(path)
    assert graph.identity(path, 10) == "missing"


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a file"):
        graph.load(tmp_path)


def test_a_refusal_says_where_and_what(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_bytes(FILES["activation: import and system"])
    with pytest.raises(UserError) as refused:
        graph.load(tmp_path / "mine.yaml")
    assert str(refused.value) == (
        f"mine.yaml:8: activation: '{TOUCH}' is refused and was not run: only torch.nn.Class(numbers) is read, "
        "Class one of ReLU, ReLU6, LeakyReLU, ELU, GELU, SiLU, Mish, Hardswish"
    )
