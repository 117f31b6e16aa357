import shlex
import sys
from functools import partial

sys.path.insert(0, workflow.basedir)

from workflow import evo

# Found once, it goes last: no file that somebody keeps beside the Snakefile stands in for a module of a library.
sys.path[:] = [path for path in sys.path if path != workflow.basedir] + [workflow.basedir]

from snakemake.cli import get_argument_parser

from workflow.evo.session.capacity import capacity
from workflow.evo.config.session import load_session, read_yaml
from workflow.evo.data.place import refuse_misplaced
from workflow.evo.data.source import dataset_yaml
from workflow.evo.errors import EvoError, UserError
from workflow.evo.session import lifecycle
from workflow.evo.session.identities import identities, record
from workflow.evo.session.triggers import (
    board_identity,
    export_identity,
    is_made_of,
    preflight_identity,
    report_identity,
    tree_hash,
    unknown_targets,
)
from workflow.evo.printable import tell
from workflow.evo.training.recipe import arguments_of, is_published
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
RESULTS = SESSION.root.as_posix()
VARIANTS = SESSION.variant_names
BOARDS = SESSION.npu.boards
if not workflow.remote_exec:  # the session that submitted this job has looked
    or_refuse(refuse_misplaced, SESSION)
or_refuse(require_trackers, SESSION.track)
or_refuse(unknown_targets, SESSION, sys.argv[1:], targets_of)

# What decides whether a finished job runs again. Snakemake compares these; touched files and comments do not matter.
# A job on another machine takes what this session wrote when it started, and leaves the dataset alone.
IDENTITIES = or_refuse(partial(identities, recorded=workflow.remote_exec), SESSION)
DATA, RECIPES, PRETRAINED = IDENTITIES.data, IDENTITIES.recipes, IDENTITIES.pretrained
EVALUATED = DATA.of(SESSION.splits)
EXPORTED = export_identity(SESSION, DATA)
NPU = report_identity(SESSION)
REPORTING_HASH = tree_hash("reporting")

# The shell lines call their scripts as `evo NAME LOG …`, by this interpreter, whether or not its environment is activated, from
# any directory. `exec` makes the script a direct child of Snakemake: signals reach it, and it notices when Snakemake
# dies. What the script says on stderr goes to the terminal and to the log, its output to the log only. The log outlives a
# reader of the terminal that has gone, such as `snakemake 2>&1 | head`, and a log that cannot be opened is one line.
# With PYTHONSAFEPATH a file in the working directory, such as a dataset's yaml.py, does not stand in for a module.
EVO = (
    f"env PYTHONSAFEPATH=1 PYTHONPATH={shlex.quote(workflow.basedir)} {shlex.quote(sys.executable)} -m workflow.scripts"
)
CONFIG = f"--config {shlex.quote(SESSION.layout.config.as_posix())}"
LOG = """reason=$( (: >> "$2") 2>&1 ) || {{
    echo "error: $2: the log cannot be written (${{reason##*: }}) — fix that, then run the same command again" >&2
    exit 1
}}
"""
TEE = """> "$2" 2> >(trap "" INT TERM HUP PIPE; exec tee -a "$2" >&2)"""
# A path may have braces, which Snakemake formats.
COMMAND = f'{EVO}."$1" {CONFIG}'.replace("{", "{{").replace("}", "}}")
shell.prefix(f'evo() {{{{ {LOG} EVO_LOG="$2" exec {COMMAND} "${{{{@:3}}}}" {TEE}; }}}}; ')

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


def get_model_identity(wildcards):
    return IDENTITIES.models[wildcards.variant]


def get_board(wildcards):
    return board_identity(wildcards.board)


def get_drawn_dataset():
    return [dataset_yaml(SESSION).as_posix()] if SESSION.data is None else []


def get_recipe(wildcards):
    return RECIPES[wildcards.variant]


# Snakemake runs a job again when a job behind one of its inputs runs, whatever that one makes. So what is checked or linked
# again for another reason is an input only of a job that has to run anyway, and then runs before it: a job whose results
# are of its present parameters asks for none of these files.


def get_checks(wildcards):
    layout = SESSION.layout.variant(wildcards.variant)
    if is_published(layout, RECIPES[wildcards.variant]):
        return []
    shared = [SESSION.layout.environment, SESSION.layout.fingerprint, SESSION.layout.dataset_yaml]
    own = [layout.model, layout.activations, layout.npu_check]
    memory = [layout.memory] if SESSION.may_use_gpu else []
    return [path.as_posix() for path in (*shared, *own, *memory)]


def get_probed(wildcards):
    layout = SESSION.layout.variant(wildcards.variant)
    if is_made_of(layout.memory, RECIPES[wildcards.variant], key="recipe"):
        return []
    return [path.as_posix() for path in (SESSION.layout.fingerprint, SESSION.layout.dataset_yaml, layout.activations)]


def get_calibration(wildcards):
    layout = SESSION.layout.variant(wildcards.variant)
    current = is_made_of(layout.npu_metadata, EXPORTED) and layout.model_int8.is_file()
    return [] if current else [layout.activations.as_posix(), SESSION.layout.dataset_yaml.as_posix()]


def get_evaluated(wildcards):
    current = is_made_of(SESSION.layout.variant(wildcards.variant).metrics, EVALUATED)
    return [] if current else [SESSION.layout.dataset_yaml.as_posix()]


def get_evaluated_int8(wildcards):
    current = is_made_of(SESSION.layout.variant(wildcards.variant).metrics_int8, EVALUATED)
    return [] if current else [SESSION.layout.dataset_yaml.as_posix()]


def start_session():
    or_refuse(lifecycle.start, SESSION)
    or_refuse(record, SESSION, IDENTITIES)
    if idle := CAPACITY.idle_gpus():
        print(idle, file=sys.stderr)


def end_session(failed=False):
    lifecycle.end(SESSION)
    if failed:
        for folder in sorted(SESSION.layout.logs.glob("**/attempts")):
            tell(f"logs of failed attempts: {folder}")
        tell(f"report of what exists: {EVO}.compare_variants {CONFIG}")
    elif SESSION.layout.report.is_file():
        tell(f"report: {SESSION.layout.report.resolve()}")
