"""The crisis of the demo world: which brand, when, how large, of which shape. Pure."""

import random
from dataclasses import dataclass
from typing import Literal

HOUR = 3_600.0
LASTS = 10 * HOUR
"""From its beginning until it fades."""
FADES = 3 * HOUR
"""Time in which what is left of it falls to half."""
RAMP = 3 * HOUR
DOUBLES = HOUR / 2

Shape = Literal["step", "ramp", "viral"]
SHAPES: tuple[Shape, ...] = ("step", "ramp", "viral")


@dataclass(frozen=True, slots=True)
class Crisis:
    """A scandal: for some hours a brand gets `size` times its usual negative mentions."""

    brand: str
    begins: float
    """Seconds since the epoch."""
    size: float
    shape: Shape

    def excess(self, at: float) -> float:
        """What comes on top of the usual negative rate, in multiples of it."""
        age = at - self.begins
        if age < 0:
            return 0.0
        fading = 0.5 ** (max(0.0, age - LASTS) / FADES)
        return (self.size - 1) * self._risen(age) * float(fading)

    def _risen(self, age: float) -> float:
        """Share of its full size after `age` seconds."""
        match self.shape:
            case "step":
                return 1.0
            case "ramp":
                return min(1.0, age / RAMP)
            case "viral":  # from half of the usual rate on, until the full size is reached
                return min(1.0, 0.5 / (self.size - 1) * float(2.0 ** (age / DOUBLES)))


def draw(seed: int, brands: tuple[str, ...], first: float, last: float) -> Crisis:
    """The crisis that a seed stands for; it begins between `first` and `last`, at any hour of the day."""
    rng = random.Random(f"{seed}: crisis")
    return Crisis(
        brand=rng.choice(brands),
        begins=round(rng.uniform(first, last)),
        size=round(rng.uniform(3.0, 10.0), 1),
        shape=rng.choice(SHAPES),
    )
