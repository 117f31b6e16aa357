"""What planning costs: dry runs of this workflow beside a bare one of the same jobs and rules, in one run.

    .venv/bin/python -m tools.bench_parse                              # 6 and 60 variants, 1 and 5 boards
    .venv/bin/python -m tools.bench_parse --variants 600 1000 --rounds 3

The bare workflow has the same rules with the same inputs, outputs, parameters and resources, written out as plain
Snakemake: it shows what Snakemake itself takes. Both are planned in turn. CPU seconds are user and system time of the
process and its children, the least of all rounds; memory is the largest resident size.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pprint
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from workflow.evo.config.boards import board_names
from workflow.evo.config.variants import ROOT, model_file
from workflow.evo.errors import EvoError
from workflow.evo.host.entry_point import entry_point

MIB = 1024  # KiB
CONSTRAINT = re.compile(r"\{(\w+),[^}]*\}")  # as Snakemake writes constraints of wildcards into patterns
GRID = 6  # variants of the default configuration


@dataclass(frozen=True)
class Cost:
    """CPU seconds and MiB of one dry run."""

    cpu_s: float
    rss_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench_parse", description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, nargs="+", default=[6, 60], metavar="N", help="6 at least")
    parser.add_argument("--boards", type=int, nargs="+", default=[1, 5], metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="dry runs each (default: %(default)s)")
    parser.add_argument("--data", type=Path, metavar="FILE", help="dataset YAML (default: the embedded digits)")
    options = parser.parse_args()
    print("| variants × boards | CPU s | bare | ratio | RSS MiB | bare |\n|---|--:|--:|--:|--:|--:|", flush=True)
    for variants in options.variants:
        for boards in options.boards:
            with tempfile.TemporaryDirectory(prefix="evo-parse-") as folder:
                ours, bare = _compare(Path(folder), variants, boards, options)
            print(
                f"| {variants:,} × {boards} | {ours.cpu_s:.2f} | {bare.cpu_s:.2f} | {ours.cpu_s / bare.cpu_s:.2f} "
                f"| {ours.rss_mib:.0f} | {bare.rss_mib:.0f} |",
                flush=True,
            )


def _compare(folder: Path, variants: int, boards: int, options: argparse.Namespace) -> tuple[Cost, Cost]:
    config = _configuration(folder, variants, boards, options.data)
    bare = folder / "bare" / "Snakefile"
    bare.parent.mkdir()
    bare.write_text(_bare(folder, config))
    costs: dict[str, list[Cost]] = {"ours": [], "bare": []}
    _dry_run(ROOT / "Snakefile", folder, "--configfile", str(config))  # what is remembered later is found out here
    for _ in range(options.rounds):
        costs["ours"].append(_dry_run(ROOT / "Snakefile", folder, "--configfile", str(config)))
        costs["bare"].append(_dry_run(bare, bare.parent))
    ours, plain = (min(found, key=lambda cost: cost.cpu_s) for found in costs.values())
    return ours, plain


def _configuration(folder: Path, variants: int, boards: int, data: Path | None) -> Path:
    """Write a configuration with a model file of its own for every variant beyond the grid."""
    text, further = model_file(4, "relu").read_text(), {}
    for number in range(variants - GRID):
        path = folder / f"network_{number}.yaml"
        path.write_text(f"{text}# {number}\n")
        os.utime(path, (0, 0))
        further[f"m{number}"] = {"yaml": str(path)}
    document = {"session": "bench", "models": further, "npu": {"boards": board_names()[:boards]}}
    document |= {"data": str(data.resolve())} if data else {}
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def _dry_run(snakefile: Path, folder: Path, *options: str) -> Cost:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--directory", str(folder)]
    command += ["--dry-run", "--quiet", "all", "--cores", "1", *options]
    process = os.posix_spawn(
        sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    )
    _, status, used = os.wait4(process, 0)
    if status:
        raise EvoError(f"the dry run failed ({os.waitstatus_to_exitcode(status)})", where=snakefile)
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / MIB)


def _bare(folder: Path, config: Path) -> str:
    """Return the workflow as plain Snakemake: what functions give is written out in tables."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

    with _arguments(["snakemake"]), contextlib.chdir(folder), SnakemakeApi(OutputSettings()) as api:
        parsed = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[ROOT / "config" / "config.yaml", config]),
            snakefile=ROOT / "Snakefile",
            workdir=folder,
        )._workflow
        constraints = parsed.wildcard_constraints
        lines = ["wildcard_constraints:", *(f"    {name}={constraints[name]!r}," for name in ("variant", "board"))]
        wildcards = [
            SimpleNamespace(variant=variant, board=board)
            for variant in constraints["variant"].split("|")
            for board in constraints["board"].split("|")
        ]
        for rule in parsed.rules:
            lines.append(_rule(rule, wildcards))
    return "\n".join(lines)


@contextlib.contextmanager
def _arguments(arguments: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before


def _rule(rule: Any, wildcards: list[SimpleNamespace]) -> str:
    """Return one rule as text."""
    tables: list[str] = []
    lines = [f"rule {rule.name}:"]
    if rule.name == "all":
        lines.append("    default_target: True")
    for section in ("input", "output", "log", "params"):
        values = _values(rule, section, getattr(rule, section), wildcards, tables)
        if values:
            lines += [f"    {section}:", *(f"        {value}," for value in values)]
    if rule.benchmark:
        lines.append(f"    benchmark:\n        {_pattern(rule.benchmark)!r}")
    lines.append(f"    priority: {rule.priority}")
    resources = {name: item.raw for name, item in rule.resources.items() if name not in {"_cores", "_nodes", "tmpdir"}}
    numbers = {name: value for name, value in resources.items() if isinstance(value, int)}
    if numbers:
        lines += ["    resources:", *(f"        {name}={value}," for name, value in numbers.items())]
    lines.append(f"    shell:\n        {rule.shellcmd!r}\n" if rule.shellcmd else "")
    return "\n".join([*tables, *lines])


def _values(rule: Any, section: str, values: Any, wildcards: list[SimpleNamespace], tables: list[str]) -> list[str]:
    """Return the lines of one section: positional values first, as Python wants them."""
    shown = [_value(rule, f"{section}_{place}", item, wildcards, tables) for place, item in enumerate(values)]
    positional, named, taken = [], [], set()
    for name, (start, end) in values._get_names():
        places = range(start, start + 1 if end is None else end)
        taken |= set(places)
        text = ", ".join(shown[place] for place in places)
        named.append(f"{name}={text if end is None else f'[{text}]'}")
    positional = [text for place, text in enumerate(shown) if place not in taken]
    return [*positional, *named]


def _value(rule: Any, place: str, value: Any, wildcards: list[SimpleNamespace], tables: list[str]) -> str:
    if callable(value):
        table, by_board = f"{rule.name}_{place}".upper(), "{board" in str(rule.output)
        keys = {f"{each.variant} {each.board if by_board else ''}": each for each in wildcards}
        tables.append(f"{table} = {pprint.pformat({key: _plain(value(each)) for key, each in keys.items()})}")
        return f"lambda w: {table}[w.variant + ' ' + {'w.board' if by_board else repr('')}]"
    if place.startswith("params"):
        return repr(_plain(value))
    flags = getattr(value, "flags", {})
    text = repr(_pattern(value))
    for name, more in (("directory", ""), ("ensure", ", non_empty=True"), ("report", ", category='bench'")):
        text = f"{name}({text}{more})" if name in flags else text
    return text


def _pattern(value: Any) -> str:
    return CONSTRAINT.sub(r"{\1}", str(value))


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


if __name__ == "__main__":
    entry_point(main)
