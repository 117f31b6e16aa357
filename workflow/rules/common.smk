import shlex
import sys
from functools import partial

sys.path.insert(0, workflow.basedir)

from snakemake.cli import get_argument_parser

from workflow.evo import session_run
from workflow.evo.config import load_session
from workflow.evo.data.source import dataset_yaml
from workflow.evo.errors import UserError
from workflow.evo.identities import identities, record
from workflow.evo.planning import (
    board_identity,
    evaluation_gpus,
    interpreter_threads,
    memory_is_checked,
    preflight_identity,
    report_identity,
    training_threads,
    tree_hash,
    unknown_targets,
)
from workflow.evo.training.recipe import arguments_of
from workflow.evo.training.tracking import require_trackers


def or_refuse(function, *arguments):
    """Call the function; a mistake of the user ends Snakemake with one line and exit code 2."""
    try:
        return function(*arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def targets_of(arguments):
    return get_argument_parser().parse_known_args(arguments)[0].targets or []


SESSION = or_refuse(load_session, config, workflow.config_settings.config)
RESULTS = SESSION.root.as_posix()
VARIANTS = SESSION.variant_names
BOARDS = SESSION.npu.boards
or_refuse(require_trackers, SESSION.track)
or_refuse(unknown_targets, SESSION, sys.argv[1:], targets_of)

# What decides whether a finished job runs again. Snakemake compares these; touched files and comments do not matter.
# A job on another machine takes what this session wrote when it started, and leaves the dataset alone.
IDENTITIES = or_refuse(partial(identities, recorded=workflow.remote_exec), SESSION)
DATA, RECIPES = IDENTITIES.data, IDENTITIES.recipes
NPU = report_identity(SESSION)
REPORTING_HASH = tree_hash("reporting")

# The shell lines call their scripts as `evo NAME LOG …`, by this interpreter, whether or not its environment is activated, from
# any directory. `exec` makes the script a direct child of Snakemake: signals reach it, and it notices when Snakemake
# dies. What the script says on stderr goes to the terminal and to the log, its output to the log only.
EVO = f"env PYTHONPATH={shlex.quote(workflow.basedir)} {shlex.quote(sys.executable)} -m workflow.scripts"
CONFIG = f"--config {shlex.quote(SESSION.layout.config.as_posix())}"
TEE = """> "$2" 2> >(trap "" INT TERM HUP; exec tee -a "$2" >&2)"""
shell.prefix(f'evo() {{{{ exec {EVO}."$1" {CONFIG} "${{{{@:3}}}}" {TEE}; }}}}; ')

# Without --resources the number of trainings at a time would be unlimited, and `--resources mem_mb=…` replaces a
# profile's whole map: so the token is set here.
if "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", 1)


wildcard_constraints:
    variant="|".join(VARIANTS),
    board="|".join(BOARDS),


def get_model_identity(wildcards):
    return IDENTITIES.models[wildcards.variant]


def get_board(wildcards):
    return board_identity(wildcards.board)


def get_drawn_dataset():
    return [dataset_yaml(SESSION).as_posix()] if SESSION.data is None else []


def get_recipe(wildcards):
    return RECIPES[wildcards.variant]


def get_memory_check(wildcards):
    return f"{RESULTS}/{wildcards.variant}/check/memory.json" if memory_is_checked(SESSION) else []


def start_session():
    or_refuse(session_run.start, SESSION)
    or_refuse(record, SESSION, IDENTITIES)


def end_session(failed=False):
    session_run.end(SESSION)
    if failed:
        print(f"report of what exists: {EVO}.compare_variants {CONFIG}", file=sys.stderr)
    elif SESSION.layout.report.is_file():
        print(f"report: {SESSION.layout.report.resolve()}", file=sys.stderr)
