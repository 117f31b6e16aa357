rule preflight_npu:
    input:
        activations=OF.activations,
    output:
        OF.npu_check,
    log:
        log_of("preflight_npu"),
    benchmark:
        benchmark_of("preflight_npu")
    priority: 100
    conda:
        "../../environment.yml"
    params:
        imgsz=SESSION.train.imgsz,
        compiler=preflight_identity(SESSION),
        code=code_of("preflight_npu"),
    shell:
        "logged {log} python -m workflow.scripts.preflight_npu --config $CONFIG --variant {wildcards.variant}"


# Below `train`: these need no GPU and fill the processors beside the next training, which should not wait for them.
rule export_int8:
    input:
        best=OF.best,
        training=OF.training,
        calibration=INPUTS.of_export,
    output:
        model=OF.model_int8,
        metadata=OF.npu_metadata,
    log:
        log_of("export_int8"),
    benchmark:
        benchmark_of("export_int8")
    priority: 40
    conda:
        "../../environment.yml"
    params:
        export=INPUTS.exported,
    shell:
        "logged {log} python -m workflow.scripts.export_int8 --config $CONFIG --variant {wildcards.variant} --threads {threads}"


rule compile_npu:
    input:
        model=OF.model_int8,
    output:
        model=ON.compiled,
        compatibility=ON.compatibility,
        operators=report(
            ON.operators,
            caption="../report/operators.rst",
            category="NPU",
            subcategory="{variant}",
            labels={"variant": "{variant}", "board": "{board}"},
        ),
    log:
        log_of("compile_npu"),
    benchmark:
        benchmark_of("compile_npu")
    priority: 40
    conda:
        "../../environment.yml"
    params:
        board=get_board,
        code=code_of("compile_npu"),
    shell:
        "logged {log} python -m workflow.scripts.compile_npu --config $CONFIG --variant {wildcards.variant} --board {wildcards.board}"


rule evaluate_int8:
    input:
        model=OF.model_int8,
        metadata=OF.npu_metadata,
        best=OF.best,
        training=OF.training,
        dataset=INPUTS.of_int8_evaluation,
    output:
        metrics=OF.metrics_int8,
        matches=OF.matches_int8,
    log:
        log_of("evaluate_int8"),
    benchmark:
        benchmark_of("evaluate_int8")
    priority: 40
    conda:
        "../../environment.yml"
    threads: CAPACITY.evaluation_threads
    params:
        evaluation=INPUTS.evaluated_int8,
    shell:
        "logged {log} python -m workflow.scripts.evaluate_int8 --config $CONFIG --variant {wildcards.variant} --threads {threads}"


rule bundle_deploy:
    input:
        source=OF.model_int8,
        metadata=OF.npu_metadata,
        model=ON.compiled,
        compatibility=ON.compatibility,
        metrics_int8=OF.metrics_int8,
        metrics=OF.metrics,
        training=OF.training,
    output:
        directory(ON.deploy),
    log:
        log_of("bundle_deploy"),
    benchmark:
        benchmark_of("bundle_deploy")
    priority: 75
    conda:
        "../../environment.yml"
    params:
        code=code_of("bundle_deploy"),
    shell:
        "logged {log} python -m workflow.scripts.bundle_deploy --config $CONFIG --variant {wildcards.variant} --board {wildcards.board}"
