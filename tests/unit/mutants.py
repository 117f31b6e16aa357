"""Model files with random changes, from harmless to absurd; the same seed gives the same file."""

from __future__ import annotations

import random

import yaml

from tests.unit.model_files import GOOD

_LOADER, _DUMPER = (getattr(yaml, f"C{name}", getattr(yaml, name)) for name in ("SafeLoader", "SafeDumper"))
NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    15,
    16,
    31,
    64,
    65,
    128,
    255,
    999,
    1024,
    2048,
    4096,
    4097,
    65536,
    10**9,
    -1,
    -2,
    0.001,
    0.5,
    2.0,
    4,
)
WORDS = (None, True, False, "None", "nc", "nearest", "torch.nn.ReLU()", [], [3, 3], [15, 15], [1, 13], {}, {"a": 1})


def mutant(seed: int, modules: tuple[str, ...], text: str = GOOD) -> str:
    """Return a model file with one to six random changes.

    Args:
        modules: names to put into layers.
        text: the file to change.
    """
    generator = random.Random(seed)
    document = yaml.load(text, _LOADER)
    for _ in range(generator.randint(1, 3)):
        part = document[generator.choice(("backbone", "head"))]
        row = generator.choice(part[:-1])
        match generator.randrange(10):
            case 0 | 1 | 2:
                if row[3]:
                    row[3][generator.randrange(len(row[3]))] = generator.choice(NUMBERS + WORDS)
            case 3:
                row[3].append(generator.choice(NUMBERS + WORDS))
            case 4 | 5:
                row[1] = generator.choice(NUMBERS)
            case 6:
                row[2] = generator.choice(modules)
            case 7:
                row[0] = generator.choice((-1, -2, 0, 3, [-1, 4], [-1], 999))
            case 8:
                document["scales"] = {"n": [generator.choice(NUMBERS), generator.choice(NUMBERS), 4096]}
            case 9:
                new = [-1, 1, generator.choice(modules), [generator.choice(NUMBERS)]]
                document["head"][-1:-1] = [new] * generator.choice((1, 5, 40, 200))
    return yaml.dump(document, Dumper=_DUMPER)
