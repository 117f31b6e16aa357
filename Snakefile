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
        RESULTS.report,
        each_variant(OF.report),
        each_variant(OF.best),
        each_variant(OF.training),
        each_variant(OF.metrics),
        each_variant(OF.metrics_int8),
        each_variant(each_board(ON.compatibility)),
        each_variant(each_board(ON.deploy)),


rule check:
    input:
        RESULTS.environment,
        RESULTS.fingerprint,
        each_variant(OF.npu_check),
    log:
        RESULTS.logs / "check.log",
    conda:
        "environment.yml"
    shell:
        "logged {log} python -m workflow.scripts.check --config $CONFIG"


onstart:
    start_session()


onsuccess:
    end_session()


onerror:
    end_session(failed=True)
