rule evaluate:
    input:
        best=f"{RESULTS}/{{variant}}/train/best.pt",
        training=f"{RESULTS}/{{variant}}/train/training.json",
        dataset=get_evaluated,
    output:
        metrics=f"{RESULTS}/{{variant}}/evaluate/metrics.json",
        curves=f"{RESULTS}/{{variant}}/evaluate/curves.json",
        plots=report(
            directory(f"{RESULTS}/{{variant}}/evaluate/plots"),
            patterns=["{split}/{plot}.png"],
            caption="../report/evaluation.rst",
            category="Evaluation",
            subcategory="{variant}",
            labels={"variant": "{variant}", "split": "{split}", "plot": "{plot}"},
        ),
    log:
        f"{RESULTS}/logs/evaluate/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{variant}}.tsv"
    priority: 60
    conda:
        "../../environment.yml"
    threads: CAPACITY.evaluation_threads if CAPACITY.on_cpu else 1
    resources:
        gpu=CAPACITY.gpu,
    params:
        data=EVALUATED,
    shell:
        "evo evaluate {log} --variant {wildcards.variant} --threads {threads}"
