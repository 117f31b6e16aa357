"""The command line that the workflow's scripts share."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config.boards import Board, load_board
from ..config.loading import load_session_files
from ..config.session import Session
from ..config.variants import Variant


def session_parser(script: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with ``--config``, for ``python -m workflow.scripts.{script}``."""
    parser = argparse.ArgumentParser(prog=f"python -m workflow.scripts.{script}", description=description)
    parser.add_argument(
        "--config",
        nargs="+",
        type=Path,
        default=[Path("config/config.yaml")],
        metavar="FILE",
        help="configuration files, later ones laid over earlier ones (default: config/config.yaml)",
    )
    return parser


def parse_session(script: str, description: str) -> Session:
    """Parse the command line of a script that takes ``--config`` only, and load the session.

    Raises:
        UserError: the configuration is wrong.
    """
    return session_of(session_parser(script, description).parse_args())


def session_of(arguments: argparse.Namespace) -> Session:
    """Load the session that a command line of `session_parser` names.

    Raises:
        UserError: the configuration is wrong.
    """
    return load_session_files(arguments.config)


def variant_parser(script: str, description: str) -> argparse.ArgumentParser:
    """Return `session_parser` with ``--variant``."""
    parser = session_parser(script, description)
    parser.add_argument("--variant", required=True, metavar="NAME", help="variant of the session, e.g. level2_relu")
    return parser


def session_and_variant(arguments: argparse.Namespace) -> tuple[Session, Variant]:
    """Load the session that a command line of `variant_parser` names, and its variant.

    Raises:
        UserError: the configuration is wrong, or the session has no such variant.
    """
    session = session_of(arguments)
    return session, session.variant(arguments.variant)


def parse_variant(script: str, description: str) -> tuple[Session, Variant]:
    """Parse the command line of a script that works on one ``--variant`` of the session.

    Raises:
        UserError: the configuration is wrong, or the session has no such variant.
    """
    return session_and_variant(variant_parser(script, description).parse_args())


def parse_board(script: str, description: str) -> tuple[Session, Variant, Board]:
    """Parse the command line of a script that works on one ``--variant`` for one ``--board``.

    Raises:
        UserError: the configuration is wrong, or there is no such variant or board.
    """
    parser = variant_parser(script, description)
    parser.add_argument("--board", required=True, metavar="NAME", help="board of config/boards, or the path of another")
    arguments = parser.parse_args()
    return *session_and_variant(arguments), load_board(arguments.board)
