# Seconds on the GPU before hours on it. Above `train`, so that every variant is tried before the first one trains.
rule check_memory:
    input:
        get_probed,
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


# Trains again when the recipe changes, a hash of everything that the weights depend on, and for nothing else: a training
# that is published for its recipe asks for no check. The checkpoints are not an output: Snakemake deletes the outputs of a
# job that starts or fails, in this order. With training.json first, weights without it are never taken for weights that a
# person deleted.
rule train:
    input:
        get_checks,
    output:
        training=f"{RESULTS}/{{variant}}/train/training.json",
        best=ensure(f"{RESULTS}/{{variant}}/train/best.pt", non_empty=True),
        last=ensure(f"{RESULTS}/{{variant}}/train/last.pt", non_empty=True),
        results=report(
            f"{RESULTS}/{{variant}}/train/results.csv",
            caption="../report/training.rst",
            category="Training",
            subcategory="{variant}",
            labels={"variant": "{variant}", "content": "losses and accuracy per epoch"},
        ),
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
