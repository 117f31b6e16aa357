"""Weights from strangers: all refused in one line before anything of them is made, and none of them run."""

from __future__ import annotations

import os
import random
import socket
import struct
import sys
import zipfile

import pytest

from tests.unit.hostile_pickles import (
    CONV,
    DISTILLATION,
    NETWORK,
    SEQUENTIAL,
    Raw,
    archive,
    call,
    checkpoint,
    module,
    name,
    network,
    new,
    ordered,
    pickled,
    save,
    storage,
    tensor,
    value,
)
from workflow.evo.errors import UserError
from workflow.evo.models import checkpoint_tree
from workflow.evo.models.checkpoint_loader import _opened

CANARY = "canary"
DOWNLOAD = "http:/127.0.0.1:9/jsonschema.py%253F.pt"


def layer(**more):
    return network(module(CONV, parameters={"weight": tensor()}, **more))


def weight(held):
    return network(module(CONV, parameters={"weight": held}))


def doubled(times):
    """Modules in modules, each twice in the next: a recursive walk would never end."""
    made = module(CONV) + b"q\x00"
    for _ in range(times):
        made = module(SEQUENTIAL, {"a": Raw(made), "b": Raw(b"h\x00")}) + b"q\x00"
    return Raw(made)


def nested(depth):
    made = module(CONV)
    for _ in range(depth):
        made = module(SEQUENTIAL, {"0": made})
    return made


def deep(opcode, times, start=b")"):
    return Raw(start + opcode * times)


def itself():
    inner = {
        "training": False,
        "_parameters": ordered(),
        "_buffers": ordered(),
        "_modules": ordered({"0": Raw(b"h\x07")}),
    }
    return Raw(name(SEQUENTIAL) + b")\x81q\x07" + value(inner) + b"b")


def renamed(content, old, new_name):
    assert old in content
    return content.replace(old, new_name)


GOOD = checkpoint({"model": network()})

TREES = {
    # code and constructors
    "os.system": call("posix.system", f"touch {CANARY}"),
    "os.system by its other name": call("os.system", f"touch {CANARY}"),
    "eval": call("__builtin__.eval", f"open('{CANARY}', 'w')"),
    "exec": call("builtins.exec", f"open('{CANARY}', 'w')"),
    "getattr of a class": call("__builtin__.getattr", name(CONV), "forward"),
    "import by name": call("importlib.import_module", "antigravity"),
    "a download by a teacher network": call(DISTILLATION, DOWNLOAD, network()),
    "a download by a teacher network, bare": new(DISTILLATION, {"training": False}),
    "weights of torchvision": call("ultralytics.nn.modules.block.TorchVision", "resnet18", "DEFAULT"),
    "weights of torchvision, bare": new("ultralytics.nn.modules.block.TorchVision", {}),
    "a layer that is called": call(CONV, 20_000, 20_000, 9),
    "a huge layer of torch that is called": call("torch.nn.modules.conv.Conv2d", 30_000, 30_000, 99),
    "a network that is called with a file": call(NETWORK, "yolo11x.yaml"),
    "a network made with arguments": new(NETWORK, {}, ("yolo11x.yaml",)),
    "arguments that are not a tuple": Raw(name(CONV) + value(["yolo11x.yaml"]) + b"\x81"),
    "a function made like a class": new("collections.OrderedDict", {}),
    "a function as a value": {"x": name("torch.hub.load")},
    "a jit module": new("torch.jit._script.RecursiveScriptModule", {}),
    "CLIP": new("ultralytics.nn.text_model.CLIP", {}),
    "a partial": call("functools.partial", name("posix.system")),
    "another task": new("ultralytics.nn.tasks.ClassificationModel", {}),
    "a sparse tensor": call("torch._utils._rebuild_sparse_tensor", 1, (1, 2)),
    "a tensor of a subclass": call("torch._tensor._rebuild_from_type_v2", 1, name("torch.Tensor"), (), {}),
    "a meta tensor": call("torch._utils._rebuild_meta_tensor_no_storage", 1, (10**9, 10**9), (1, 1), False),
    "a tensor of NumPy objects": call("numpy._core.multiarray._reconstruct", name("numpy.ndarray"), (0,)),
    "a NumPy object": call("numpy._core.multiarray.scalar", call("numpy.dtype", "O8", False, True), 3),
    "a NumPy type by a nested tuple": call("numpy.dtype", deep(b"\x85", 200_000)),
    "a NumPy text of 2 GB": call("numpy.dtype", "S2000000000", False, True),
    "bytes": call("_codecs.encode", "x" * 17, "latin1"),
    "bytes by another codec": call("_codecs.encode", "x", "zip"),
    "a bytearray of 100 GB": call("__builtin__.bytearray", 10**11),
    "a path of a number": call("pathlib.PosixPath", 3),
    "a set of tuples": call("__builtin__.set", [deep(b"\x85", 200_000)]),
    # the stack machine
    "a deeply nested tuple as a key": Raw(b"}" + deep(b"\x85", 200_000) + b"Ns"),
    "a tuple as a key": Raw(b"}" + value((1, 2)) + b"Ns"),
    "a table filled into a class": Raw(name(CONV) + value({"forward": 1}) + b"b"),
    "a tensor filled with a state": Raw(tensor() + value({"x": 1}) + b"b"),
    "an object filled twice": Raw(layer() + value({"x": 1}) + b"b"),
    "an ordered table with attributes": Raw(ordered() + value({"__class__": 1}) + b"b"),
    "an append to a tuple": Raw(value((1,)) + value(1) + b"a"),
    "a memo that was never filled": Raw(b"h\x05"),
    "a stack that is empty": Raw(b"R"),
    "a mark that was never set": Raw(b"t"),
    "an instruction of later protocols": Raw(b"\x8f"),
    "a memo of 17 GB": Raw(b"Nr" + struct.pack("<I", 2**31 - 1) + b"\x94"),
    "a text of 4 GB": Raw(b"X" + struct.pack("<I", 2**32 - 1)),
    "a persistent number": Raw(value(3) + b"Q"),
    "a persistent name": Raw(value(("module", name(CONV), "0", "cpu", 4)) + b"Q"),
    "four million empty lists": Raw(b"(" + b"]" * 4_000_000 + b"t"),
    "four megabytes of None": Raw(b"(" + b"N" * (4 << 20) + b"t"),
    "a list nested 100,000 deep": Raw(b"]" * 100_000 + b"a" * 99_999),
    "a list that holds itself": Raw(b"]q\x00h\x00a"),
    # tensors
    "a storage larger than its record": weight(tensor(count=10**12)),
    "a storage that is not there": weight(tensor("7")),
    "a storage out of the archive": weight(tensor("../version")),
    "a storage of a number": weight(tensor(held=storage("FloatStorage", 0, 4))),
    "a negative storage": weight(tensor(count=-4)),
    "a storage of two types": layer(a=tensor(), b=tensor(kind="IntStorage")),
    "an untyped storage": weight(tensor(kind="UntypedStorage")),
    "a tensor over the end": weight(tensor(size=(5,))),
    "a tensor with an offset over the end": weight(tensor(offset=1)),
    "a tensor with a negative offset": weight(tensor(offset=-1)),
    "a tensor with a negative stride": weight(tensor(stride=(-1,))),
    "a tensor of 400 GB in 16 bytes": weight(tensor(size=(10**11,), stride=(0,))),
    "a tensor of impossible size": weight(tensor(size=(2**62, 2**62), stride=(0, 0))),
    "a tensor of 40 dimensions": weight(tensor(size=(1,) * 40, stride=(1,) * 40)),
    "a tensor with hooks": weight(tensor(hooks=ordered({"0": name(CONV)}))),
    "a tensor without arguments": weight(call("torch._utils._rebuild_tensor_v2")),
    "a parameter of a number": weight(call("torch._utils._rebuild_parameter", 3, True, ordered())),
    "a size of words": layer(a=call("torch.Size", ("x",))),
    "an unknown device": layer(a=call("torch.device", "meta:9" * 100)),
    "weights that are NaN": weight(tensor("nan")),
    "weights that are infinite": weight(tensor("inf")),
    "forty views that claim a storage each": layer(a=[tensor("big", 65536, (65536,)) for _ in range(40)]),
    # the tree
    "a list": [1],
    "a number": 3,
    "nothing": {},
    "a number as the network": {"model": 3},
    "weights without a network": {"model": ordered({"weight": tensor()})},
    "a layer as the network": {"model": module(CONV)},
    "a bare network": new(NETWORK),
    "a network without tables": new(NETWORK, {"training": True}),
    "a network without layers": module(yaml={}),
    "a network without a description": module(modules={"model": module(SEQUENTIAL)}),
    "a network for a billion channels": network(yaml={"channels": 10**9}),
    "a network whose description is a list": network(yaml=[1]),
    "names that are a list of tensors": network(names=[tensor()]),
    "20,000 classes": network(names=dict.fromkeys(range(20000), "x")),
    "a name of a megabyte": network(names={0: "x" * 1_000_000}),
    "a number among the modules": network(module(CONV, {"x": 3})),
    "a loss among the modules": network(module(CONV, {"x": new("ultralytics.utils.loss.BboxLoss", {})})),
    "a number among the weights": network(module(CONV, parameters={"x": 3})),
    "a module among the weights": network(module(CONV, parameters={"x": module(CONV)})),
    "a weight with a dot in its name": network(module(CONV, parameters={"a.b": tensor()})),
    "a weight with a name of 1 MB": network(module(CONV, parameters={"a" * 1_000_000: tensor()})),
    "hooks": layer(_forward_hooks=ordered({"0": tensor()})),
    "a padding of a million pixels": network(module("torch.nn.modules.conv.Conv2d", padding=(10**6, 10**6))),
    "an enlargement by a million": network(module("torch.nn.modules.upsampling.Upsample", scale_factor=1e6)),
    "a module that holds itself": network(itself()),
    "a module in place of a method": layer(forward=module(CONV)),
    "modules nested 300 deep": network(nested(300)),
    "40 modules that double": network(doubled(40)),
    "an image of a billion pixels": {"model": network(), "train_args": {"imgsz": 10**9}},
    "training arguments that are a list": {"model": network(), "train_args": [1]},
    "quantisation of another library": {"model": network(), "modelopt": {"a": 1}},
}  # fmt: skip

RECORDS = {
    "weights that are NaN": {"data/nan": struct.pack("<4f", 0, float("nan"), 0, 0)},
    "weights that are infinite": {"data/inf": struct.pack("<4f", 0, 0, float("inf"), 0)},
    "forty views that claim a storage each": {"data/big": bytes(262144)},
}


FILES = {
    **{
        key: checkpoint({"model": tree} if isinstance(tree, Raw) else tree, records=RECORDS.get(key))
        for key, tree in TREES.items()
    },
    # the archive
    "empty": b"",
    "text": b"not a checkpoint",
    "an ELF file": b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8,
    "a pickle without an archive": pickled({"model": network()}),
    "a tar archive of old torch": b"ustar".rjust(262, b"\0").ljust(10240, b"\0"),
    "cut in half": GOOD[: len(GOOD) // 2],
    "cut by a byte": GOOD[:-1],
    "followed by another archive": GOOD + checkpoint({"model": call("posix.system", f"touch {CANARY}")}),
    "behind another archive": checkpoint({"model": call("posix.system", f"touch {CANARY}")}) + GOOD,
    "with a comment": GOOD[:-2] + b"\x04\0" + b"abcd",
    "compressed": checkpoint({"model": network()}, compression=zipfile.ZIP_DEFLATED),
    "a zip bomb": checkpoint({}, records={"data/1": bytes(10_000_000)}, compression=zipfile.ZIP_DEFLATED),
    "two pickles": renamed(checkpoint({"model": network()}, records={"data.pkm": b"x"}), b"data.pkm", b"data.pkl"),
    "two checkpoints": renamed(checkpoint({"model": network()}, records={"x" * 7: b""}), b"archive/x", b"brchive/x"),
    "TorchScript": checkpoint({"model": network()}, records={"constants.pkl": b"x", "code/__torch__.py": b"x"}),
    "no pickle": renamed(GOOD, b"data.pkl", b"data.pkm"),
    "big-endian": checkpoint({"model": network()}, records={"byteorder": b"big"}),
    "a directory that claims 60,000 records": GOOD[:-14] + struct.pack("<2H", 60_000, 60_000) + GOOD[-10:],
    "a directory that starts before the file": GOOD[:-6] + struct.pack("<IH", 2**31, 0),
    "protocol 4": archive(pickled({"model": network()}, 4)),
    "no end": archive(pickled({"model": network()})[:-1]),
    "a pickle of 5 MiB": archive(b"\x80\x02" + value("x" * (5 << 20)) + b"."),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_socket(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket is opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def refused(path):
    """Judge a file as every loader does before it makes anything; return the one line of its refusal."""
    with pytest.raises(UserError) as caught, _opened(path) as opened:
        checkpoint_tree.named_tensors(checkpoint_tree.network_of(opened.tree))
    return str(caught.value)


SLOW = {"weights that are NaN", "weights that are infinite", "a module in place of a method"}
"""Judged by their values or by the real classes, which needs torch: see tests/e2e/test_checkpoint_loading.py."""


@pytest.mark.parametrize("case", [case for case in FILES if case not in SLOW])
def test_hostile_weights_are_refused_in_one_line_before_anything_is_made(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "start.pt", FILES[case])
    loaded = set(sys.modules)
    line = refused(path)
    assert line.startswith(f"{path}: not a checkpoint that the restricted loader accepts (")
    assert line.isprintable() and len(line) < 400 + len(str(path))
    assert os.listdir(tmp_path) == ["start.pt"]  # noqa: PTH208
    assert not {"torch", "ultralytics"} & (set(sys.modules) - loaded)


def test_the_corpus_is_not_refused_for_a_reason_of_its_own(tmp_path):
    assert len(FILES) >= 40
    with _opened(save(tmp_path / "good.pt", GOOD)) as opened:
        named = checkpoint_tree.named_tensors(checkpoint_tree.network_of(opened.tree))
    assert [(key, held.size) for key, held in named.items()] == [("model.0.weight", (4,))]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("a download by a teacher network", f"it holds objects that no detection network needs: {DISTILLATION}"),
        ("a network that is called with a file", f"it calls {NETWORK}, which no checkpoint needs"),
        ("a tensor of 400 GB in 16 bytes", "a tensor of 100,000,000,000 values claims a storage of 4"),
        ("a deeply nested tuple as a key", "a table has keys that are neither words nor whole numbers"),
        ("40 modules that double", "shared objects have more than 5,000,000 paths to them"),
        ("another task", "not a detector, but a ClassificationModel"),
        ("followed by another archive", "the directory of the archive is damaged, or has more than 20,000 records"),
    ],
)
def test_a_refusal_says_what_is_wrong(case, reason, tmp_path):
    assert f"({reason})" in refused(save(tmp_path / "start.pt", FILES[case]))


def test_what_is_not_a_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "zeros.pt").symlink_to("/dev/zero")
    (tmp_path / "loop.pt").symlink_to("loop.pt")
    for named in ("pipe", "folder", "zeros", "loop", "x" * 5000, "nul\0"):
        with pytest.raises(UserError) as caught, _opened(tmp_path / f"{named}.pt"):
            pytest.fail("opened")
        assert str(caught.value).count("\n") == 0


def test_a_file_that_is_missing_is_told_from_one_that_is_refused(tmp_path):
    with pytest.raises(UserError, match=f"checkpoint not found: {tmp_path}/start.pt"), _opened(tmp_path / "start.pt"):
        pytest.fail("opened")


def test_a_file_of_random_damage_never_ends_in_a_traceback(tmp_path):
    """A thousand bytes of a good checkpoint changed one by one, and as many cuts: refused in one line, or harmless."""
    generator = random.Random(0)
    for _ in range(1000):
        content = bytearray(GOOD)
        for _ in range(generator.choice((1, 1, 4))):
            content[generator.randrange(len(content))] = generator.randrange(256)
        path = save(
            tmp_path / "start.pt", bytes(content[: generator.choice((len(content), generator.randrange(1200)))])
        )
        try:
            with _opened(path) as opened:
                checkpoint_tree.named_tensors(checkpoint_tree.network_of(opened.tree))
        except UserError as error:
            assert str(error).isprintable()
