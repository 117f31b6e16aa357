# The checks come first, but a check that runs again does not train again: `ancient` leaves the decision to the recipe,
# which is a hash of everything that the weights depend on. The checkpoints are no output: Snakemake deletes the outputs
# of a job that fails.
rule train:
    input:
        environment=ancient(f"{RESULTS}/environment.json"),
        fingerprint=ancient(f"{RESULTS}/data/fingerprint.json"),
        dataset=ancient(f"{RESULTS}/data/dataset.yaml"),
        model=ancient(f"{RESULTS}/{{variant}}/check/model.json"),
        activations=ancient(f"{RESULTS}/{{variant}}/check/activations.json"),
    output:
        best=ensure(f"{RESULTS}/{{variant}}/train/best.pt", non_empty=True),
        last=ensure(f"{RESULTS}/{{variant}}/train/last.pt", non_empty=True),
        results=f"{RESULTS}/{{variant}}/train/results.csv",
        training=f"{RESULTS}/{{variant}}/train/training.json",
    log:
        f"{RESULTS}/logs/train/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{variant}}.tsv"
    priority: 50
    retries: 2
    conda:
        "../../environment.yml"
    threads: training_threads(SESSION)
    resources:
        gpu=1,
    params:
        recipe=get_recipe,
    shell:
        "evo train {log} --variant {wildcards.variant}"
