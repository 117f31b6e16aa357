"""What a run would do: from Snakemake's dry run to sentences, times and disk space."""
