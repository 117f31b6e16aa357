# What these rules depend on is given by content: a comment in a model or dataset YAML, or a touched file, makes nothing
# again.
rule check_environment:
    output:
        RESULTS.environment,
    log:
        log_of("check_environment"),
    benchmark:
        benchmark_of("check_environment")
    priority: 100
    conda:
        "../../environment.yml"
    params:
        arguments=arguments_of(SESSION.train),
        code=code_of("check_environment"),
    shell:
        "logged {log} python -m workflow.scripts.check_environment --config $CONFIG"


rule draw_digits:
    output:
        RESULTS.digits_yaml,
    log:
        log_of("draw_digits"),
    benchmark:
        benchmark_of("draw_digits")
    priority: 100
    conda:
        "../../environment.yml"
    params:
        digits=SESSION.digits,
    shell:
        "logged {log} python -m workflow.scripts.draw_digits --config $CONFIG"


rule check_dataset:
    input:
        INPUTS.drawn_dataset(),
    output:
        fingerprint=RESULTS.fingerprint,
        dataset=RESULTS.dataset_yaml,
    log:
        log_of("check_dataset"),
    benchmark:
        benchmark_of("check_dataset")
    priority: 100
    conda:
        "../../environment.yml"
    params:
        content=DATA.everything,
        code=code_of("check_dataset"),
    shell:
        "logged {log} python -m workflow.scripts.check_dataset --config $CONFIG"


rule validate_model:
    output:
        OF.model,
    log:
        log_of("validate_model"),
    benchmark:
        benchmark_of("validate_model")
    priority: 100
    conda:
        "../../environment.yml"
    params:
        network=get_network,
        code=code_of("validate_model"),
    shell:
        "logged {log} python -m workflow.scripts.validate_model --config $CONFIG --variant {wildcards.variant}"


rule verify_activations:
    input:
        model=OF.model,
    output:
        OF.activations,
    log:
        log_of("verify_activations"),
    benchmark:
        benchmark_of("verify_activations")
    priority: 100
    conda:
        "../../environment.yml"
    params:
        pretrained=IDENTITIES.pretrained,
        code=code_of("verify_activations"),
    shell:
        "logged {log} python -m workflow.scripts.verify_activations --config $CONFIG --variant {wildcards.variant}"
