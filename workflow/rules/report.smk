rule render_report:
    input:
        model=OF.model,
        activations=OF.activations,
        npu=OF.npu_check,
        training=OF.training,
        results=OF.results_csv,
        metrics=OF.metrics,
        plots=OF.plots,
        metadata=OF.npu_metadata,
        metrics_int8=OF.metrics_int8,
        boards=each_board(ON.compatibility),
        bundles=each_board(ON.deploy),
    output:
        report=OF.report,
        summary=OF.summary,
    log:
        log_of("render_report"),
    benchmark:
        benchmark_of("render_report")
    priority: 70
    conda:
        "../../environment.yml"
    params:
        code=code_of("render_report"),
        npu=NPU,
    shell:
        "logged {log} python -m workflow.scripts.render_report --config $CONFIG --variant {wildcards.variant}"


rule compare_variants:
    input:
        summaries=each_variant(OF.summary),
        models=each_variant(OF.model),
        curves=each_variant(OF.curves),
        matches=each_variant(OF.matches),
        matches_int8=each_variant(OF.matches_int8),
        operators=each_variant(each_board(ON.operators)),
        environment=RESULTS.environment,
        fingerprint=RESULTS.fingerprint,
    output:
        html=report(
            RESULTS.report,
            caption="../report/comparison.rst",
            category="Comparison",
            labels={"content": "decision, charts and tables"},
        ),
        markdown=RESULTS.markdown,
        csv=report(
            RESULTS.csv,
            caption="../report/summary.rst",
            category="Comparison",
            labels={"content": "one row per variant"},
        ),
        json=RESULTS.summary,
    log:
        log_of("compare_variants"),
    benchmark:
        benchmark_of("compare_variants")
    priority: 70
    conda:
        "../../environment.yml"
    params:
        code=code_of("compare_variants"),
        npu=NPU,
        variants=VARIANTS,
    shell:
        "logged {log} python -m workflow.scripts.compare_variants --config $CONFIG --summaries {input.summaries}"
