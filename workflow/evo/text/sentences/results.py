"""Sentences on the state of a variant."""

from __future__ import annotations

from .sentence import says

SENTENCES = {
    "not_run_yet": says("not run yet"),
    "not_finished": says(
        "started %(moment)s, attempt %(attempt)s%(progress)s, not finished%(last)s", moment="date_time"
    ),
    "epochs_so_far": says(", %(epochs)s epochs so far"),
    "last_incident": says("; last incident: %(incident)s"),
    "other_activations": says(
        "best.pt does not have the activations that its level requires: %(parts)s", parts="joined"
    ),
    "part_has": says("%(part)s has %(sites)s", sites="sites"),
    "classes_lost": says("the int8 model lost more than half of the AP50-95 of: %(classes)s", classes="joined"),
    "class_lost": says("'%(name)s' %(float)s to %(int8)s (%(split)s)", float="metric", int8="metric"),
    "of_other_weights": says("%(file)s is of other weights than training.json: run snakemake again"),
    "of_another_model": says("%(file)s is of another model than metadata.json: run snakemake again"),
}
