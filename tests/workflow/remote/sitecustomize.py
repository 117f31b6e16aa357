"""Notes each file and folder that this process opens, lists or asks the system about, below EVO_TEST_WATCHED."""

# ruff: noqa: PTH100 (a path itself may be what is noted)

import os
import sys

WATCHED, NOTES = os.environ.get("EVO_TEST_WATCHED"), os.environ.get("EVO_TEST_NOTES")


def note(kind, path):
    if isinstance(path, (str, bytes, os.PathLike)) and os.path.abspath(os.fsdecode(path)).startswith(WATCHED):
        descriptor = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{kind} {os.fsdecode(path)}\n".encode())
        os.close(descriptor)


def asked(name):
    original = getattr(os, name)

    def call(path, *arguments, **options):
        note(name, path)
        return original(path, *arguments, **options)

    return call


if WATCHED and NOTES and "snakemake" in " ".join(sys.orig_argv):
    sys.addaudithook(lambda event, arguments: note(event, arguments[0]) if event in {"open", "os.scandir"} else None)
    os.stat, os.lstat = asked("stat"), asked("lstat")
