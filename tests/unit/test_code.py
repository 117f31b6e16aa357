"""What counts as the code of a stage."""

import pytest

from workflow.evo.session import code


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of a script, a module with a template that it imports within a function, and what runs it."""
    files = {
        "workflow/__init__.py": "",
        "workflow/scripts/__init__.py": "",
        "workflow/scripts/draw.py": "from workflow.evo.host import console\nfrom workflow.evo.data.ink import INK\n",
        "workflow/evo/__init__.py": "",
        "workflow/evo/errors.py": "class Oops(Exception): pass\n",
        "workflow/evo/host/__init__.py": "",
        "workflow/evo/host/console.py": "def log(): pass\n",
        "workflow/evo/data/__init__.py": "",
        "workflow/evo/data/ink.py": "from ..errors import Oops\nINK = 1\n\ndef late():\n    from .paper import SIZE\n",
        "workflow/evo/data/paper.py": '"""Paper."""\nSIZE = 4  # A4\n',
        "workflow/evo/data/other.py": "OTHER = 1\n",
        "workflow/evo/data/templates/page.j2": "page\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    return tmp_path


def draw() -> str:
    code.module_hash.cache_clear()
    code._memory.cache_clear()
    return code.code_of("draw")


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("scripts/draw.py", "INK", "INK as I"),
        ("evo/data/ink.py", "INK = 1", "INK = 2"),
        ("evo/data/paper.py", "SIZE = 4", "SIZE = 3"),
        ("evo/data/templates/page.j2", "page", "Page"),
    ],
)
def test_what_a_script_imports_in_any_place_is_its_code(project, file, old, new):
    before = draw()
    change(project / "workflow" / file, old, new)
    assert draw() != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("evo/data/paper.py", "# A4", "# of a block"),
        ("evo/data/paper.py", "Paper.", "What is drawn on."),
        ("evo/data/other.py", "OTHER = 1", "OTHER = 2"),
        ("evo/host/console.py", "pass", "print()"),
        ("evo/errors.py", "Oops(Exception)", "Oops(ValueError)"),
    ],
)
def test_comments_docstrings_other_modules_and_what_carries_a_stage_out_are_not(project, file, old, new):
    before = draw()
    change(project / "workflow" / file, old, new)
    assert draw() == before


def test_a_touched_file_is_the_same_code_and_is_not_parsed_again(project, monkeypatch):
    monkeypatch.setattr("workflow.evo.remembered.SETTLED_NS", -1_000_000_000)
    before = draw()
    monkeypatch.setattr(code, "_read", pytest.fail)
    assert draw() == before


def test_the_stages_of_this_project_do_not_depend_on_how_a_training_is_run():
    for rule in ("validate_model", "evaluate", "export_int8"):
        assert len(code.code_of(rule)) == 64
    tree = {name for name in code.closure("workflow.scripts.evaluate") if name.startswith("workflow.evo.training")}
    assert tree == set()
