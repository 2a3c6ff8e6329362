"""Poses of people as angles in degrees: 0 hangs straight down, positive turns forward (to the right).

Each limb is a pair (upper bone, lower bone); limbs come as (far, near).
"""

from dataclasses import dataclass

Limbs = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Pose:
    legs: Limbs
    arms: Limbs
    lean: float = 0


_STILL: Limbs = ((-7, -5), (7, 5))

POSES = {
    "standing": Pose(_STILL, ((-18, -6), (18, 10))),
    "walking": Pose(((-22, -34), (26, 12)), ((28, 46), (-26, -8)), lean=3),
    "running": Pose(((-26, -78), (46, 6)), ((52, 128), (-58, 28)), lean=12),
    "waving": Pose(_STILL, ((-20, -8), (128, 168))),
    "holding": Pose(_STILL, ((-18, -6), (58, 112))),
    "flying": Pose(((-14, -18), (14, 6)), ((-30, -10), (112, 138)), lean=-5),
    "sitting": Pose(((118, 28), (112, 18)), ((-38, -12), (44, 66)), lean=-8),
    "seated": Pose(((86, 4), (90, 0)), ((20, 50), (26, 62))),
    "playing": Pose(((-16, -26), (44, 38)), ((-60, -40), (48, 88)), lean=-6),
    "skiing": Pose(((38, -26), (48, -22)), ((40, 84), (34, 78)), lean=26),
    "surfing": Pose(((-58, -4), (58, -6)), ((-84, -70), (78, 92)), lean=8),
    "riding": Pose(((80, -5), (25, 12)), ((54, 46), (50, 44)), lean=30),
}
