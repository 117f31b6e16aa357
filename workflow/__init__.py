"""Ethos Vision Optimizer: a Snakemake workflow from a detection dataset to compared YOLO variants."""
