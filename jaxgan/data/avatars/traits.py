"""Traits of a face: every choice about its appearance."""

from dataclasses import dataclass

from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.palette import EYE_COLOURS, HAIR_COLOURS, SKINS

HAIR_STYLES = (
    "long", "wavy", "short", "bob", "spiky", "twin tails", "ponytail", "buns", "top bun", "curly", "braids",
)  # fmt: skip
FRINGES = ("straight", "zigzag", "swept", "parted", "tuft", "arched", "high", "locks")
FACE_SHAPES = ("round", "oval", "heart", "soft square")
EYE_SHAPES = ("round", "wide", "sharp", "droopy", "calm")
MOUTHS = ("smile", "laugh", "small o", "cat", "line", "pout", "grin", "smirk", "fang")
BROWS = ("soft", "raised", "worried", "firm", "short")
BACKGROUNDS = (
    "plain", "gradient", "diagonal", "halo", "stripes", "dots", "checks", "rays", "bokeh", "two-tone",
)  # fmt: skip
HEADWEAR = ("none", "ribbon", "two ribbons", "headband", "beret", "cat ears", "flower", "hair clip", "crown")
GLASSES = ("none", "round", "square")
CLOTHES = ("sailor", "turtleneck", "hoodie", "shirt", "blouse", "scarf")


@dataclass(frozen=True)
class Traits:
    """All choices about the appearance of a face.

    Attributes:
      hair: index into `HAIR_COLOURS`.
      eyes: index into `EYE_COLOURS`.
      style: one of `HAIR_STYLES`.
      fringe: one of `FRINGES`.
      face: one of `FACE_SHAPES`.
      skin: index into `SKINS`.
      eye_shape: one of `EYE_SHAPES`.
      mouth: one of `MOUTHS`.
      brows: one of `BROWS`.
      background: one of `BACKGROUNDS`.
      headwear: one of `HEADWEAR`.
      glasses: one of `GLASSES`.
      clothes: one of `CLOTHES`.
      earrings: whether it wears earrings.
      freckles: whether it has freckles.
      blush: strength of the blush, 0 to 1.
      tilt: rotation of the head in the picture plane, in radians.
      turn: rotation of the head to a side, -1 (left) to 1 (right).
      scale: size of the head, about 1.
      x: shift of the head to the right, as a fraction of the picture's side.
      y: shift of the head downwards, as a fraction of the picture's side.
      side: side of an accessory or a parting, -1 (left) or 1 (right).
      light: brightness of the hair, -0.06 to 0.06.
      against: indices into `HAIR_COLOURS`, from which the background and accessories must differ instead of from
        `hair`: of a face that is drawn with several of them and is to be the same in all else.
    """

    hair: int
    eyes: int
    style: str
    fringe: str
    face: str
    skin: int
    eye_shape: str
    mouth: str
    brows: str
    background: str
    headwear: str
    glasses: str
    clothes: str
    earrings: bool
    freckles: bool
    blush: float
    tilt: float
    turn: float
    scale: float
    x: float
    y: float
    side: int
    light: float
    against: tuple[int, ...] = ()

    @property
    def contrasting_hair(self) -> tuple[int, ...]:
        """The hair colours from which the background and accessories must differ."""
        return self.against or (self.hair,)


def choose(dice: Dice) -> Traits:
    """Chooses the traits of a face. Hair and eye colours are uniform and independent of all other traits."""
    return Traits(
        hair=dice.pick("hair", range(len(HAIR_COLOURS))),
        eyes=dice.pick("eyes", range(len(EYE_COLOURS))),
        style=dice.pick("style", ("long", "bob", "short", *HAIR_STYLES)),
        fringe=dice.pick("fringe", FRINGES),
        face=dice.pick("face", FACE_SHAPES),
        skin=dice.pick("skin", (0, 0, 1, 1, 2, 2, *range(len(SKINS)))),
        eye_shape=dice.pick("eye shape", EYE_SHAPES),
        mouth=dice.pick("mouth", ("smile", "smile", "laugh", *MOUTHS)),
        brows=dice.pick("brows", BROWS),
        background=dice.pick("background", ("plain", "plain", "gradient", "gradient", *BACKGROUNDS)),
        headwear=dice.pick("headwear", ("none",) * 6 + HEADWEAR),
        glasses=dice.pick("glasses", ("none",) * 9 + GLASSES),
        clothes=dice.pick("clothes", CLOTHES),
        earrings=dice.chance("earrings", 0.2),
        freckles=dice.chance("freckles", 0.07),
        blush=max(0.0, dice.uniform("blush", -0.3, 1.0)),
        tilt=dice.uniform("tilt a", -0.08, 0.08) + dice.uniform("tilt b", -0.08, 0.08),
        turn=dice.uniform("turn a", -0.5, 0.5) + dice.uniform("turn b", -0.5, 0.5),
        scale=dice.uniform("scale", 1.0, 1.08),
        x=dice.uniform("x", -0.02, 0.02),
        y=dice.uniform("y", -0.02, 0.02),
        side=dice.pick("side", (-1, 1)),
        light=dice.uniform("light", -0.06, 0.06),
    )
