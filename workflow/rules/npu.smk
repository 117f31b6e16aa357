rule preflight_npu:
    input:
        activations=f"{RESULTS}/{{variant}}/check/activations.json",
    output:
        f"{RESULTS}/{{variant}}/check/npu.json",
    log:
        f"{RESULTS}/logs/preflight_npu/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/preflight_npu/{{variant}}.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    params:
        imgsz=SESSION.train["imgsz"],
        compiler=preflight_identity(),
    shell:
        "evo preflight_npu {log} --variant {wildcards.variant}"


# Below `train`: these need no GPU and fill the processors beside the next training, which should not wait for them.
rule export_int8:
    input:
        best=f"{RESULTS}/{{variant}}/train/best.pt",
        training=f"{RESULTS}/{{variant}}/train/training.json",
        calibration=get_calibration,
    output:
        model=f"{RESULTS}/{{variant}}/npu/model_int8.tflite",
        metadata=f"{RESULTS}/{{variant}}/npu/metadata.json",
    log:
        f"{RESULTS}/logs/export_int8/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/export_int8/{{variant}}.tsv"
    priority: 40
    conda:
        "../../environment.yml"
    params:
        export=EXPORTED,
    shell:
        "evo export_int8 {log} --variant {wildcards.variant} --threads {threads}"


rule compile_npu:
    input:
        model=f"{RESULTS}/{{variant}}/npu/model_int8.tflite",
    output:
        model=f"{RESULTS}/{{variant}}/npu/{{board}}/model_int8_vela.tflite",
        compatibility=f"{RESULTS}/{{variant}}/npu/{{board}}/compatibility.json",
        operators=report(
            f"{RESULTS}/{{variant}}/npu/{{board}}/operators.csv",
            caption="../report/operators.rst",
            category="NPU",
            subcategory="{variant}",
            labels={"variant": "{variant}", "board": "{board}"},
        ),
    log:
        f"{RESULTS}/logs/compile_npu/{{variant}}.{{board}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compile_npu/{{variant}}.{{board}}.tsv"
    priority: 40
    conda:
        "../../environment.yml"
    params:
        board=get_board,
    shell:
        "evo compile_npu {log} --variant {wildcards.variant} --board {wildcards.board}"


rule evaluate_int8:
    input:
        model=f"{RESULTS}/{{variant}}/npu/model_int8.tflite",
        metadata=f"{RESULTS}/{{variant}}/npu/metadata.json",
        best=f"{RESULTS}/{{variant}}/train/best.pt",
        training=f"{RESULTS}/{{variant}}/train/training.json",
        dataset=get_evaluated_int8,
    output:
        f"{RESULTS}/{{variant}}/npu/metrics_int8.json",
    log:
        f"{RESULTS}/logs/evaluate_int8/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_int8/{{variant}}.tsv"
    priority: 40
    conda:
        "../../environment.yml"
    threads: CAPACITY.evaluation_threads
    params:
        data=EVALUATED,
    shell:
        "evo evaluate_int8 {log} --variant {wildcards.variant} --threads {threads}"


rule bundle_deploy:
    input:
        model=f"{RESULTS}/{{variant}}/npu/{{board}}/model_int8_vela.tflite",
        compatibility=f"{RESULTS}/{{variant}}/npu/{{board}}/compatibility.json",
        metadata=f"{RESULTS}/{{variant}}/npu/metadata.json",
        metrics_int8=f"{RESULTS}/{{variant}}/npu/metrics_int8.json",
        metrics=f"{RESULTS}/{{variant}}/evaluate/metrics.json",
        training=f"{RESULTS}/{{variant}}/train/training.json",
    output:
        directory(f"{RESULTS}/{{variant}}/npu/{{board}}/deploy"),
    log:
        f"{RESULTS}/logs/bundle_deploy/{{variant}}.{{board}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/bundle_deploy/{{variant}}.{{board}}.tsv"
    priority: 45
    conda:
        "../../environment.yml"
    shell:
        "evo bundle_deploy {log} --variant {wildcards.variant} --board {wildcards.board}"
