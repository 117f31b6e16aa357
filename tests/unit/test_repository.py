"""What holds for the repository as a whole: its files, its pinned environment, its commands."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workflow import evo
from workflow.evo.config.variants import ROOT


def repository_files():
    """Return every file that is tracked, or would be: nothing that git ignores."""
    # The checkout may belong to another user, as in a container: that is no reason to refuse listing it.
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def texts():
    """Yield ``(path, text)`` of the repository's text files."""
    for path in repository_files():
        try:
            yield path.relative_to(ROOT), path.read_text()
        except UnicodeDecodeError:
            continue


def requirements(name):
    """Return ``{canonical name: requirement}`` of a requirements file, hashes left aside."""
    text = re.sub(r" \\\n +--hash=\S+", "", (ROOT / name).read_text())
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {canonicalize_name(item.name): item for item in map(Requirement, filter(None, lines))}


DIRECT = requirements("requirements.in")
LOCK = requirements("requirements.lock")


def version(requirement):
    """Return the one version that a requirement pins."""
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    return pin.version


# Files


def test_every_file_is_smaller_than_a_megabyte():
    assert {str(path): size for path in repository_files() if (size := path.stat().st_size) >= 1_000_000} == {}


def test_no_file_names_a_package_registry_or_a_place_on_somebodys_machine():
    # Put together here, so that this file does not match itself.
    hosts = [r"py" + r"pi\.org", r"python" + r"hosted\.org", r"anaconda" + r"\.org", r"download\.py" + r"torch"]
    homes = [rf"(?<![\w.*/}}])/{folder}/" for folder in ("ro" + "ot", "ho" + "me", "Us" + "ers")]
    here = rf"(?<![\w.*/}}]){re.escape(str(ROOT))}(?![\w.-])"
    forbidden = re.compile("|".join([*hosts, *homes, here]))
    found = {str(path): match.group() for path, text in texts() if (match := forbidden.search(text))}
    assert found == {}


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "LICENSE",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "Makefile",
        "Snakefile",
        "pyproject.toml",
        "requirements.in",
        "requirements.lock",
        "environment.yml",
        "profiles/default/config.yaml",
        "config/README.md",
        "config/config.yaml",
        "config/demo.yaml",
        ".ci/run",
        ".github/workflows/ci.yml",
        ".pre-commit-config.yaml",
    ],
)
def test_a_file_that_people_look_for_is_there(name):
    assert (ROOT / name).stat().st_size > 0


def test_the_licence_is_the_whole_agpl():
    text = (ROOT / "LICENSE").read_text()
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in text
    assert "Version 3, 19 November 2007" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_version_and_licence_are_stated_once_and_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert evo.__version__ == project["version"] == citation["version"]
    assert project["license"] == citation["license"] == "AGPL-3.0-or-later"
    assert f"## [{evo.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


# Layers


def imports(path):
    """Return the names of the top-level packages that a Python file imports, wherever it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_the_library_imports_no_snakemake():
    assert [path for path in (ROOT / "workflow" / "evo").rglob("*.py") if "snakemake" in imports(path)] == []


def test_every_import_is_a_direct_dependency():
    own = {"workflow", "tests", "tools", "conftest", "snakemake_interface_executor_plugins"}  # a part of Snakemake
    own |= {path.stem for path in (ROOT / "tests").rglob("*.py")}
    providers = importlib.metadata.packages_distributions()
    unlisted = {}
    for path in repository_files():
        if path.suffix == ".py":
            for name in imports(path) - own - sys.stdlib_module_names:
                if not {canonicalize_name(provider) for provider in providers.get(name, [])} & DIRECT.keys():
                    unlisted.setdefault(name, str(path.relative_to(ROOT)))
    assert unlisted == {}


# The environment


def test_the_lock_pins_everything_and_meets_what_is_asked_for():
    for name, requirement in LOCK.items():
        assert version(requirement), name
    for name, requirement in DIRECT.items():
        assert requirement.specifier.contains(version(LOCK[name])), name


def test_every_entry_of_the_lock_has_the_hashes_of_its_files():
    text = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^[a-z0-9].*(?:\n .*)*", text, re.M)
    assert len(entries) == len(LOCK)
    bare = [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry)]
    assert bare == []


def test_setup_installs_nothing_without_a_hash():
    installs = re.findall(r"^.*-m pip install.*$", (ROOT / "Makefile").read_text(), re.M)
    assert installs
    assert [line for line in installs if "--require-hashes" not in line] == []


def test_the_cuda_libraries_are_asked_for_on_linux_only():
    bound = {name for name in LOCK if re.match(r"nvidia-(?!ml-py)|cuda-|triton$", name)}
    assert bound
    assert not any(LOCK[name].marker.evaluate({"sys_platform": "darwin"}) for name in bound)
    assert all(LOCK[name].marker.evaluate({"platform_machine": "x86_64", "sys_platform": "linux"}) for name in bound)


def test_the_lock_is_what_runs_here():
    here = {name: version(item) for name, item in LOCK.items() if not item.marker or item.marker.evaluate()}
    assert {name: importlib.metadata.version(name) for name in here} == here


def test_the_conda_environment_equals_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert {canonicalize_name(item.name): item for item in map(Requirement, pip)} == LOCK
    assert set(DIRECT) <= set(LOCK)


# The commands

WITHOUT_MAKE = {
    key: value
    for key, value in os.environ.items()
    if key not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "CORES"}
}

STUB = """\
#!/bin/sh
# Stands for Python, both outside and inside of .venv: says what it was asked to do and makes an empty environment.
case "$1 $2" in
  "-m venv")
    echo "venv" >> calls
    rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python
    echo "command = python -m venv $(pwd -P)/.venv" > .venv/pyvenv.cfg ;;
  "-m pip")
    for last; do :; done
    echo "pip $last" >> calls
    [ ! -e no-network ] || { echo "ERROR: no network" >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder, with spaces in its name, that holds the Makefile, a short lock and a stand-in for Python."""
    folder = tmp_path / "my own checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.lock").write_text(
        "iniconfig==2.3.1 \\\n    --hash=sha256:00\n"
        "torch==2.14.1 \\\n    --hash=sha256:01 \\\n    --hash=sha256:02\n"
        "torchao==0.18.0 \\\n    --hash=sha256:03\n"
        "torchvision==0.29.1 \\\n    --hash=sha256:04\n"
    )
    (folder / "stub").write_text(STUB)
    (folder / "stub").chmod(0o755)
    return folder


def make(folder, *arguments):
    """Run make and return ``(exit code, output, what the stand-in was called for)``."""
    (folder / "calls").write_text("")
    run = subprocess.run(
        ["make", *arguments], cwd=folder, env=WITHOUT_MAKE, capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout + run.stderr, (folder / "calls").read_text().splitlines()


def setup(folder):
    return make(folder, "setup", f"PYTHON={folder / 'stub'}")


INSTALL = ["pip .venv/.torch.lock", "pip requirements.lock"]


def test_setup_installs_torch_first_and_then_the_lock(checkout):
    code, output, calls = setup(checkout)
    assert code == 0, output
    assert calls == ["venv", *INSTALL]
    assert "2 minutes and 7 GB" in output
    torch = (checkout / ".venv" / ".torch.lock").read_text()
    assert re.findall(r"^\w+==|(?<=sha256:)\d+", torch, re.M) == ["torch==", "01", "02", "torchvision==", "04"]


def test_setup_does_nothing_when_the_lock_has_not_changed(checkout):
    setup(checkout)
    (checkout / "requirements.lock").touch()
    assert setup(checkout) == (0, "", [])


def test_setup_installs_again_into_the_same_environment_when_the_lock_has_changed(checkout):
    setup(checkout)
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("rich==15.0.0\n")
    assert setup(checkout)[2] == INSTALL
    assert setup(checkout)[2] == []


def test_an_interrupted_setup_starts_over(checkout):
    (checkout / "no-network").touch()
    code, output, _ = setup(checkout)
    assert code != 0
    assert "ERROR: no network" in output
    (checkout / "no-network").unlink()
    assert setup(checkout)[2] == ["venv", *INSTALL]
    assert setup(checkout)[2] == []


def test_a_lost_environment_is_made_again(checkout):
    setup(checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    assert setup(checkout)[2] == ["venv", *INSTALL]


def test_clean_keeps_the_results_and_the_environment(checkout):
    setup(checkout)
    for kept in (checkout / "results" / "v3", checkout / ".snakemake"):
        kept.mkdir(parents=True)
    (checkout / ".ruff_cache").mkdir()
    for folder in ("workflow", "tests", "tools"):
        (checkout / folder / "__pycache__").mkdir(parents=True)
    (checkout / "conftest.py").touch()
    code, output, _ = make(checkout, "clean")
    assert code == 0, output
    assert (checkout / "results" / "v3").is_dir()
    assert (checkout / ".snakemake").is_dir()
    assert (checkout / ".venv" / "bin" / "python").exists()
    assert not (checkout / ".ruff_cache").exists()
    assert not (checkout / "workflow" / "__pycache__").exists()


@pytest.mark.parametrize("python", ["false", "no-such-python"])
def test_an_unfit_python_is_refused_with_what_to_do(checkout, python):
    code, output, calls = make(checkout, "demo", f"PYTHON={python}")
    assert code == 2
    assert (
        f"'{python}' is not Python 3.11, 3.12 or 3.13 — install one and name it: make demo PYTHON=python3.11" in output
    )
    assert calls == []
    assert not (checkout / ".venv").exists()


def test_help_is_what_make_alone_does_and_lists_every_target(checkout):
    code, output, _ = make(checkout)
    assert code == 0
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert re.findall(r"^  ([a-z-]+) ", output, re.M) == phony


def test_the_public_checks_are_those_of_ci_run():
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert re.findall(r"^make .*$", script, re.M) == ["make lint", "make test"]
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step] == [
        "make lint",
        "make test",
    ]


def test_the_commit_hooks_are_commands_of_make_lint():
    makefile = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        command = hook["entry"].replace(" --force-exclude", "").replace(" -q", "")
        assert command in makefile, hook["id"]


def test_every_action_of_the_continuous_integration_is_pinned_by_its_commit():
    """A tag can be moved to other code; the version stands behind it for people."""
    used = [
        line.split("uses:")[1].strip()
        for path in (ROOT / ".github" / "workflows").glob("*.y*ml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []


def test_no_other_code_opens_a_checkpoint():
    """What is not judged first may run code, or take the process down."""
    calls = re.compile(r"torch\.load\(|torch_load\(|torch_safe_load|strip_optimizer\(|jit\.load\(|pickle\.loads?\(")
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "workflow").rglob("*.py")
        if calls.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"workflow/evo/models/checkpoint_loader.py"}
