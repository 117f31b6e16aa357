"""What a stage's code is: a hash over all that its script imports, so that other code makes its results again.

Imports are followed through this project, wherever in a module they are written. What a module says in comments and
docstrings does not matter, nor what only carries a stage out: reading the command line, running a process, writing
files (`CARRIES_OUT`). A training is not concerned: its recipe has a version of its own.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from ..data.source import CACHE
from ..files import sha256_file, sha256_json
from ..remembered import FileMemory

ROOT = Path(__file__).resolve().parents[3]
PROJECT = "workflow"

CARRIES_OUT = ("workflow.evo.host", "workflow.evo.session", "workflow.evo.training")
"""Packages, besides the modules at the root of the library and the configuration's own reader, that decide how a stage
runs and not what it finds."""
READER = ("workflow.evo.config.session", "workflow.evo.config.loading")

WORDS = "workflow.evo.text.facts"
RENDERS = ("workflow.evo.reporting", "workflow.evo.deploy", "workflow.evo.text")
"""What shows facts as sentences. Elsewhere a fact is data, and its sentence, on a terminal, is not part of a result."""

MEMORY = "code.json"
VERSION = "1"


def code_of(rule: str) -> str:
    """Return a hash of the code of a stage: its script, what that imports, and the templates beside those modules."""
    return module_hash(f"{PROJECT}.scripts.{rule}")


@cache
def module_hash(module: str) -> str:
    """Return a hash of a module and of all modules of this project that it imports, directly or not."""
    found = closure(module)
    return sha256_json({**found, **_companions(found)})


def closure(module: str) -> dict[str, str]:
    """Return the hash of a module and of each that it imports, directly or not, by name."""
    memory = _memory()
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _file(name)
        digest, imports = json.loads(memory.ask(path, partial(_read, module=name)))
        found[name] = digest
        waiting += [other for other in imports if not _carries_out(other) and (other != WORDS or _renders(name))]
    memory.save()
    return found


@cache
def _memory() -> FileMemory:
    return FileMemory(CACHE / MEMORY, VERSION)


def _renders(module: str) -> bool:
    return module.startswith(RENDERS)


def _carries_out(module: str) -> bool:
    return module in READER or module.startswith(CARRIES_OUT) or module.count(".") < 3


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _is_module(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] == PROJECT and _file(module).is_file()


def _read(path: Path, module: str) -> str:
    """Return ``[hash of the code, modules that it imports]`` of a file, as JSON."""
    tree = ast.parse(path.read_bytes())
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    imports = sorted({name for node in ast.walk(tree) for name in _imported(node, package) if _is_module(name)})
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [part for part in node.body if not _is_text(part)]
    return json.dumps([hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports])


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _companions(modules: dict[str, str]) -> dict[str, str]:
    """Return the hashes of what lies beside modules and is not a module: templates, styles and scripts of pages."""
    folders = {_file(module).parent / name for module in modules for name in ("templates", "static")}
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix(): sha256_file(path) for path in files if "__pycache__" not in path.parts}
