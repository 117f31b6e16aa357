"""The table of stages against the rules, as Snakemake reads them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, environment
from tests.quick_python import quick_python
from workflow.evo.layout import SessionLayout
from workflow.evo.results.stages import BOARD, SESSION, STAGES, VARIANT

RULES = """
import json, re, sys
from pathlib import Path
from snakemake.api import OutputSettings, ResourceSettings, SnakemakeApi

snakefile, sys.argv = Path(sys.argv[1]), ["snakemake"]
plain = lambda path: re.sub(r"\\{(\\w+),[^}]*\\}", r"{\\1}", str(path))
with SnakemakeApi(OutputSettings()) as api:
    flow = api.workflow(ResourceSettings(cores=1), snakefile=snakefile)._get_workflow(check_envvars=False)
    flow.include(snakefile, overwrite_default_target=True, print_compilation=False)
    rules = {
        rule.name: {
            "inputs": [plain(path) for path in rule.input if not callable(path)],
            "outputs": sorted(map(plain, rule.output)),
            "wildcards": sorted(rule.wildcard_names),
            "log": list(map(plain, rule.log)),
            "benchmark": plain(rule.benchmark),
            "gpu": "gpu" in rule.resources,
        }
        for rule in flow.rules
    }
print(json.dumps(rules))
"""
WILDCARDS = {SESSION: [], VARIANT: ["variant"], BOARD: ["board", "variant"]}
TARGETS = {"all", "check"}
"""Rules that only name targets."""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    done = subprocess.run(
        [quick_python(small=True), "-c", RULES, ROOT / "Snakefile"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_rules_are_the_stages(rules):
    assert set(rules) - TARGETS == {stage.rule for stage in STAGES}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.rule)
def test_a_rule_has_the_outputs_wildcards_logs_and_gpu_token_of_its_stage(rules, stage):
    rule, session = rules[stage.rule], SessionLayout(Path("results/v3"))
    names = [f"{{{name}}}" if name in WILDCARDS[stage.scope] else None for name in ("variant", "board")]
    assert rule["wildcards"] == WILDCARDS[stage.scope]
    assert rule["outputs"] == sorted(map(str, stage.paths(session, *names)))
    assert rule["log"] == [str(stage.log(session, *names))]
    assert rule["benchmark"] == str(stage.benchmark(session, *names))
    assert rule["gpu"] is stage.gpu


@pytest.mark.parametrize("stage", [s for s in STAGES if s.scope != SESSION and s.fails_variant], ids=lambda s: s.rule)
def test_a_report_waits_for_every_stage_whose_failure_it_shows(rules, stage):
    session = SessionLayout(Path("results/v3"))
    output = stage.output(session, "{variant}", "preset-u55-256")
    assert (str(output) in rules["render_report"]["inputs"]) is not stage.before_training_only


def test_no_two_stages_of_a_variant_share_a_letter():
    letters = [stage.letter for stage in STAGES if stage.scope != SESSION]
    assert len(set(letters)) == len(letters)
