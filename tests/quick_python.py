"""A Python that has imported the large libraries already: starting Snakemake or a script costs no imports.

`quick_python` returns an executable that takes ``-m MODULE …`` or ``-c CODE …``, as Python does. It hands its
arguments, working directory, environment and streams to one process that all tests of a run share. That one forks for
each call, and the call ends as the fork ends. The modules of this workflow, and Ultralytics, which reads its
environment at its import, are imported anew by each call. A call is not a child of its caller: what a signal or a dead
parent does is tested with the real interpreter.
"""

import os
import socket
import sys

LARGEST = 1 << 20  # bytes of a request
SMALL = ("yaml", "jsonschema", "jinja2", "psutil", "numpy", "pandas", "smart_open", "snakemake.cli")
LARGE = (
    *("torch", "torch._inductor", "torchvision", "cv2", "scipy.stats", "PIL.Image"),
    *("matplotlib.pyplot", "matplotlib.font_manager"),
    *("litert_torch", "ai_edge_quantizer.quantizer", "ai_edge_litert.interpreter"),
)
RUN_SNAKEMAKE = """
import importlib.metadata, json, sys
client, versions = sys.argv.pop(1), json.loads(sys.argv.pop(1))
installed = importlib.metadata.version
importlib.metadata.version = lambda name: versions.get(name) or installed(name)
sys.executable, sys.argv[0] = client, "snakemake"
from snakemake.cli import main
main(sys.argv[1:])
"""
"""Snakemake whose jobs run by the first argument, as if packages were installed in the versions of the second one."""


def quick_python(small: bool = False) -> str:
    """Return the executable, having started the process behind it if no test of this run has before.

    Args:
        small: it has imported what Snakemake needs only, which makes each start faster still.
    """
    import fcntl
    import subprocess
    import tempfile
    from pathlib import Path

    import psutil

    if not hasattr(os, "pidfd_open"):  # Linux only
        return sys.executable
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    since = psutil.Process(owner).create_time()
    folder = Path(tempfile.gettempdir()) / f"quick-python-{os.getuid()}-{owner}-{since}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid()
    clients = {name: folder / name for name in ("small", "large")}
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not clients["large"].exists():
            # No thread may have been started when it forks.
            variables = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "YOLO_AUTOINSTALL": "false"}
            variables.pop("PYTHONPATH", None)
            started = subprocess.Popen(
                [sys.executable, "-P", __file__, "serve", folder, str(owner)],
                env=variables,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert started.stdout.readline() == b"ready\n"
            for name, client in clients.items():
                socket_file = folder / f"{name}.socket"
                client.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{__file__}" call "{socket_file}" "$@"\n')
                client.chmod(0o755)
    return str(clients["small" if small else "large"])


def _call(path: str, arguments: list[str]) -> int:
    """Hand a call over; return how it ended."""
    import json

    request = json.dumps([arguments, os.getcwd(), dict(os.environ)]).encode()  # noqa: PTH109 (a start without pathlib is faster)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
        connection.connect(path)
        socket.send_fds(connection, [request], [0, 1, 2])
        answer = connection.recv(64)
    return int(answer or b"1")


def _serve(folder: str, owner: int) -> None:
    """Import the libraries, and answer calls until the process ``owner`` is gone."""
    import importlib
    import shutil

    gone = os.pidfd_open(owner)  # while it is there for certain: the imports take seconds
    before = [path for path in sys.path if path]
    listeners = {}
    for name in ("small", "large"):
        listeners[name] = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listeners[name].bind(f"{folder}/{name}.socket")
        listeners[name].listen(64)
    os.write(1, b"ready\n")  # calls wait until somebody answers them
    os.dup2(2, 1)  # nobody reads further on
    for name in SMALL:
        importlib.import_module(name)
    from snakemake.cli import get_argument_parser

    get_argument_parser()  # imports every plugin
    sys.path[:] = before
    if os.fork() == 0:
        _answer(listeners["small"], gone)
        os._exit(0)
    for name in LARGE:
        importlib.import_module(name)
    sys.path[:] = before
    _answer(listeners["large"], gone)
    shutil.rmtree(folder)


def _answer(listener: socket.socket, gone: int) -> None:
    """Fork for every call until the process behind the descriptor ``gone`` has ended."""
    import contextlib
    import gc
    import selectors
    import signal

    gc.collect()
    gc.freeze()
    running: dict[int, tuple[int, socket.socket]] = {}  # process and other end of each call, by file descriptor
    with selectors.DefaultSelector() as events:
        events.register(listener, selectors.EVENT_READ)
        events.register(gone, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fileobj == gone:
                    return
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    child = _fork(connection)
                    ended = os.pidfd_open(child)
                    running[ended] = running[connection.fileno()] = child, connection
                    events.register(ended, selectors.EVENT_READ)
                    events.register(connection, selectors.EVENT_READ)
                    continue
                if key.fd not in running:
                    continue
                child, connection = running.pop(key.fd)
                events.unregister(key.fileobj)
                if key.fileobj is connection:  # who made the call is gone
                    os.kill(child, signal.SIGKILL)
                    continue
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                os.close(key.fd)
                if running.pop(connection.fileno(), None):
                    events.unregister(connection)
                    with contextlib.suppress(OSError):  # it has gone in this moment
                        connection.send(str(code).encode())
                connection.close()


def _fork(connection: socket.socket) -> int:
    """Run the call that comes in on ``connection`` in a process of its own; return its number."""
    import json

    request, streams, *_ = socket.recv_fds(connection, LARGEST, 3)
    child = os.fork()
    if child == 0:
        try:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            os._exit(_run(*json.loads(request)))
        finally:
            os._exit(1)
    for stream in streams:
        os.close(stream)
    return child


def _run(arguments: list[str], folder: str, environment: dict[str, str]) -> int:
    """Do in this process what Python does with such a command line; return the exit code."""
    import atexit
    import runpy
    import threading
    import traceback

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    sys.orig_argv = [sys.executable, *arguments]
    kind, what, *rest = arguments
    sys.argv = [kind, *rest]
    own = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    if "PYTHONSAFEPATH" not in environment:
        own.insert(0, folder if kind == "-m" else "")
    sys.path[:0] = own
    code: object = 0
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        elif kind == "-c":
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
        else:
            raise ValueError(f"not known here: {kind}")
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    if sys.argv[1] == "call":
        result = _call(sys.argv[2], sys.argv[3:])
        if result < 0:
            os.kill(os.getpid(), -result)
        sys.exit(result)
    _serve(sys.argv[2], int(sys.argv[3]))
