"""Puts the repository root on the import path, so that `workflow.evo` imports as it does for the rules."""

import signal

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A script's shell has started the tests in the background. What they start would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
