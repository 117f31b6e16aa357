"""Evaluate one trained variant: metrics, host speed, curves, confusion matrix and prediction mosaics."""

from __future__ import annotations

from workflow.evo.data.source import checked_hashes
from workflow.evo.evaluation.detector import check_unchanged
from workflow.evo.evaluation.matches import write_matches
from workflow.evo.evaluation.validation import evaluate
from workflow.evo.files import read_json, write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.host.gpu import lease
from workflow.evo.host.process import die_with_parent
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import session_and_variant, variant_parser
from workflow.evo.session.triggers import evaluation_identity


def main() -> None:
    die_with_parent()
    parser = variant_parser(
        "evaluate",
        "Evaluate best.pt of a variant on val, and on test when the dataset has it, as `yolo val` does. "
        "Writes results/{session}/{variant}/evaluate/metrics.json, curves.json, matches.npz and plots/.",
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="torch threads on a CPU (default: 1)")
    arguments = parser.parse_args()
    session, variant = session_and_variant(arguments)
    layout = session.layout.variant(variant.name)
    training = read_json(layout.training, "training")
    check_unchanged(layout.best, training["weights"]["best"])
    data = checked_hashes(session)
    with (
        lease(session.train.device, log_line) as gpu,
        ultralytics_env.offline(max(arguments.threads, 1)),
    ):
        # The leased GPU is the only visible one, whatever its number in the configuration.
        placement = {key: value for key, value in session.train.arguments.items() if not (gpu and key == "device")}
        document, curves, matches = evaluate(
            layout.best, session.layout.dataset_yaml, session.splits, placement, layout.evaluate
        )
    write_matches(layout.matches, curves["weights_sha256"], matches)
    write_json(layout.curves, "curves", curves)
    write_json(layout.metrics, "metrics", {"made_of": evaluation_identity(session, data, "evaluate"), **document})
    log_line(f"evaluate: wrote {layout.metrics}")


if __name__ == "__main__":
    entry_point(main)
