"""What a network costs, and that one nobody could build is refused before anything is built."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.unit.model_files import FILES, line_of, refusal, write
from tests.unit.mutants import mutant
from workflow.evo.models import cost, graph
from workflow.evo.models.modules import MODULES
from workflow.evo.models.problems import ModelError
from workflow.evo.training import disk

SMALL = """
nc: 10
backbone:
  - [-1, 1, Conv, [{width}, 3, 4]]
{layers}
head:
  - [-1, 1, Conv, [64, 1, 4]]
  - [[-1], 1, Detect, [nc]]
"""


def stacked(layer: str, times: int = 1, width: int = 64) -> str:
    return SMALL.format(width=width, layers="\n".join([f"  - {layer}"] * times))


HUGE = {
    "41 convolutions of 2,048 channels": (stacked("[-1, 1, Conv, [2048, 3]]", 41), "weights"),
    "a pair of kernels of 15": (stacked("[-1, 1, Bottleneck, [4096, True, 1, [15, 15], 2.0]]"), "weights"),
    "a kernel of 15": (stacked("[-1, 1, Conv, [4096, 15]]"), "multiply-accumulates for an image of 640 pixels"),
    "a transposed kernel of 15": (
        stacked("[-1, 1, ConvTranspose, [4096, 15, 1, 7]]"),
        "multiply-accumulates for an image of 640 pixels",
    ),
    "200 blocks of 64 repeats": (stacked("[-1, 64, C3, [256]]", 200), "convolutions"),
    "64 repeats of C3k2 with C3k": (stacked("[-1, 64, C3k2, [1024, True, 2.0]]"), "weights"),
    "64 repeats of RepC3": (stacked("[-1, 64, RepC3, [2048]]"), "weights"),
    "64 chained convolutions": (stacked("[-1, 64, Conv, [1024, 9]]", width=1024), "weights"),
    "hidden channels of twice the width": (stacked("[-1, 64, C2, [2048, True, 1, 2.0]]"), "weights"),
    "64 blocks of attention": (stacked("[-1, 64, C2PSA, [1024]]", 20, width=1024), "weights"),
}  # fmt: skip


@pytest.mark.parametrize("case", HUGE)
def test_a_network_that_nobody_could_build_is_refused_by_layer_and_number(case, tmp_path):
    text, words = HUGE[case]
    (line, *_) = refused = refusal(write(tmp_path, text=text))
    assert any(f"{words}, too many (limit " in text for text in refused), refused
    assert line.startswith("mine.yaml:") or "mine.yaml:" in line
    assert ": layer " in line and "use fewer channels, repeats or layers" in line
    assert len(refused) <= len(cost.LIMITS)


def test_attention_over_large_maps_is_refused(tmp_path):
    """Every place looks at every other: 102,400 places of a map of 320 pixels would take 84 GB."""
    text = stacked("[-1, 1, C2PSA, [64]]").replace("[64, 3, 4]", "[64, 3, 2]")
    found = refusal(write(tmp_path, text=text))
    assert any("C2PSA has" in line and "values in its maps of an image of 640 pixels" in line for line in found), found


def test_the_line_is_that_of_the_largest_layer(tmp_path):
    path = write(tmp_path, text=stacked("[-1, 1, Conv, [4096, 15]]"))
    assert refusal(path)[0].partition("mine.yaml:")[2].startswith(f"{line_of(path.read_text(), 'Conv, [4096, 15]')}: ")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_network_of_the_grid_is_far_below_every_limit(path):
    _, network = graph.load(path, 80)
    whole = cost.total(network, 1280)
    for key, (limit, _) in cost.LIMITS.items():
        assert 0 < getattr(whole, key) * 20 < limit


def test_multiply_accumulates_and_values_follow_the_image():
    _, network = graph.load(FILES[0], 80)
    small, large = cost.total(network, 320), cost.total(network, 640)
    assert (small.weights, small.convolutions) == (large.weights, large.convolutions) == (3_157_200, 63)
    assert (large.macs, large.values) == (4 * small.macs, 4 * small.values)
    assert large.macs == pytest.approx(8.7e9 / 2, rel=0.02), "YOLOv8n has 8.7 GFLOPs (docs.ultralytics.com)"


def test_five_hundred_random_files_are_judged_without_a_traceback(tmp_path):
    path, accepted = tmp_path / "mine.yaml", 0
    for seed in range(500):
        path.write_text(mutant(seed, tuple(MODULES)))
        try:
            _, network = graph.load(path, 10)
        except ModelError as error:
            assert all(line.isprintable() for line in str(error).splitlines())
            continue
        accepted += 1
        assert all(getattr(cost.total(network), key) <= limit for key, (limit, _) in cost.LIMITS.items())
    assert 50 < accepted < 450, "changes that are all harmless, or all absurd, try nothing"


def test_the_cost_is_computed_without_torch():
    code = (
        "import sys; from workflow.evo.models import graph, cost; from tests.unit.model_files import FILES; "
        "cost.total(graph.load(FILES[0])[1]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_network_that_nobody_could_build_does_not_stop_the_check_of_the_environment(tmp_path, monkeypatch):
    """The disk is predicted from the computed weights: nothing is built, and the other variants count."""
    from workflow.scripts import check_environment

    monkeypatch.setattr(check_environment, "dataset_names", lambda _: ["a"] * 80)
    monkeypatch.setattr("workflow.evo.models.build.build", None)
    huge = write(tmp_path, text=HUGE["a pair of kernels of 15"][0])
    good = SimpleNamespace(variants=[SimpleNamespace(yaml=FILES[0])], train=SimpleNamespace(cache=False))
    both = SimpleNamespace(variants=[SimpleNamespace(yaml=huge), *good.variants], train=SimpleNamespace(cache=False))
    needed = disk.of_variant(3_157_200) / 2**30
    assert check_environment._disk_needed(both) == check_environment._disk_needed(good) == round(needed, 2) > 0
