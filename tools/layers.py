"""The packages of the library in layers, and what breaks them: ``python -m tools.layers``.

An import goes to a lower layer, wherever in a module it is written: none goes up, across a layer, or round. A module at
the root of the library imports such modules only. Files that are too long to be read in one go are listed too.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = Path("workflow", "evo")
TESTS = Path("tests")
LAYERS = (
    ("",),
    ("text",),
    ("config",),
    ("host",),
    ("models", "data"),
    ("evaluation", "npu"),
    ("results",),
    ("deploy", "training"),
    ("session", "search"),
    ("reporting", "monitoring", "plan"),
)
"""Packages of the library, the lowest first; the first one is its root. Those of one layer do not know one another."""

LONGEST = {LIBRARY: 300, TESTS: 500}
"""Lines that a file may have, by folder."""


def level(package: str) -> int | None:
    """Return the layer of a package, from 0; None for one that is in none."""
    return next((number for number, packages in enumerate(LAYERS) if package in packages), None)


def imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name below the library of each import of one of its modules.

    Args:
        path: a Python file of the library.
        root: the folder of the library.
    """
    package = path.relative_to(root).parent.parts
    prefix = ".".join(LIBRARY.parts)
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = (*LIBRARY.parts, *package)[: len(LIBRARY.parts) + len(package) - node.level + 1]
            base = ".".join([*(above if node.level else ()), *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith(f"{prefix}."):
                yield node.lineno, name.removeprefix(f"{prefix}.")


def package_of(module: str, root: Path) -> str:
    """Return the package that a dotted name below the library belongs to; empty for the library's root."""
    first = module.split(".", maxsplit=1)[0]
    return first if (root / first).is_dir() else ""


def violations(top: Path) -> list[str]:
    """Return one line for each import that does not go down, each circle of modules, and each file that is too long."""
    root, found = top / LIBRARY, []
    graph: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        own = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        package = package_of(own, root)
        if level(package) is None:
            found.append(f"{path.relative_to(top)}: package '{package}' is in no layer — add it to tools/layers.py")
            continue
        for line, name in imports(path, root):
            target = package_of(name, root)
            if target == package:
                graph.setdefault(own, set()).add(_module(name, root))
            elif (level(target) or 0) >= (level(package) or 0):
                found.append(f"{path.relative_to(top)}:{line}: '{package or 'the root'}' may not import '{name}'")
    found += [f"{LIBRARY}: modules import one another: {' → '.join(circle)}" for circle in circles(graph)]
    for folder, most in LONGEST.items():
        for path in sorted((top / folder).rglob("*.py")):
            lines = len(path.read_bytes().splitlines())
            if lines > most:
                found.append(f"{path.relative_to(top)}: {lines} lines, {most} are allowed")
    return found


def _module(name: str, root: Path) -> str:
    """Return the module that a dotted name lies in: what is imported may be a name of it."""
    path = root.joinpath(*name.split("."))
    return name if path.with_suffix(".py").is_file() or path.is_dir() else name.rpartition(".")[0]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return one circle for each module that begins one, as the names along it."""
    found: list[list[str]] = []
    done: set[str] = set()

    def follow(module: str, path: list[str]) -> None:
        if module in path:
            circle = [*path[path.index(module) :], module]
            if set(circle) not in [set(other) for other in found]:
                found.append(circle)
            return
        if module in done:
            return
        for target in sorted(graph.get(module, ())):
            follow(target, [*path, module])
        done.add(module)

    for module in sorted(graph):
        follow(module, [])
    return found


def main() -> int:
    """Print the layers with their lines; return 1 when something breaks them."""
    root = ROOT / LIBRARY
    lines: Counter[str] = Counter()
    for path in root.rglob("*.py"):
        lines[package_of(path.relative_to(root).parts[0].removesuffix(".py"), root)] += len(
            path.read_bytes().splitlines()
        )
    for number, packages in enumerate(LAYERS):
        shown = ", ".join(f"{name or 'root'} {lines[name]:,}" for name in packages if lines[name])
        print(f"{number}  {shown}")
    print(f"{sum(lines.values()):,} lines")
    broken = violations(ROOT)
    for line in broken:
        print(f"error: {line}", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
