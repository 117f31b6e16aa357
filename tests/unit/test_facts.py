import json
import re

import pytest

from workflow.evo.data.findings import SEVERITIES
from workflow.evo.text import facts, sentences
from workflow.evo.text.facts import Fact, fact, of_document, sentence
from workflow.evo.text.language import Language
from workflow.evo.text.sentences import SENTENCES
from workflow.evo.text.sentences.sentence import says, says_of
from workflow.evo.text.wording import FIGURES


@pytest.fixture
def table(monkeypatch):
    entries = {
        "missed": says("%(found)s of %(what)s", found="percent"),
        "left": says_of("%(number)s image of %(names)s", "%(number)s images of %(names)s", "number"),
    }
    monkeypatch.setattr(facts, "SENTENCES", {**SENTENCES, **entries})


@pytest.mark.usefixtures("table")
def test_a_fact_is_said_by_the_entry_of_its_code():
    assert sentence(fact("missed", found=84.96, what="operators")) == "85.0 % of operators"
    assert sentence(fact("missed", found=84.96, what="operators"), Language("ko")) == "85.0% of operators"
    assert str(fact("left", number=1, names=["a"])) == "1 image of a"
    assert str(fact("left", number=3, names=["a", "b", "c"])) == "3 images of a, b and c"


@pytest.mark.usefixtures("table")
def test_facts_within_facts_and_lists_survive_json():
    found = fact("at_board", board="u55", what=fact("missed", found=1, what="x"))
    assert of_document(json.loads(json.dumps(found.document()))) == found
    assert sentence(found.document()) == "u55: 1.0 % of x"


def test_a_code_or_a_parameter_that_no_sentence_has_is_refused():
    with pytest.raises(KeyError):
        fact("no_such_code")
    with pytest.raises(TypeError, match="quoted takes"):
        fact("quoted", words="x")


def test_a_code_of_another_version_is_shown_as_it_is():
    assert sentence(Fact("from_the_future", {"number": 3})) == "from_the_future, number 3"


@pytest.mark.parametrize("code", SENTENCES)
def test_every_entry_names_figures_that_there_are_and_parameters_that_it_has(code):
    entry = SENTENCES[code]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", code)
    assert set(entry.figures.values()) <= set(FIGURES)
    assert set(entry.figures) <= entry.parameters


def test_no_two_subjects_share_a_code():
    tables = [module.SENTENCES for module in vars(sentences).values() if hasattr(module, "SENTENCES")]
    assert sum(map(len, tables)) == len(SENTENCES)


def test_every_finding_on_a_dataset_has_a_sentence_and_a_severity():
    assert set(SEVERITIES) == set(sentences.dataset.SENTENCES)
