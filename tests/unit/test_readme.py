"""The README in two languages: the same structure, commands and links."""

import re

import pytest

from workflow.evo.config.variants import ROOT

ENGLISH, KOREAN = "README.md", "README.ko.md"


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
        "links": sorted(target for target in re.findall(r"\]\(([^)]+)\)", text) if target not in {ENGLISH, KOREAN}),
    }


@pytest.mark.parametrize("part", list(structure("")))
def test_both_languages_have_the_same(part):
    english, korean = (structure((ROOT / name).read_text()) for name in (ENGLISH, KOREAN))
    assert korean[part] == english[part], f"{KOREAN} is not in step with {ENGLISH}: {part}"


@pytest.mark.parametrize(("name", "other"), [(ENGLISH, KOREAN), (KOREAN, ENGLISH)])
def test_each_language_links_to_the_other_at_the_top(name, other):
    assert f"]({other})" in "".join((ROOT / name).read_text().splitlines()[:4])


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda text: text.replace("\n## ", "\n### ", 1), "levels of the headings"),
        (lambda text: text.replace("    make demo ", "    make demos ", 1), "blocks of code"),
        (lambda text: text.replace("`make setup`", "`make`"), "commands and keys"),
        (lambda text: text.replace("(config/README.md)", "(config)"), "links"),
        (lambda text: text.replace("- **train**", "**train**"), "number of points"),
    ],
)
def test_a_difference_between_the_languages_is_found(change, part):
    text = (ROOT / KOREAN).read_text()
    changed = change(text)
    assert changed != text
    assert structure(changed)[part] != structure(text)[part]
