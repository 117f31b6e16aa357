"""Write requirements.lock and environment.yml: what requirements.in needs, in one version each, with hashes.

Run by ``make lock``. Versions in the lock stay unless requirements.in asks for others, or ``--upgrade`` names them. uv
resolves for every platform and supported Python at once, and takes the hashes of their files from the index.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LOCK_HEADER = """\
# Made by `make lock` from requirements.in: the versions that the tests pass with, and the SHA-256 of every file that
# may be installed for them. pip refuses any other. Do not edit.
"""

ENVIRONMENT = """\
# Made by `make lock`: the same versions as requirements.lock, for conda and mamba. Do not edit.
# Untested: the checks run in the environment that `make setup` makes. Conda supplies Python only, all else comes
# through pip, because several packages are on no conda channel. Every line of the lock is repeated, not referred to:
# Snakemake copies this file elsewhere before it makes the environment of a rule. The hashes are in the lock only.
name: ethos-vision-optimizer
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""

PIN = re.compile(r"^[a-z0-9][^\s;]*==[^\s;]+(?: ; [^\\\n]+)?", re.M)
"""The first line of an entry of the lock, without its hashes."""


def resolve(upgrade: list[str]) -> str:
    """Return the entries of the lock.

    Args:
        upgrade: packages to take in their newest version; ``all`` for every one.

    Raises:
        SystemExit: nothing fits requirements.in, or the index cannot be reached; uv has said which.
    """
    lock = ROOT / "requirements.lock"
    upgrades = ["--upgrade"] if "all" in upgrade else [f"--upgrade-package={name}" for name in upgrade]
    command = [
        str(Path(sys.executable).parent / "uv"),
        *("pip", "compile", "--universal", "--generate-hashes", "--python-version", "3.11"),
        *("--no-header", "--no-annotate", "--quiet", "--no-cache", *upgrades),
        *("--output-file", str(lock), str(ROOT / "requirements.in")),
    ]
    if done := subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(done)
    return lock.read_text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", nargs="+", default=[], metavar="NAME", help="packages to move; `all` for all")
    entries = resolve(parser.parse_args().upgrade)
    pins = [pin.strip() for pin in PIN.findall(entries)]
    (ROOT / "requirements.lock").write_text(LOCK_HEADER + entries)
    (ROOT / "environment.yml").write_text(ENVIRONMENT + "".join(f"      - {pin}\n" for pin in pins))
    print(f"requirements.lock: {len(pins)} packages, {entries.count('--hash=')} files", file=sys.stderr)


if __name__ == "__main__":
    main()
