"""Quantise one trained variant to the int8 model that ships."""

from __future__ import annotations

from workflow.evo.data.source import checked_hashes
from workflow.evo.evaluation.detector import check_unchanged, class_names
from workflow.evo.files import read_json, write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import session_and_variant, variant_parser
from workflow.evo.session.triggers import export_identity
from workflow.evo.text.facts import sentence


def main() -> None:
    parser = variant_parser(
        "export_int8",
        "Quantise best.pt of a variant: raw heads, NHWC, int8 in and out, calibrated on a seeded sample of the "
        "training split. Writes results/{session}/{variant}/npu/model_int8.tflite and metadata.json.",
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the calibration (default: 1)")
    arguments = parser.parse_args()
    session, variant = session_and_variant(arguments)
    layout = session.layout.variant(variant.name)
    training = read_json(layout.training, "training")
    check_unchanged(layout.best, training["weights"]["best"])
    data = checked_hashes(session)
    executed = read_json(layout.activations, "activations")["executed"]
    single = bool(session.train.single_cls)
    imgsz, seed = session.train.imgsz, session.train.seed
    with ultralytics_env.offline():
        from workflow.evo.models.checkpoint_loader import load_network
        from workflow.evo.npu.calibration import CalibrationImages
        from workflow.evo.npu.export import export_int8
        from workflow.evo.npu.flatbuffer import activations, read_operators
        from workflow.evo.npu.int8_check import verify_activations
        from workflow.evo.npu.metadata import describe

        model = load_network(layout.best)
        images = CalibrationImages(session.layout.dataset_yaml, imgsz, session.npu.calibration_images, seed)
        log_line(f"export_int8: {variant.name}: calibrating on {len(images)} images of {imgsz} px …")
        exported = export_int8(model, imgsz, images, layout.model_int8, threads=max(arguments.threads, 1))
        verified = verify_activations(executed, activations(read_operators(layout.model_int8)), model.end2end)
        document = describe(
            layout.model_int8,
            exported,
            variant=variant.name,
            names=list(class_names(model.names, data.names, single=single).values()),
            imgsz=imgsz,
            reg_max=int(model.model[-1].reg_max),
            calibration={"images": len(images), "seed": seed, "split": "train"},
            activations=verified,
        )
    write_json(layout.npu_metadata, "npu_metadata", {"made_of": export_identity(session, data), **document})
    for operator in document["float_operators"]:
        why = sentence(operator["why"])
        log_line(f"export_int8: warning: {variant.name}: {operator['type']} {operator['name']} stays on the CPU: {why}")
    counts = ", ".join(f"{count} {name}" for name, count in verified["found"].items())
    size = f"{layout.model_int8.stat().st_size / 1024:,.0f} KiB"
    log_line(f"export_int8: {variant.name}: {size}, {counts}; wrote {layout.model_int8}")


if __name__ == "__main__":
    entry_point(main)
