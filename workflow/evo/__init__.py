"""The library behind the workflow's rules. It imports no Snakemake, and torch only where a network is built or run."""

__version__ = "0.1.0"
