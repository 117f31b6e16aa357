"""Evaluate the int8 model of one variant, before Vela, and its float weights on the same square input."""

from __future__ import annotations

from workflow.evo.data.source import checked_hashes
from workflow.evo.evaluation.detector import check_unchanged
from workflow.evo.evaluation.int8 import check_collapse, check_model, evaluate_int8
from workflow.evo.evaluation.matches import write_matches
from workflow.evo.files import read_json, write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import session_and_variant, variant_parser
from workflow.evo.session.triggers import evaluation_identity


def main() -> None:
    parser = variant_parser(
        "evaluate_int8",
        "Evaluate model_int8.tflite of a variant on val, and on test when the dataset has it, and best.pt on the same "
        "square input. Writes results/{session}/{variant}/npu/metrics_int8.json and matches_int8.npz. Fails, after "
        "writing them, when the int8 model has lost a class that the float network finds.",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="interpreters side by side, and torch threads (default: 1)"
    )
    arguments = parser.parse_args()
    session, variant = session_and_variant(arguments)
    layout = session.layout.variant(variant.name)
    training, metadata = read_json(layout.training, "training"), read_json(layout.npu_metadata, "npu_metadata")
    check_unchanged(layout.best, training["weights"]["best"])
    check_model(layout.model_int8, metadata)
    data = checked_hashes(session)
    with ultralytics_env.offline(max(arguments.threads, 1)) as scratch:
        document, matches = evaluate_int8(
            layout.model_int8,
            metadata,
            layout.best,
            session.layout.dataset_yaml,
            session.splits,
            scratch / "val",
            threads=max(arguments.threads, 1),
            kernels=session.npu.kernels,
        )
    write_matches(layout.matches_int8, document["evaluation"]["weights_sha256"], matches)
    write_json(
        layout.metrics_int8,
        "metrics_int8",
        {"made_of": evaluation_identity(session, data, "evaluate_int8"), **document},
    )
    check_collapse(document, layout.model_int8)  # Snakemake deletes the file of a failed job: the message has it all
    log_line(f"evaluate_int8: wrote {layout.metrics_int8}")


if __name__ == "__main__":
    entry_point(main)
