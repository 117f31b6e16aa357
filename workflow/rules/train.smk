# Seconds on the GPU before hours on it. Above `train`, so that every variant is tried before the first one trains.
rule check_memory:
    input:
        fingerprint=f"{RESULTS}/data/fingerprint.json",
        dataset=f"{RESULTS}/data/dataset.yaml",
        activations=f"{RESULTS}/{{variant}}/check/activations.json",
    output:
        f"{RESULTS}/{{variant}}/check/memory.json",
    log:
        f"{RESULTS}/logs/check_memory/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_memory/{{variant}}.tsv"
    priority: 90
    conda:
        "../../environment.yml"
    resources:
        gpu=CAPACITY.gpu,
    params:
        recipe=get_recipe,
    shell:
        "evo check_memory {log} --variant {wildcards.variant}"


# Trains again when the recipe changes: a hash of everything that the weights depend on. A check runs again only for a part
# of that, so that it never trains again what need not be. (`ancient` is no help: while an input is made again, Snakemake
# does not look at the parameters of a job behind it.) The checkpoints are no output: Snakemake deletes the outputs of a
# job that fails.
rule train:
    input:
        environment=f"{RESULTS}/environment.json",
        fingerprint=f"{RESULTS}/data/fingerprint.json",
        dataset=f"{RESULTS}/data/dataset.yaml",
        model=f"{RESULTS}/{{variant}}/check/model.json",
        activations=f"{RESULTS}/{{variant}}/check/activations.json",
        npu=f"{RESULTS}/{{variant}}/check/npu.json",
        memory=get_memory_check,
    output:
        best=ensure(f"{RESULTS}/{{variant}}/train/best.pt", non_empty=True),
        last=ensure(f"{RESULTS}/{{variant}}/train/last.pt", non_empty=True),
        results=report(
            f"{RESULTS}/{{variant}}/train/results.csv",
            caption="../report/training.rst",
            category="Training",
            subcategory="{variant}",
            labels={"variant": "{variant}", "content": "losses and accuracy per epoch"},
        ),
        training=f"{RESULTS}/{{variant}}/train/training.json",
    log:
        f"{RESULTS}/logs/train/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{variant}}.tsv"
    priority: 50
    retries: 2
    conda:
        "../../environment.yml"
    threads: CAPACITY.training_threads
    resources:
        gpu=CAPACITY.gpu,
        cpu_training=CAPACITY.cpu_training,
    params:
        recipe=get_recipe,
    shell:
        "evo train {log} --variant {wildcards.variant} --threads {threads}"
