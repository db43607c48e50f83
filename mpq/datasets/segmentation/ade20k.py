"""ADE20K's scene parsing benchmark (Zhou et al. 2017): 150 classes, in the release of 2016."""

from __future__ import annotations

from pathlib import Path

from mpq.datasets.segmentation.base import SceneReader, Scenes, paired, scenes_of
from mpq.errors import UserError

NAMES = (
    "wall,building,sky,floor,tree,ceiling,road,bed,windowpane,grass,cabinet,sidewalk,person,earth,door,table,"
    "mountain,plant,curtain,chair,car,water,painting,sofa,shelf,house,sea,mirror,rug,field,armchair,seat,fence,"
    "desk,rock,wardrobe,lamp,bathtub,railing,cushion,base,box,column,signboard,chest of drawers,counter,sand,sink,"
    "skyscraper,fireplace,refrigerator,grandstand,path,stairs,runway,case,pool table,pillow,screen door,stairway,"
    "river,bridge,bookcase,blind,coffee table,toilet,flower,book,hill,bench,countertop,stove,palm,kitchen island,"
    "computer,swivel chair,boat,bar,arcade machine,hovel,bus,towel,light,truck,tower,chandelier,awning,streetlight,"
    "booth,television receiver,airplane,dirt track,apparel,pole,land,bannister,escalator,ottoman,bottle,buffet,"
    "poster,stage,van,ship,fountain,conveyer belt,canopy,washer,plaything,swimming pool,stool,barrel,basket,"
    "waterfall,tent,bag,minibike,cradle,oven,ball,food,step,tank,trade name,microwave,pot,animal,bicycle,lake,"
    "dishwasher,screen,blanket,sculpture,hood,sconce,vase,traffic light,tray,ashcan,fan,pier,crt screen,plate,"
    "monitor,bulletin board,shower,radiator,glass,clock,flag"
)
CLASSES = tuple(NAMES.split(","))
"""The first of each class's names, value 1 first: 0 is 'other' and is not scored."""


class ADE20K(SceneReader):
    name = "ade20k"
    summary = "ADE20K scene parsing, 150 classes, the validation part"
    layout = "images/validation/*.jpg and annotations/validation/*.png; 0 is not scored, 1 is the first class"
    priority = 23

    def recognises(self, folder: Path) -> bool:
        parts = ("validation", "training")
        return (folder / "images").is_dir() and any((folder / "annotations" / p).is_dir() for p in parts)

    def scored(self, folder: Path) -> Scenes:
        return _part(folder, "validation")

    def trained(self, folder: Path) -> tuple[Scenes, Scenes | None]:
        return _part(folder, "training"), None


def _part(folder: Path, name: str) -> Scenes:
    pictures, masks = folder / "images" / name, folder / "annotations" / name
    for needed in (pictures, masks):
        if not needed.is_dir():
            raise UserError(f"'{folder}' has no {needed.relative_to(folder).as_posix()}/")
    pairs, problems = paired(pictures, masks, ".png")
    return Scenes(
        f"ade20k-{name}",
        tuple(scenes_of(pictures, pairs)),
        CLASSES,
        tuple(problems),
        values=tuple(range(1, len(CLASSES) + 1)),
        unlabelled=(0,),
    )
