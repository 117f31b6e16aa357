"""What a run would do, told to people: from Snakemake's dry run to sentences, times and disk."""
