"""Many dry runs at the price of few: a process that has imported Snakemake once and forks for each of them.

Every run is Snakemake's own, with its command line, in a process and a working directory of its own. Packages can be
given other versions than those that are installed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import environment


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str


class DryRuns:
    """The process; use it as a context."""

    def __enter__(self) -> DryRuns:
        command = [sys.executable, "-m", "tests.workflow.dry_runs"]
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(), "PYTHONPATH": str(root)},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, folder: Path, arguments: Sequence[str], versions: Mapping[str, str] | None = None) -> Outcome:
        """Call ``snakemake`` with ``arguments`` in ``folder``, as if packages were installed in ``versions``."""
        request = {"folder": str(folder), "arguments": [*map(str, arguments)], "versions": dict(versions or {})}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


def _serve() -> None:
    import jinja2  # noqa: F401  the Snakefile imports the workflow's own modules: they are of the checkout that it is of
    import jsonschema  # noqa: F401
    import psutil  # noqa: F401
    import snakemake.cli  # noqa: F401
    import yaml  # noqa: F401

    sys.path.remove(os.environ.pop("PYTHONPATH"))
    own = [name for name in sys.modules if name.split(".")[0] in {"tests", "workflow"}]
    for name in own:
        del sys.modules[name]
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                os._exit(_call(request))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read())
        print(json.dumps({"code": code, "stdout": texts[0], "stderr": texts[1]}), flush=True)


def _call(request: Mapping) -> int:
    from snakemake.cli import main

    installed = importlib.metadata.version
    importlib.metadata.version = lambda name: request["versions"].get(name) or installed(name)
    os.chdir(request["folder"])
    sys.argv = ["snakemake", *request["arguments"]]
    try:
        main(request["arguments"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    _serve()
