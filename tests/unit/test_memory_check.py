"""Which batch fits, found by trying: the images that are tried, and what a training makes of the answer."""

from __future__ import annotations

import pytest
import yaml

from workflow.evo.config.loading import load_session
from workflow.evo.files import write_json
from workflow.evo.results.journal import Journal
from workflow.evo.text.facts import sentence
from workflow.evo.training import memory
from workflow.evo.training.memory import Gpu, densest_images, most_objects, probe
from workflow.evo.training.recovery import Recovery

OBJECTS = {"few": 1, "many": 7, "none": 0, "some": 3}


@pytest.fixture
def data(tmp_path):
    view = tmp_path / "view"
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (view / kind / split).mkdir(parents=True)
        for name, count in OBJECTS.items():
            (view / "images" / split / f"{name}.png").touch()
            if count:
                (view / "labels" / split / f"{name}.txt").write_text("0 0.5 0.5 0.1 0.1\n" * count + "\n")
    names = {"train": "images/train", "val": "images/val", "test": "images/test", "names": {0: "a: b", 1: "c"}}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(names))
    return view


def test_the_densest_images_come_first_and_one_without_labels_last(data):
    assert [path.stem for path in densest_images(data, "train", 3)] == ["many", "some", "few"]
    assert densest_images(data, "val", 9)[-1].stem == "none"
    assert most_objects(data) == 7


def test_the_batch_is_halved_until_it_fits_and_each_try_sees_a_dataset_of_its_size(data):
    seen = []

    def train(arguments, dataset):
        document = yaml.safe_load(dataset.read_text())
        folder = dataset.parent
        images = [list((folder / document[split]).iterdir()) for split in ("train", "val")]
        labels = list((folder / "labels" / "train").iterdir())
        seen.append((arguments["batch"], len(images[0]), len(images[1]), document["names"]))
        assert all(path.resolve().is_file() for path in [*images[0], *images[1], *labels])
        if arguments["batch"] > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has …")
        return {"allocated_mib": 10.0, "reserved_mib": 12.0}

    tried = probe({"batch": 8, "imgsz": 64}, train, data)
    names = {0: "a: b", 1: "c"}
    assert seen == [(8, 24, 16, names), (4, 12, 8, names), (2, 6, 4, names)]
    assert [(entry["batch"], entry["fits"], entry["reserved_mib"]) for entry in tried] == [
        (8, False, None),
        (4, False, None),
        (2, True, 12.0),
    ]
    assert tried[0]["error"] == "CUDA out of memory. Tried to allocate 20.00 MiB."


def test_not_even_one_image_fits(data):
    def train(arguments, dataset):
        raise MemoryError

    tried = probe({"batch": 3}, train, data)
    assert [(entry["batch"], entry["fits"]) for entry in tried] == [(3, False), (1, False)]


def test_another_error_is_not_taken_for_a_lack_of_memory(data):
    def train(arguments, dataset):
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        probe({"batch": 4}, train, data)


class Console:
    def __init__(self):
        self.said = []

    def log(self, text):
        self.said.append(text)


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Return a function: what batch a training begins at, and its incidents, after a memory check of `recipe`."""
    monkeypatch.chdir(tmp_path)
    session = load_session({}, {})

    def run(fitting, recipe="ours", **now):
        found = {"device": "GPU", "total_mib": 8000.0, "free_mib": 7100.0, **now}
        monkeypatch.setattr(memory, "gpu", lambda: Gpu(**found))
        journal = Journal(tmp_path / "checkpoints")
        journal.start_attempt("ours", session.train.batch)
        path = tmp_path / "memory.json"
        if now:
            monkeypatch.setattr(
                memory, "gpu", lambda: Gpu(**{"device": "GPU", "total_mib": 8000.0, "free_mib": 7100.0, **now})
            )
        facts = {"device": "GPU", "total_mib": 8000.0, "free_mib": 7000.0, "objects": 9, "skipped": None}
        write_json(
            path,
            "memory",
            {"variant": "level4_relu", "recipe": recipe, "fitting_batch": fitting, "tried": [], **facts},
        )
        console = Console()
        Recovery(session, "level4_relu", journal, console).apply_memory_check(path, "ours")
        run.said = console.said
        return Journal(tmp_path / "checkpoints").run["batch"], journal.incidents()

    return run


def test_a_training_begins_at_the_batch_that_fits_and_says_so(begin):
    batch, incidents = begin(4)
    assert batch == 4
    assert [incident["kind"] for incident in incidents] == ["memory_check"]
    assert sentence(incidents[0]) == (
        "batch 16 does not fit into the memory of GPU: began at batch 4, nominal batch size 32 kept (accumulation 8)"
    )


@pytest.mark.parametrize(("fitting", "recipe"), [(16, "ours"), (None, "ours"), (4, "another")])
def test_nothing_changes_when_it_fits_was_not_tried_or_was_of_another_recipe(begin, fitting, recipe):
    assert begin(fitting, recipe) == (16, [])


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ({"device": "Larger GPU", "total_mib": 24000.0}, "it was made on GPU with 8,000 MiB, this is Larger GPU with"),
        ({"total_mib": 4000.0}, "it was made on GPU with 8,000 MiB, this is GPU with 4,000 MiB"),
        ({"free_mib": 7900.0}, "7,000 MiB were free then, 7,900 MiB are now"),
    ],
)
def test_a_check_on_another_gpu_or_beside_another_program_fixes_no_batch(begin, now, reason):
    assert begin(4, **now) == (16, [])
    assert begin.said == [f"the memory check is not used: {begin.said[0].partition(': ')[2]}"]
    assert reason in begin.said[0] and begin.said[0].endswith("begins at batch 16")


def test_the_gpu_is_the_same_with_a_little_more_or_less_free(begin):
    assert begin(4, free_mib=7700.0)[0] == 4
    assert begin(4, free_mib=500.0)[0] == 4


def test_without_a_memory_check_nothing_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session, journal = load_session({}, {}), Journal(tmp_path / "checkpoints")
    journal.start_attempt("ours", 16)
    Recovery(session, "level4_relu", journal, Console()).apply_memory_check(tmp_path / "memory.json", "ours")
    assert journal.run["batch"] == 16 and not journal.incidents()
