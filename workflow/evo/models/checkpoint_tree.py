"""Checks of the tree of a checkpoint before any object is created: a network that can be walked, tensors that fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

from .checkpoint_parts import MODULES, NETWORKS, RefusedPickle, Storage, Tensor, Thing

MAX_DEPTH = 64
"""Nesting of everything in a checkpoint; a network has about 30."""

MAX_PATHS = 5_000_000
"""Paths to objects in a checkpoint; YOLOv9-E has 0.3 million. Code that walks modules recursively visits a shared one
once per path, so that 40 modules can make it walk for ever."""

MAX_CLASSES = 10_000
MAX_IMAGE = 8192
MAX_GEOMETRY = 255
_GEOMETRY = (
    "kernel_size", "stride", "padding", "dilation", "output_padding", "scale_factor", "size",
    "_reversed_padding_repeated_twice",
)  # fmt: skip
_HOOKS = ("_hooks", "_hooks_with_kwargs", "_hooks_always_called")


def check_plain(tree: Any, tensors: Iterable[Tensor]) -> None:
    """Refuse a tree that would overflow a stack or the memory when it is created and walked.

    Raises:
        RefusedPickle: with the reason.
    """
    _measure(tree)
    tensors = list(tensors)
    stored = sum({id(tensor.storage): tensor.storage.count for tensor in tensors}.values())
    if (claimed := sum(tensor.count for tensor in tensors)) > 2 * stored + 1_000_000:
        raise RefusedPickle(f"its tensors claim {claimed:,} values, the file has {stored:,}")


def network_of(tree: Any) -> Thing:
    """Return the network of a checkpoint, its moving average where it has one, after all its modules were checked.

    Call `check_plain` before.

    Raises:
        RefusedPickle: the checkpoint holds no detection network, or one that Ultralytics could not have saved.
    """
    if not isinstance(tree, dict):
        raise RefusedPickle("it is not a table with a network in it")
    network = tree.get("ema") or tree.get("model")
    if not isinstance(network, Thing) or network.kind not in NETWORKS:
        raise RefusedPickle("the checkpoint holds no Ultralytics detection model")
    if tree.get("modelopt"):
        raise RefusedPickle("it was trained for quantisation with ModelOpt, which this workflow does not load")
    arguments = tree.get("train_args", {})
    if not isinstance(arguments, dict) or not _is_image(arguments.get("imgsz", 640)):
        raise RefusedPickle(f"its train_args are not a table with an imgsz up to {MAX_IMAGE}")
    for thing in modules_of(network):
        _check_module(thing)
    _check_network(network)
    return network


def modules_of(network: Thing) -> list[Thing]:
    """Return every module below a network and itself, each once."""
    seen, stack, found = set[int](), [network], []
    while stack:
        thing = stack.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if thing.kind not in MODULES:
            raise RefusedPickle(f"{thing.kind} is among the modules of the network")
        found.append(thing)
        children = thing.attributes.get("_modules")
        stack += [child for child in children.values() if isinstance(child, Thing)] if type_is_table(children) else []
    return found


def named_tensors(network: Thing) -> dict[str, Tensor]:
    """Return the parameters and persistent buffers of a checked network, by their names in its ``state_dict``."""
    found: dict[str, Tensor] = {}
    stack = [("", network)]
    while stack:
        prefix, thing = stack.pop()
        own = thing.attributes
        left_out = own.get("_non_persistent_buffers_set") or frozenset()
        for name, value in (*own["_parameters"].items(), *own["_buffers"].items()):
            if value is not None and name not in left_out:
                found[prefix + name] = value
        stack += [(f"{prefix}{name}.", child) for name, child in own["_modules"].items() if child is not None]
    return found


def things_of(tree: Any) -> list[Thing]:
    """Return every object of a class in a tree, each once."""
    seen, stack, found = set[int](), [tree], []
    while stack:
        node = stack.pop()
        if isinstance(node, (Thing, dict, list, tuple)) and id(node) not in seen:
            seen.add(id(node))
            stack += _children(node)
            found += [node] if isinstance(node, Thing) else []
    return found


def type_is_table(value: Any) -> TypeGuard[dict[Any, Any]]:
    """Return whether a value is a dict or an ``OrderedDict``."""
    return isinstance(value, dict)


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, Thing):
        return node.attributes.values()
    if isinstance(node, dict):
        return node.values()
    if isinstance(node, (list, tuple)):
        return node
    return ()


def _measure(tree: Any) -> None:
    """Refuse cycles, deep nesting, and sharing that multiplies."""
    paths, depths = dict[int, int](), dict[int, int]()
    open_, stack = set[int](), [(tree, False)]
    while stack:
        node, left = stack.pop()
        key = id(node)
        children = [child for child in _children(node) if isinstance(child, (Thing, dict, list, tuple))]
        if left:
            open_.discard(key)
            plain = len(list(_children(node))) - len(children)
            paths[key] = 1 + plain + sum(paths[id(child)] for child in children)
            depths[key] = 1 + max((depths[id(child)] for child in children), default=0)
            if depths[key] > MAX_DEPTH:
                raise RefusedPickle(f"it is nested more than {MAX_DEPTH} deep")
            if paths[key] > MAX_PATHS:
                raise RefusedPickle(f"shared objects have more than {MAX_PATHS:,} paths to them")
        elif key in open_:
            raise RefusedPickle("something in it holds itself")
        elif key not in paths:
            open_.add(key)
            stack.append((node, True))
            stack += [(child, False) for child in children]


def _check_module(thing: Thing) -> None:
    name, own = thing.kind.rpartition(".")[2], thing.attributes
    for key in ("_parameters", "_buffers", "_modules"):
        table = own.get(key)
        if not type_is_table(table) or not all(
            type(item) is str and item and "." not in item and len(item) <= 100 for item in table
        ):
            raise RefusedPickle(f"a {name} has no valid table '{key}'")
        kinds = (Thing, type(None)) if key == "_modules" else (Tensor, type(None))
        if not all(isinstance(value, kinds) for value in table.values()):
            raise RefusedPickle(f"'{key}' of a {name} holds other things")
    if type(own.get("training")) is not bool:
        raise RefusedPickle(f"a {name} does not say whether it is in training")
    if not isinstance(own.get("_non_persistent_buffers_set", frozenset()), frozenset):
        raise RefusedPickle(f"'_non_persistent_buffers_set' of a {name} is not a set")
    for key, value in own.items():
        if type(key) is not str or (key.endswith(_HOOKS) and value):
            raise RefusedPickle(f"a {name} has hooks, or attributes without a name")
        if isinstance(value, (Storage, Thing)) and value is not own.get("args") and key != "criterion":
            raise RefusedPickle(f"'{key[:40]}' of a {name} is not a plain value")
    if thing.kind.startswith("torch."):
        for key in _GEOMETRY:
            if not _small(own.get(key)):
                raise RefusedPickle(f"'{key}' of a {name} is larger than {MAX_GEOMETRY}")


def _check_network(network: Thing) -> None:
    own = network.attributes
    if not isinstance(own.get("yaml"), dict) or not isinstance(own["_modules"].get("model"), Thing):
        raise RefusedPickle("its network has no layers, or no description of them")
    channels = own["yaml"].get("channels", 3)
    if type(channels) is not int or not 1 <= channels <= 64:
        raise RefusedPickle("its network is not for images of 1 to 64 channels")
    names = own.get("names", {})
    if not isinstance(names, dict) or len(names) > MAX_CLASSES or not all(_is_name(*item) for item in names.items()):
        raise RefusedPickle("the names of its classes are not a table of numbers and words")


def _is_name(number: Any, name: Any) -> bool:
    return type(number) is int and type(name) in (str, int) and len(str(name)) <= 1000


def _is_image(value: Any) -> bool:
    sides = value if isinstance(value, (list, tuple)) else [value]
    return 1 <= len(sides) <= 2 and all(type(side) is int and 1 <= side <= MAX_IMAGE for side in sides)


def _small(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= 8 and all(_small(item) for item in value)
    if value is None or type(value) in (str, bool):
        return True
    return type(value) in (int, float) and 0 <= value <= MAX_GEOMETRY
