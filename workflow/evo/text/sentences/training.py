"""Sentences on what happened to a training."""

from __future__ import annotations

from .sentence import says

PLACES = {
    "in_epoch": says("epoch %(epoch)s"),
    "in_validation": says("the validation of epoch %(epoch)s"),
    "from_checkpoint": says("the checkpoint of epoch %(epoch)s"),
    "from_start": says("the start"),
}
"""Where a training was when something happened."""

MEMORY = {
    "memory_out": says("out of memory"),
    "memory_of_loader_out": says("a data loader process ran out of shared memory"),
    "memory_of_gpu_library_out": says("%(status)s, which usually means that the GPU is out of memory"),
    "training_killed": says("the kernel killed the training because it was out of memory"),
    "loader_killed_by_kernel": says("the kernel killed a data loader process because it was out of memory"),
    "oom_kills_counted": says("oom_kill of %(group)s went from %(before)s to %(now)s"),
    "batch_halved": says(
        "%(what)s in %(place)s at batch %(batch)s: continued at batch %(half)s, nominal batch size %(nbs)s kept "
        "(accumulation %(accumulation)s)"
    ),
    "began_at_smaller_batch": says(
        "batch %(batch)s does not fit into the memory of %(device)s: began at batch %(half)s, nominal batch size "
        "%(nbs)s kept (accumulation %(accumulation)s)"
    ),
    "memory_exhausted": says(
        "%(variant)s: %(what)s even at batch %(batch)s (%(reason)s) — lower train.imgsz, or use a device with more "
        "memory"
    ),
    "host_memory_exhausted": says(
        "%(variant)s: %(what)s in %(place)s even at batch %(batch)s (%(reason)s) — lower train.imgsz or train.workers, "
        "or give the job more memory"
    ),
    "loader_killed_by_another": says("a data loader process was killed in %(place)s, and not by the kernel"),
    "loader_killed_by_whom": says(
        "a data loader process was killed in %(place)s; no counter tells whether the kernel was out of memory"
    ),
}

NONFINITE = {
    "network_nonfinite": says("%(number)s tensors of the network hold NaN or infinity, %(first)s first"),
    "average_nonfinite": says("%(number)s tensors of the moving average hold NaN or infinity, %(first)s first"),
    "loss_nonfinite": says("the loss became %(losses)s in %(place)s", losses="listed"),
    "every_step_skipped": says("%(loss)s: mixed precision skipped every step"),
    "step_skipped": says("%(loss)s: mixed precision skipped the step, and all weights are finite"),
    "loss_scale_collapsed": says("the loss scale of mixed precision fell to %(value)s in %(place)s", value="number"),
    "fitness_nonfinite": says("the fitness became %(value)s"),
    "nonfinite_retried": says("non-finite values in epoch %(epoch)s: %(error)s; tried once more from %(source)s"),
    "nonfinite_again": says(
        "%(variant)s: non-finite values in epoch %(epoch)s again: %(error)s — lower train.lr0, lengthen "
        "train.warmup_epochs, or set train.amp to false"
    ),
}

CONTINUATION = {
    "recipe_changed": says("the recipe changed: trained afresh, earlier checkpoints are in %(folder)s"),
    "recipe_returned": says("the recipe is an earlier one again: its checkpoints are back from %(folder)s"),
    "not_deterministic": says(
        "train.deterministic is false: the same training may end with other bits when it is repeated"
    ),
    "restarted": says("an earlier attempt ended before its first checkpoint; started again"),
    "resumed": says("resumed from the checkpoint of epoch %(epoch)s of %(epochs)s"),
    "checkpoint_unusable": says("checkpoint %(checkpoint)s is unusable (%(reason)s): the one before it is used"),
    "files_damaged": says("damaged %(files)s", files="listed"),
    "manifest_unreadable": says("unreadable manifest (%(error)s)"),
    "conditions_differ": says(
        "continued after epoch %(epoch)s under other conditions (%(differences)s): valid, but not bit for bit what one "
        "uninterrupted run gives",
        differences="joined",
    ),
    "other_batch": says("batch %(now)s instead of %(before)s"),
    "other_workers": says("data loader processes %(now)s instead of %(before)s"),
    "other_threads": says("torch threads %(now)s instead of %(before)s"),
    "other_device": says("device %(now)s instead of %(before)s"),
    "other_cache": says("image cache %(now)s instead of %(before)s"),
    "other_libraries": says("libraries %(now)s instead of %(before)s"),
    "other_precision": says("precision %(now)s instead of %(before)s"),
    "other_deterministic": says("deterministic operations %(now)s instead of %(before)s"),
}

OTHERS = {
    "memory_check_outdated": says("the memory check is not used: %(reason)s; begins at batch %(batch)s"),
    "no_gpu_now": says("there is no GPU"),
    "other_gpu_now": says(
        "it was made on %(device)s with %(memory)s, this is %(now)s with %(memory_now)s",
        memory="mebibytes",
        memory_now="mebibytes",
    ),
    "more_memory_free": says("%(before)s were free then, %(now)s are now", before="mebibytes", now="mebibytes"),
    "precision_off": says("mixed precision is off (%(reason)s): trained in float32"),
    "gpu_computes_nan": says("%(gpu)s is known to compute NaN with it"),
    "outputs_nonfinite": says("outputs of the network hold NaN or infinity with it"),
    "outputs_differ": says("outputs of the network differ by %(share)s of their norm with it", share="metric"),
    "image_gone": says("an image of the dataset can no longer be read in %(place)s: %(image)s"),
    "dataset_changed": says("the split %(split)s has %(now)s now, and had %(before)s when this training began"),
    "images_and_objects": says("%(images)s images with %(objects)s objects"),
    "loader_stalled": says("the data loader gave no batch for %(minutes)s minutes in %(place)s: stopped"),
}

SENTENCES = {**PLACES, **MEMORY, **NONFINITE, **CONTINUATION, **OTHERS}
