# Ethos Vision Optimizer: from model YAML and dataset to one report on every YOLO variant of the grid.
from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/check.smk"
include: "workflow/rules/npu.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


# A second or two each, and no GPU: on a cluster not worth a place in the queue.
localrules:
    all,
    check,
    draw_digits,
    validate_model,
    bundle_deploy,
    render_report,
    compare_variants,


rule all:
    default_target: True
    input:
        f"{RESULTS}/report.html",
        expand(f"{RESULTS}/{{variant}}_training_report.md", variant=VARIANTS),
        expand(f"{RESULTS}/{{variant}}/train/best.pt", variant=VARIANTS),
        expand(f"{RESULTS}/{{variant}}/train/training.json", variant=VARIANTS),
        expand(f"{RESULTS}/{{variant}}/evaluate/metrics.json", variant=VARIANTS),
        expand(f"{RESULTS}/{{variant}}/npu/metrics_int8.json", variant=VARIANTS),
        expand(f"{RESULTS}/{{variant}}/npu/{{board}}/compatibility.json", variant=VARIANTS, board=BOARDS),
        expand(f"{RESULTS}/{{variant}}/npu/{{board}}/deploy", variant=VARIANTS, board=BOARDS),


rule check:
    input:
        f"{RESULTS}/environment.json",
        f"{RESULTS}/data/fingerprint.json",
        expand(f"{RESULTS}/{{variant}}/check/npu.json", variant=VARIANTS),
    log:
        f"{RESULTS}/logs/check.log",
    conda:
        "environment.yml"
    shell:
        "evo check {log}"


onstart:
    start_session()


onsuccess:
    end_session()


onerror:
    end_session(failed=True)
