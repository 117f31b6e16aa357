"""Types of the JSON documents of a session, by schema. Made by `make documents` from workflow/schemas: do not edit."""
# fmt: off
# ruff: noqa: E501, UP013

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

ActivationsExpected = TypedDict("ActivationsExpected", {"backbone": str, "neck": str, "detect": str})
Activations = TypedDict("Activations", {
    "schema_version": Literal[1], "expected": ActivationsExpected, "found": dict[str, dict[str, int]],
    "executed": dict[str, dict[str, int]], "conv_default": Literal["SiLU"], "verified": bool,
})
CompatibilityOperators = TypedDict("CompatibilityOperators", {"source": int, "cpu": int})
CompatibilityMacs = TypedDict("CompatibilityMacs", {"source": int, "cpu": int})
CompatibilityCpuOperator = TypedDict("CompatibilityCpuOperator", {"name": str, "type": str, "reason": str | None})
CompatibilityEstimateBoundBy = TypedDict("CompatibilityEstimateBoundBy", {
    "npu": int, "sram": int, "dram": int, "flash": int,
})
CompatibilityEstimate = TypedDict("CompatibilityEstimate", {
    "by": str, "clock_mhz": float, "system_config": str, "memory_mode": str, "assumed": list[str], "cycles": int | None,
    "latency_ms": float | None, "covers_all_operators": bool, "bound_by": CompatibilityEstimateBoundBy | None,
})
CompatibilityUse = TypedDict("CompatibilityUse", {
    "used_kib": float | None, "budget_kib": int | None, "fits": bool | None,
})
CompatibilityMemory = TypedDict("CompatibilityMemory", {
    "sram": CompatibilityUse, "flash": CompatibilityUse, "dram": CompatibilityUse,
})
CompatibilitySha256 = TypedDict("CompatibilitySha256", {"source": str, "compiled": str})
Compatibility = TypedDict("Compatibility", {
    "schema_version": Literal[2], "board": str, "accelerator": str, "ops_percent": float, "macs_percent": float | None,
    "operators": CompatibilityOperators, "macs": CompatibilityMacs, "npu_blobs": int,
    "cpu_operators": list[CompatibilityCpuOperator], "estimate": CompatibilityEstimate, "memory": CompatibilityMemory,
    "sha256": CompatibilitySha256,
})
CurvesSplitConfusion = TypedDict("CurvesSplitConfusion", {"predicted": int, "true": int, "count": int})
CurvesSplitSampleLabel = TypedDict("CurvesSplitSampleLabel", {"class": int, "box": list[float]})
CurvesSplitSamplePrediction = TypedDict("CurvesSplitSamplePrediction", {
    "class": int, "confidence": float, "box": list[float],
})
CurvesSplitSample = TypedDict("CurvesSplitSample", {
    "image": str, "width": int, "height": int, "labels": list[CurvesSplitSampleLabel],
    "predictions": list[CurvesSplitSamplePrediction],
})
CurvesSplit = TypedDict("CurvesSplit", {
    "classes": list[str], "recall": list[float], "precision": dict[str, list[float]],
    "confusion": list[CurvesSplitConfusion], "samples": list[CurvesSplitSample],
})
Curves = TypedDict("Curves", {
    "schema_version": Literal[1], "weights_sha256": str, "val": CurvesSplit, "test": NotRequired[CurvesSplit],
})
EnvironmentGit = TypedDict("EnvironmentGit", {"commit": str | None, "branch": str | None, "dirty": bool | None})
Fact = TypedDict("Fact", {"code": str, "parameters": dict[str, Any]})
EnvironmentExpected = TypedDict("EnvironmentExpected", {
    "hours": float, "basis": Fact, "seconds_per_image": NotRequired[float],
})
EnvironmentFinding = TypedDict("EnvironmentFinding", {
    "severity": Literal["warning", "info"], "code": str, "parameters": dict[str, Any],
})
Environment = TypedDict("Environment", {
    "schema_version": Literal[2], "versions": dict[str, str], "git": EnvironmentGit, "host": dict[str, Any],
    "gpus": list[dict[str, Any]], "memory_gib": float, "disk_free_gib": float, "disk_needed_gib": float,
    "device": Literal["gpu", "cpu", "mps"], "expected": EnvironmentExpected | None,
    "findings": list[EnvironmentFinding],
})
FingerprintPixels = TypedDict("FingerprintPixels", {"min": int, "median": int, "max": int})
FingerprintSplit = TypedDict("FingerprintSplit", {
    "images": int, "labelled": int, "instances": int, "per_class": list[int], "width": FingerprintPixels | None,
    "height": FingerprintPixels | None,
})
FingerprintSplits = TypedDict("FingerprintSplits", {
    "train": FingerprintSplit, "val": FingerprintSplit, "test": NotRequired[FingerprintSplit],
})
FingerprintFinding = TypedDict("FingerprintFinding", {
    "severity": Literal["fatal", "warning", "info"], "code": str, "parameters": dict[str, Any], "count": int,
    "examples": list[str],
})
Fingerprint = TypedDict("Fingerprint", {
    "schema_version": Literal[2], "content_hash": str, "hashes": NotRequired[dict[str, str]], "names": list[str],
    "splits": FingerprintSplits, "findings": list[FingerprintFinding],
})
IdentitiesData = TypedDict("IdentitiesData", {"splits": dict[str, str], "names": list[str]})
Identities = TypedDict("Identities", {
    "schema_version": Literal[1], "configuration": str, "data": IdentitiesData, "models": dict[str, str],
    "recipes": dict[str, str], "pretrained": str | None,
})
MemoryTried = TypedDict("MemoryTried", {
    "batch": int, "fits": bool, "seconds": float, "allocated_mib": float | None, "reserved_mib": float | None,
    "error": str | None,
})
Memory = TypedDict("Memory", {
    "schema_version": Literal[1], "variant": str, "recipe": str, "skipped": str | None, "device": str | None,
    "total_mib": float | None, "free_mib": float | None, "objects": int | None, "fitting_batch": int | None,
    "tried": list[MemoryTried],
})
Evaluation = TypedDict("Evaluation", {
    "weights_sha256": str, "imgsz": int, "batch": int, "device": str, "versions": dict[str, str],
    "kernels": NotRequired[Literal["reference", "optimised"]],
})
AccuracyPerClass = TypedDict("AccuracyPerClass", {
    "map50": float | None, "map50_95": float | None, "precision": float | None, "recall": float | None, "images": int,
    "instances": int,
})
AccuracySpeedMs = TypedDict("AccuracySpeedMs", {"preprocess": float, "inference": float, "postprocess": float})
AccuracyCurves = TypedDict("AccuracyCurves", {
    "recall": list[float], "precision": list[float], "confidence": list[float], "f1": list[float],
})
Accuracy = TypedDict("Accuracy", {
    "map50": float | None, "map50_95": float | None, "precision": float | None, "recall": float | None,
    "confidence": float | None, "images": int, "instances": int, "per_class": dict[str, AccuracyPerClass],
    "speed_ms": AccuracySpeedMs, "curves": AccuracyCurves,
})
Metrics = TypedDict("Metrics", {
    "schema_version": Literal[1], "made_of": NotRequired[str], "evaluation": Evaluation, "val": Accuracy,
    "test": NotRequired[Accuracy],
})
MetricsInt8Float = TypedDict("MetricsInt8Float", {
    "evaluation": Evaluation, "val": Accuracy, "test": NotRequired[Accuracy],
})
MetricsInt8ChangesPerClass = TypedDict("MetricsInt8ChangesPerClass", {
    "int8": float | None, "float": float | None, "difference": float | None, "collapsed": bool,
})
MetricsInt8Changes = TypedDict("MetricsInt8Changes", {
    "map50": float | None, "map50_95": float | None, "per_class": dict[str, MetricsInt8ChangesPerClass],
})
MetricsInt8Difference = TypedDict("MetricsInt8Difference", {
    "val": MetricsInt8Changes, "test": NotRequired[MetricsInt8Changes],
})
MetricsInt8 = TypedDict("MetricsInt8", {
    "schema_version": Literal[2], "made_of": NotRequired[str], "evaluation": Evaluation, "val": Accuracy,
    "test": NotRequired[Accuracy], "float": MetricsInt8Float, "difference": MetricsInt8Difference,
})
ModelPart = TypedDict("ModelPart", {"layers": int, "parameters": int})
ModelParts = TypedDict("ModelParts", {"backbone": ModelPart, "neck": ModelPart, "detect": ModelPart})
ModelDefinitionLayer = TypedDict("ModelDefinitionLayer", {
    "index": int, "part": Literal["backbone", "neck", "detect"], "module": str, "sources": list[int], "repeats": int,
    "channels_in": list[int], "channels": int, "stride": float, "arguments": dict[str, Any],
})
ModelDefinition = TypedDict("ModelDefinition", {
    "scale": str | None, "depth_multiple": float, "width_multiple": float, "max_channels": int | None, "reg_max": int,
    "end2end": bool, "layers": list[ModelDefinitionLayer],
})
Model = TypedDict("Model", {
    "schema_version": Literal[2], "name": str, "file": str, "level": int | None, "activation": str,
    "scope": list[Literal["backbone", "neck", "detect"]], "nc": int, "file_nc": int, "layers": int, "parameters": int,
    "parts": ModelParts, "strides": list[int], "definition": ModelDefinition, "fingerprint": str, "notes": list[Fact],
})
NpuMetadataActivations = TypedDict("NpuMetadataActivations", {"expected": dict[str, int], "found": dict[str, int]})
NpuMetadataFloatOperator = TypedDict("NpuMetadataFloatOperator", {"type": str, "name": str, "why": Fact})
NpuBoards = TypedDict("NpuBoards", {
    "ops_percent": float, "macs_percent": float | None, "estimate": CompatibilityEstimate,
    "memory": CompatibilityMemory,
})
Npu = TypedDict("Npu", {
    "schema_version": Literal[3], "variant": str, "nc": int, "imgsz": int, "operators": int, "macs": int,
    "activations": NpuMetadataActivations, "float_operators": list[NpuMetadataFloatOperator],
    "boards": dict[str, NpuBoards], "failed": dict[str, Fact],
})
NpuMetadataInput = TypedDict("NpuMetadataInput", {
    "name": str, "shape": list[int], "dtype": Literal["int8"], "scale": float, "zero_point": int,
    "layout": Literal["NHWC"], "colour": Literal["RGB"], "preprocessing": str,
})
NpuMetadataOutput = TypedDict("NpuMetadataOutput", {
    "index": int, "name": str, "shape": list[int], "dtype": Literal["int8"], "scale": float, "zero_point": int,
    "kind": Literal["box", "class"], "feature_map": str, "stride": int,
})
NpuMetadataCalibration = TypedDict("NpuMetadataCalibration", {
    "images": int, "seed": int, "split": Literal["train"], "rounding_images": int,
})
NpuMetadataFolded = TypedDict("NpuMetadataFolded", {"leaky_relu": int, "requantised": int})
NpuMetadataCpuFallback = TypedDict("NpuMetadataCpuFallback", {"arena_kib": float | None, "by": str | None})
NpuMetadata = TypedDict("NpuMetadata", {
    "schema_version": Literal[4], "made_of": NotRequired[str], "variant": str, "sha256": str, "names": list[str],
    "imgsz": int, "reg_max": int, "strides": list[int], "input": NpuMetadataInput, "outputs": list[NpuMetadataOutput],
    "calibration": NpuMetadataCalibration, "activations": NpuMetadataActivations, "folded": NpuMetadataFolded,
    "cpu_fallback": NpuMetadataCpuFallback, "float_operators": list[NpuMetadataFloatOperator],
})
Miss = TypedDict("Miss", {
    "board": str,
    "kind": Literal["operators", "latency", "nothing_on_npu", "sram", "flash", "dram", "not_compiled", "failed"],
    "found": float | dict[str, Any] | None, "limit": float | None,
})
SessionSummaryShortfall = TypedDict("SessionSummaryShortfall", {
    "kind": Literal["accuracy", "latency", "sram", "flash"], "found": float | None, "limit": float,
})
SessionSummaryDecision = TypedDict("SessionSummaryDecision", {
    "board": str, "goal": dict[str, Any], "chosen": str | None, "file": str | None, "accurate": str | None,
    "passed": list[str], "missed": dict[str, list[Miss]], "short": dict[str, list[SessionSummaryShortfall]],
    "closest": str | None, "open": list[str], "stays": float | None, "beats": dict[str, float], "what": Fact,
    "why": list[Fact],
})
SessionSummaryInterval = TypedDict("SessionSummaryInterval", {
    "value": float | None, "low": float | None, "high": float | None,
})
SessionSummaryAccuracyIntervals = TypedDict("SessionSummaryAccuracyIntervals", {
    "map50_95": SessionSummaryInterval, "map50": SessionSummaryInterval,
})
SessionSummarySplits = TypedDict("SessionSummarySplits", {
    "val": SessionSummaryAccuracyIntervals, "test": SessionSummaryAccuracyIntervals,
})
SessionSummaryAccuracie = TypedDict("SessionSummaryAccuracie", {
    "variant": str, "replicates": list[str], "file": str, "int8": SessionSummarySplits, "float": SessionSummarySplits,
})
SessionSummaryHeadline = TypedDict("SessionSummaryHeadline", {
    "fact": Fact, "caveat": Fact | None, "best": str | None, "map50_95": float | None, "lead": float | None,
    "not_told_apart": list[str], "int8_map50_95": float | None, "board": str, "vela_latency_ms": float | None,
    "done": int, "variants": int,
})
SessionSummaryVariant = TypedDict("SessionSummaryVariant", {
    "variant": str, "status": str, "reason": dict[str, Any] | None,
})
SessionSummaryCriteria = TypedDict("SessionSummaryCriteria", {
    "key": str, "title": Fact, "value": float, "figure": str, "estimate": bool, "variants": list[str], "tie": bool,
    "all": bool, "note": Fact | None,
})
Incident = TypedDict("Incident", {"time": str, "kind": str, "code": str, "parameters": dict[str, Any]})
SessionSummaryIncident = TypedDict("SessionSummaryIncident", {
    "time": str, "kind": str, "code": str, "parameters": dict[str, Any], "variant": str,
})
SessionSummary = TypedDict("SessionSummary", {
    "schema_version": Literal[3], "session": str, "as_of": str | None, "boards": list[str], "replicates": int,
    "decisions": list[SessionSummaryDecision], "differences": list[Fact], "accuracies": list[SessionSummaryAccuracie],
    "headline": SessionSummaryHeadline, "settings": dict[str, Any], "dataset": dict[str, Any] | None,
    "environment": dict[str, Any] | None, "variants": list[SessionSummaryVariant],
    "criteria": list[SessionSummaryCriteria], "incidents": list[SessionSummaryIncident], "warnings": list[Fact],
})
StatusMetrics = TypedDict("StatusMetrics", {"epoch": int, "map50": float | None, "map50_95": float | None})
StatusGpu = TypedDict("StatusGpu", {
    "uuid": str, "name": str | None, "utilisation_percent": float | None, "memory_used_mib": float | None,
    "memory_total_mib": float | None, "temperature_c": float | None, "power_w": float | None,
    "power_limit_w": float | None,
})
Status = TypedDict("Status", {
    "schema_version": Literal[1], "variant": str,
    "phase": Literal["waiting", "starting", "training", "validating", "publishing", "finished", "stopped", "restarting", "failed"],
    "message": str | None, "beat": int, "time": str, "started": str, "attempt": int | None, "host": str, "machine": str,
    "pid": int, "process_started": float, "epoch": int | None, "epochs": int | None, "batch": int | None,
    "batches": int | None, "images_per_batch": int | None, "losses": dict[str, float | None] | None,
    "metrics": StatusMetrics | None, "seconds_trained": float | None, "seconds_per_epoch": float | None,
    "images_per_s": float | None, "seconds_left": float | None, "cpu_percent": float | None, "memory_mib": float | None,
    "gpu": StatusGpu | None,
})
SummaryPreflightGate = TypedDict("SummaryPreflightGate", {
    "mode": Literal["fail", "warn"], "passed": bool, "limits": dict[str, float | None], "missed": list[Miss],
})
SummaryPreflight = TypedDict("SummaryPreflight", {
    "boards": dict[str, dict[str, Any]], "failed": dict[str, Fact], "gate": SummaryPreflightGate,
})
SummaryTraining = TypedDict("SummaryTraining", {
    "epochs": list[dict[str, Any]], "seconds": float, "epochs_seconds": float,
})
SummaryMeasured = TypedDict("SummaryMeasured", {
    "ms": float | None, "arena_kib": float | None, "who": str, "when": str,
})
Summary = TypedDict("Summary", {
    "schema_version": Literal[3], "session": str, "variant": str, "first": str, "replicate": int, "level": int | None,
    "activation": str | None, "yaml": str, "status": Literal["done", "failed", "missing"], "stage": str,
    "reason": Fact | None, "model": dict[str, Any] | None, "activations": dict[str, Any] | None, "boards": list[str],
    "preflight": SummaryPreflight | None, "training": SummaryTraining | None, "history": dict[str, list[float | None]],
    "metrics": dict[str, Any] | None, "export": dict[str, Any] | None, "npu": dict[str, dict[str, Any]] | None,
    "measured": dict[str, SummaryMeasured], "measurement_notes": list[Fact], "int8": dict[str, Any] | None,
    "incidents": list[Incident], "plots": dict[str, list[str]],
})
TrainingWeights = TypedDict("TrainingWeights", {"best": str, "last": str})
TrainingPretrained = TypedDict("TrainingPretrained", {"path": str, "sha256": str, "matched": int, "total": int})
TrainingEpoch = TypedDict("TrainingEpoch", {"epoch": int, "seconds": float, "batch": int})
TrainingPeakMemory = TypedDict("TrainingPeakMemory", {"gpu_mib": float | None, "ram_mib": float})
TrainingIncident = TypedDict("TrainingIncident", {
    "time": str, "kind": str, "code": NotRequired[str], "parameters": NotRequired[dict[str, Any]],
    "message": NotRequired[str],
})
TrainingActivations = TypedDict("TrainingActivations", {"verified": bool, "found": dict[str, Any]})
Training = TypedDict("Training", {
    "schema_version": Literal[2, 1], "variant": str, "recipe": str, "arguments": dict[str, Any],
    "model_fingerprint": str, "data_hash": str, "conditions": NotRequired[dict[str, Any]], "weights": TrainingWeights,
    "pretrained": TrainingPretrained | None, "epochs": list[TrainingEpoch], "best_epoch": int | None, "started": str,
    "finished": str, "seconds": float, "attempts": int, "precision": NotRequired[Literal["fp32", "fp16", "bf16", None]],
    "peak_memory": TrainingPeakMemory, "incidents": list[TrainingIncident], "activations": TrainingActivations,
    "environment": dict[str, Any],
})
