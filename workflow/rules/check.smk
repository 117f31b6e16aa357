# What these rules depend on is given by content: a comment in a model or dataset YAML, or a touched file, makes nothing
# again.
rule check_environment:
    output:
        f"{RESULTS}/environment.json",
    log:
        f"{RESULTS}/logs/check_environment.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_environment.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    params:
        arguments=arguments_of(SESSION),
    shell:
        "evo check_environment {log}"


rule draw_digits:
    output:
        f"{RESULTS}/data/digits/data.yaml",
    log:
        f"{RESULTS}/logs/draw_digits.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_digits.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    params:
        digits=SESSION.digits,
    shell:
        "evo draw_digits {log}"


rule check_dataset:
    input:
        get_drawn_dataset(),
    output:
        fingerprint=f"{RESULTS}/data/fingerprint.json",
        dataset=f"{RESULTS}/data/dataset.yaml",
    log:
        f"{RESULTS}/logs/check_dataset.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_dataset.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    params:
        content=DATA.everything,
    shell:
        "evo check_dataset {log}"


rule validate_model:
    output:
        f"{RESULTS}/{{variant}}/check/model.json",
    log:
        f"{RESULTS}/logs/validate_model/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/validate_model/{{variant}}.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    params:
        model=get_model_identity,
    shell:
        "evo validate_model {log} --variant {wildcards.variant}"


rule verify_activations:
    input:
        model=f"{RESULTS}/{{variant}}/check/model.json",
    output:
        f"{RESULTS}/{{variant}}/check/activations.json",
    log:
        f"{RESULTS}/logs/verify_activations/{{variant}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/verify_activations/{{variant}}.tsv"
    priority: 100
    conda:
        "../../environment.yml"
    params:
        pretrained=IDENTITIES.pretrained,
    shell:
        "evo verify_activations {log} --variant {wildcards.variant}"
