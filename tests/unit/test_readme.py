"""The README and its pages in two languages: the same structure, commands and links, and every link leads somewhere."""

import re
from pathlib import Path

import pytest

from workflow.evo.config.variants import ROOT

ENGLISH, KOREAN = "README.md", "README.ko.md"
PAIRS = {
    ENGLISH: KOREAN,
    **{f"docs/{path.name}": f"docs/ko/{path.name}" for path in sorted((ROOT / "docs/ko").glob("*.md"))},
}
PAGES = [*PAIRS, *PAIRS.values(), "CONTRIBUTING.md", "config/README.md", "docs/levels.md"]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def targets(name: str) -> list[str]:
    """Return what a page links to, below the root; of a page in Korean the English one, without the other language."""
    found = []
    for link in LINK.findall((ROOT / name).read_text()):
        if not link.startswith("http"):
            target = (ROOT / name).parent.joinpath(link).resolve().relative_to(ROOT).as_posix()
            found.append({korean: english for english, korean in PAIRS.items()}.get(target, target))
    own = {korean: english for english, korean in PAIRS.items()}.get(name, name)
    return sorted(target for target in found if target not in {own, ENGLISH})


def blocks(text: str) -> list[str]:
    """Return what a reader may copy: indented and fenced blocks of code, in order."""
    fenced = re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [block.strip("\n") for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", rest, re.MULTILINE)] + fenced


def structure(text: str) -> dict[str, list]:
    """Return what has to be equal in every language."""
    lines = text.splitlines()
    prose = re.sub(r"^ {4}.*$|^```[\s\S]*?^```", "", text, flags=re.MULTILINE)
    return {
        "levels of the headings": [line.split(" ", 1)[0] for line in lines if re.match(r"#+ ", line)],
        "blocks of code": blocks(text),
        "points of the lists": [line.split("**")[1] for line in lines if line.startswith("- **")],
        "number of points": [sum(line.startswith("- ") for line in lines)],
        "rows of the tables": [sum(line.startswith("|") for line in lines)],
        "commands and keys": sorted(set(re.findall(r"`([^`]+)`", " ".join(prose.split())))),
    }


@pytest.mark.parametrize("part", list(structure("")))
@pytest.mark.parametrize("name", PAIRS)
def test_both_languages_have_the_same(name, part):
    english, korean = (structure((ROOT / page).read_text()) for page in (name, PAIRS[name]))
    assert korean[part] == english[part], f"{PAIRS[name]} is not in step with {name}: {part}"


@pytest.mark.parametrize("name", PAIRS)
def test_both_languages_link_to_the_same(name):
    assert targets(name) == targets(PAIRS[name])


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file(name):
    links = [link for link in LINK.findall((ROOT / name).read_text()) if not link.startswith("http")]
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_and_script_named_in_a_page_exists(name):
    text = (ROOT / name).read_text()
    made = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", text, re.M)) <= made
    for module in re.findall(r"-m (workflow\.scripts\.\w+|tools\.\w+)", text):
        assert Path(ROOT, *module.split(".")).with_suffix(".py").is_file(), module


def test_the_readme_is_a_screen():
    assert len((ROOT / ENGLISH).read_text().splitlines()) <= 80


@pytest.mark.parametrize(("name", "other"), [(ENGLISH, KOREAN), (KOREAN, ENGLISH)])
def test_each_language_links_to_the_other_at_the_top(name, other):
    assert f"]({other})" in "".join((ROOT / name).read_text().splitlines()[:4])


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda text: text.replace("\n## ", "\n### ", 1), "levels of the headings"),
        (lambda text: text.replace("    make demo ", "    make demos ", 1), "blocks of code"),
        (lambda text: text.replace("`make setup`", "`make`"), "commands and keys"),
        (lambda text: text.replace("- [", "["), "number of points"),
    ],
)
def test_a_difference_between_the_languages_is_found(change, part):
    text = (ROOT / KOREAN).read_text()
    changed = change(text)
    assert changed != text
    assert structure(changed)[part] != structure(text)[part]
