import shlex
import sys
from functools import partial

sys.path.insert(0, workflow.basedir)

from workflow import evo

# Found once, it goes last: no file that somebody keeps beside the Snakefile stands in for a module of a library.
sys.path[:] = [path for path in sys.path if path != workflow.basedir] + [workflow.basedir]

from snakemake.cli import get_argument_parser

from workflow.evo.config.loading import load_session, read_yaml
from workflow.evo.errors import EvoError, UserError
from workflow.evo.printable import log_line
from workflow.evo.results import stages
from workflow.evo.session import lifecycle
from workflow.evo.session.capacity import capacity
from workflow.evo.session.code import code_of
from workflow.evo.session.identities import identities, record
from workflow.evo.session.inputs import Inputs, check_measurements
from workflow.evo.session.placement import refuse_misplaced
from workflow.evo.session.targets import unknown_targets
from workflow.evo.session.triggers import board_identity, preflight_identity, report_identity
from workflow.evo.training.recipe import arguments_of
from workflow.evo.training.tracking import require_trackers


def or_refuse(function, *arguments):
    """Call the function; a mistake of the user ends Snakemake with one line and exit code 2, a full disk with 1."""
    try:
        return function(*arguments)
    except EvoError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"error: {UserError(error.strerror or str(error), where=error.filename)}", file=sys.stderr)
        sys.exit(UserError.exit_code)


def targets_of(arguments):
    return get_argument_parser().parse_known_args(arguments)[0].targets or []


# Snakemake has read them, and of two equal keys it took the last one.
for file in workflow.configfiles:
    or_refuse(read_yaml, file)
SESSION = or_refuse(load_session, config, workflow.config_settings.config)
VARIANTS = SESSION.variant_names
BOARDS = SESSION.npu.boards
if not workflow.remote_exec:  # the session that submitted this job has looked
    or_refuse(refuse_misplaced, SESSION)
or_refuse(require_trackers, SESSION.track)
or_refuse(check_measurements, SESSION)
or_refuse(unknown_targets, SESSION, sys.argv[1:], targets_of)

# Every path of a rule: of the session, of one variant, and of that variant on one board.
RESULTS = SESSION.layout
OF = RESULTS.variant("{variant}")
ON = OF.board("{board}")

# What decides whether a finished job runs again. Snakemake compares these; touched files and comments do not matter.
# A job on another machine takes what this session wrote when it started, and leaves the dataset alone.
IDENTITIES = or_refuse(partial(identities, recorded=workflow.remote_exec), SESSION)
DATA = IDENTITIES.data
INPUTS = Inputs(SESSION, IDENTITIES)
NPU = report_identity(SESSION)


def get_network(wildcards):
    return IDENTITIES.models[wildcards.variant]


def get_recipe(wildcards):
    return IDENTITIES.recipes[wildcards.variant]


def get_board(wildcards):
    return board_identity(wildcards.board)


def each_variant(path):
    return expand(path, variant=VARIANTS)


def each_board(path):
    return expand(path, board=BOARDS, allow_missing=True)


def log_of(rule):
    return stages.BY_RULE[rule].log(RESULTS, "{variant}", "{board}")


def benchmark_of(rule):
    return stages.BY_RULE[rule].benchmark(RESULTS, "{variant}", "{board}")


# Each shell line is `logged LOG python -m SCRIPT …`, with the interpreter of this session, whether or not its environment
# is activated, from any directory. `exec` makes the script a direct child of Snakemake, so that signals reach it, and it
# notices when Snakemake dies. What the script says on stderr goes to the terminal and to the log, its output to the log
# only. The log outlives a reader of the terminal that has gone, such as `snakemake 2>&1 | head`, and a log that cannot be
# opened is one line. With PYTHONSAFEPATH a file in the working directory, such as a dataset's yaml.py, does not stand in
# for a module.
PYTHON = f"env PYTHONSAFEPATH=1 PYTHONPATH={shlex.quote(workflow.basedir)} {shlex.quote(sys.executable)}"
CONFIG = shlex.quote(RESULTS.config.as_posix())
LOGGED = """CONFIG=@CONFIG@
logged() {
    log=$1
    shift 2
    reason=$( (: >> "$log") 2>&1 ) || {
        echo "error: $log: the log cannot be written (${reason##*: }) — fix that, then run the same command again" >&2
        exit 1
    }
    EVO_LOG=$log exec @PYTHON@ "$@" > "$log" 2> >(trap "" INT TERM HUP PIPE; exec tee -a "$log" >&2)
}
"""
LOGGED = LOGGED.replace("@CONFIG@", CONFIG).replace("@PYTHON@", PYTHON)
shell.prefix(LOGGED.replace("{", "{{").replace("}", "}}"))

# Without --resources the number of trainings at a time would be unlimited, and `--resources mem_mb=…` replaces a
# profile's whole map: so the token is set here.
if "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", 1)

# None on a cluster, where every job gets processors of its own (without an executor `--jobs` means `--cores`).
CORES = None
if workflow.is_main_process and not workflow.resource_settings.nodes:
    CORES = workflow.resource_settings.cores or 1
CAPACITY = or_refuse(capacity, SESSION, CORES, workflow.global_resources["gpu"].value)
if CORES is not None and "cpu_training" not in workflow.global_resources:
    workflow.register_resource("cpu_training", CAPACITY.cpu_trainings)


wildcard_constraints:
    variant="|".join(VARIANTS),
    board="|".join(BOARDS),


def start_session():
    or_refuse(lifecycle.start, SESSION)
    or_refuse(record, SESSION, IDENTITIES)
    if idle := CAPACITY.idle_gpus():
        print(idle, file=sys.stderr)


def end_session(failed=False):
    lifecycle.end(SESSION)
    if failed:
        for folder in sorted(SESSION.layout.logs.glob("**/attempts")):
            log_line(f"logs of failed attempts: {folder}")
        log_line(f"report of what exists: {PYTHON} -m workflow.scripts.compare_variants --config {CONFIG}")
    elif SESSION.layout.report.is_file():
        log_line(f"report: {SESSION.layout.report.resolve()}")
