"""A short campaign of kills, and proof that the campaign would notice."""

from __future__ import annotations

import signal

from tools import faults
from tools.faults import SETUPS, Kill, differences, outcome, uninterrupted

SHORT = SETUPS[1:4]
"""SGD with an accumulation of 5, AdamW with two data loader processes, an end-to-end head."""


def test_twelve_kills_at_random_instants_change_no_bit(tmp_path, capsys):
    trials = faults.campaign(tmp_path, 12, seed=0, setups=SHORT)
    assert sum(len(trial.kills) for trial in trials) == 12
    assert {trial.setup for trial in trials} == set(SHORT)
    assert [trial.differences for trial in trials] == [()] * len(trials), faults.table(trials)


def killed_after_three_epochs(bench, session, prepare=lambda: None):
    assert bench.train(session, prepare, Kill("rename", 3, 0.0)) == -signal.SIGKILL
    assert bench.train(session, prepare) == 0


def lose_gradients():
    from workflow.evo.training import trainer

    trainer.restore_gradients = lambda *_: None


def draw_anew():
    from workflow.evo.training import trainer

    trainer.begin_epoch = lambda loader, seed, epoch: None


def test_the_comparison_notices_lost_gradients_and_other_random_numbers(bench):
    session = bench.session(SETUPS[1])
    reference, _ = uninterrupted(bench, session)
    for sabotage, what in ((lose_gradients, "state/model/"), (draw_anew, "results.csv/4")):
        bench.clear(session)
        killed_after_three_epochs(bench, session, sabotage)
        found = differences(reference, outcome(session))
        assert any(name.startswith(what) for name in found), sabotage
    bench.clear(session)
    killed_after_three_epochs(bench, session)
    assert differences(reference, outcome(session)) == []
