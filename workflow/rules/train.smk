# Seconds on the GPU before hours on it. Above `train`, so that every variant is tried before the first one trains.
rule check_memory:
    input:
        INPUTS.of_memory_check,
    output:
        OF.memory,
    log:
        log_of("check_memory"),
    benchmark:
        benchmark_of("check_memory")
    priority: 90
    conda:
        "../../environment.yml"
    resources:
        gpu=CAPACITY.gpu,
    params:
        recipe=get_recipe,
    shell:
        "logged {log} python -m workflow.scripts.check_memory --config $CONFIG --variant {wildcards.variant}"


# Trains again when the recipe changes, a hash of everything that the weights depend on, and for nothing else: a training
# that is published for its recipe asks for no check. The checkpoints are not an output: Snakemake deletes the outputs of a
# job that starts or fails, in this order. With training.json first, weights without it are never taken for weights that a
# person deleted.
rule train:
    input:
        INPUTS.checks,
    output:
        training=OF.training,
        best=ensure(OF.best, non_empty=True),
        last=ensure(OF.last, non_empty=True),
        results=report(
            OF.results_csv,
            caption="../report/training.rst",
            category="Training",
            subcategory="{variant}",
            labels={"variant": "{variant}", "content": "losses and accuracy per epoch"},
        ),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
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
        "logged {log} python -m workflow.scripts.train --config $CONFIG --variant {wildcards.variant} --threads {threads}"
