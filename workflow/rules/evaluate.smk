rule evaluate:
    input:
        best=OF.best,
        training=OF.training,
        dataset=INPUTS.of_evaluation,
    output:
        metrics=OF.metrics,
        curves=OF.curves,
        matches=OF.matches,
        plots=report(
            directory(OF.plots),
            patterns=["{split}/{plot}.png"],
            caption="../report/evaluation.rst",
            category="Evaluation",
            subcategory="{variant}",
            labels={"variant": "{variant}", "split": "{split}", "plot": "{plot}"},
        ),
    log:
        log_of("evaluate"),
    benchmark:
        benchmark_of("evaluate")
    priority: 60
    conda:
        "../../environment.yml"
    threads: CAPACITY.evaluation_threads if CAPACITY.on_cpu else 1
    resources:
        gpu=CAPACITY.gpu,
    params:
        evaluation=INPUTS.evaluated,
    shell:
        "logged {log} python -m workflow.scripts.evaluate --config $CONFIG --variant {wildcards.variant} --threads {threads}"
