rule render_report:
    input:
        model=f"{RESULTS}/{{variant}}/check/model.json",
        activations=f"{RESULTS}/{{variant}}/check/activations.json",
        training=f"{RESULTS}/{{variant}}/train/training.json",
        results=f"{RESULTS}/{{variant}}/train/results.csv",
        metrics=f"{RESULTS}/{{variant}}/evaluate/metrics.json",
        plots=f"{RESULTS}/{{variant}}/evaluate/plots",
        npu=f"{RESULTS}/{{variant}}/check/npu.json",
        metadata=f"{RESULTS}/{{variant}}/npu/metadata.json",
        metrics_int8=f"{RESULTS}/{{variant}}/npu/metrics_int8.json",
        boards=expand(f"{RESULTS}/{{{{variant}}}}/npu/{{board}}/compatibility.json", board=BOARDS),
        bundles=expand(f"{RESULTS}/{{{{variant}}}}/npu/{{board}}/deploy", board=BOARDS),
    output:
        report=f"{RESULTS}/{{variant}}_training_report.md",
        summary=f"{RESULTS}/{{variant}}_training_summary.json",
    log:
        f"{RESULTS}/logs/render_report/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/render_report/{{variant}}.tsv"
    priority: 70
    conda:
        "../../environment.yml"
    params:
        reporting=REPORTING_HASH,
        npu=NPU,
    shell:
        "evo render_report {log} --variant {wildcards.variant}"


rule compare_variants:
    input:
        summaries=expand(f"{RESULTS}/{{variant}}_training_summary.json", variant=VARIANTS),
        environment=f"{RESULTS}/environment.json",
        fingerprint=f"{RESULTS}/data/fingerprint.json",
    output:
        html=report(
            f"{RESULTS}/report.html",
            caption="../report/comparison.rst",
            category="Comparison",
            labels={"content": "decision, charts and tables"},
        ),
        markdown=f"{RESULTS}/report.md",
        csv=report(
            f"{RESULTS}/summary.csv",
            caption="../report/summary.rst",
            category="Comparison",
            labels={"content": "one row per variant"},
        ),
        json=f"{RESULTS}/summary.json",
    log:
        f"{RESULTS}/logs/compare_variants.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_variants.tsv"
    priority: 70
    conda:
        "../../environment.yml"
    params:
        reporting=REPORTING_HASH,
        npu=NPU,
        variants=VARIANTS,
    shell:
        "evo compare_variants {log}"
