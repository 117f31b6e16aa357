"""Write requirements.lock and environment.yml from what this Python environment has installed.

Run by ``make lock``. Everything that ``requirements.in`` reaches is pinned, anything else that happens to be installed
is left out.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

LINUX_X86_64 = 'sys_platform == "linux" and platform_machine == "x86_64"'
ONLY_LINUX_X86_64 = re.compile(r"^(nvidia-(?!ml-py)|cuda-|triton$)")
"""Packages with wheels for Linux on x86-64 only: torch's CUDA libraries."""

LOCK_HEADER = """\
# Made by `make lock` from requirements.in: the versions that the tests pass with. Do not edit.
# No hashes and no hosts: torch has another wheel on every platform, and the same lock has to install from a mirror.
"""

ENVIRONMENT = """\
# Made by `make lock`: the same versions as requirements.lock, for conda and mamba. Do not edit.
# Untested: the checks run in the environment that `make setup` makes. Conda supplies Python only, all else comes
# through pip, because several packages are on no conda channel. Every line of the lock is repeated, not referred to:
# Snakemake copies this file elsewhere before it makes the environment of a rule.
name: ethos-vision-optimizer
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def direct_requirements(path: Path) -> list[Requirement]:
    """Return the requirements of a requirements.in, in the order of the file."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def installed(requirement: Requirement) -> importlib.metadata.Distribution:
    """Return the installed distribution that meets ``requirement``.

    Raises:
        SystemExit: it is not installed, or in a version that the requirement forbids.
    """
    try:
        distribution = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"error: '{requirement}' is not installed — run `.venv/bin/pip install -r requirements.in`")
    if not requirement.specifier.contains(distribution.version, prereleases=True):
        sys.exit(f"error: '{requirement}' is wanted, {distribution.version} is installed — install the wanted one")
    return distribution


def reachable(roots: list[Requirement]) -> dict[str, str]:
    """Return ``{name: version}`` of everything that ``roots`` need on this platform, extras included."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    queue = list(roots)
    while queue:
        requirement = queue.pop()
        distribution = installed(requirement)
        found[canonicalize_name(requirement.name)] = distribution.version
        for extra in {"", *requirement.extras}:
            if (key := (canonicalize_name(requirement.name), extra)) in seen:
                continue
            seen.add(key)
            for needed in map(Requirement, distribution.requires or []):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    queue.append(needed)
    return found


def pin(name: str, version: str) -> str:
    """Return one line of the lock."""
    return f"{name}=={version}" + (f" ; {LINUX_X86_64}" if ONLY_LINUX_X86_64.search(name) else "")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    direct = direct_requirements(ROOT / "requirements.in")
    versions = reachable(direct)
    pins = [pin(name, versions[name]) for name in sorted(versions)]
    (ROOT / "requirements.lock").write_text(LOCK_HEADER + "".join(f"{line}\n" for line in pins))
    (ROOT / "environment.yml").write_text(ENVIRONMENT + "".join(f"      - {line}\n" for line in pins))
    print(f"requirements.lock: {len(pins)} packages, {len(direct)} of them direct", file=sys.stderr)


if __name__ == "__main__":
    main()
