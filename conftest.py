"""Puts the repository root on the import path, so that `workflow.evo` imports as it does for the rules."""
