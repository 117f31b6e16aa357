"""Model files with random changes, from harmless to absurd; the same seed gives the same file."""

from __future__ import annotations

import random

import yaml

from tests.unit.model_files import GOOD

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
    document = yaml.safe_load(text)
    for _ in range(generator.randint(1, 6)):
        part = document[generator.choice(("backbone", "head"))]
        row = generator.choice(part)
        match generator.randrange(9):
            case 0 | 1:
                row[3] = [*row[3]] or [1]
                row[3][generator.randrange(len(row[3]))] = generator.choice(NUMBERS + WORDS)
            case 2:
                row[3] = [*row[3], generator.choice(NUMBERS + WORDS)]
            case 3:
                row[1] = generator.choice(NUMBERS)
            case 4:
                row[2] = generator.choice(modules)
            case 5:
                row[0] = generator.choice((-1, -2, 0, 3, [-1, 4], [-1], 999))
            case 6:
                part.insert(
                    generator.randrange(len(part)), [-1, 1, generator.choice(modules), [generator.choice(NUMBERS)]]
                )
            case 7:
                document["scales"] = {"n": [generator.choice(NUMBERS), generator.choice(NUMBERS), 4096]}
            case 8:
                part[:0] = [list(row) for _ in range(generator.choice((1, 5, 40, 200)))]
    return yaml.safe_dump(document)
