"""The 150 classes of ADE20K and their colours, which ControlNets for segmentation were trained on.

Zhou et al. (2017), Scene Parsing through ADE20K Dataset; colours as in MMSegmentation's `mmseg/datasets/ade.py`, which
the cards of lllyasviel/sd-controlnet-seg and control_v11p_sd15_seg name too. Black is unlabelled.
"""

import re

_COLOURS = """
wall:787878 building:b47878 sky:06e6e6 floor:503232 tree:04c803 ceiling:787850 road:8c8c8c bed:cc05ff
windowpane:e6e6e6 grass:04fa07 cabinet:e005ff sidewalk:ebff07 person:96053d earth:787846 door:08ff33 table:ff0652
mountain:8fff8c plant:ccff04 curtain:ff3307 chair:cc4603 car:0066c8 water:3de6fa painting:ff0633 sofa:0b66ff
shelf:ff0747 house:ff09e0 sea:0907e6 mirror:dcdcdc rug:ff095c field:7009ff armchair:08ffd6 seat:07ffe0 fence:ffb806
desk:0aff47 rock:ff290a wardrobe:07ffff lamp:e0ff08 bathtub:6608ff railing:ff3d06 cushion:ffc207 base:ff7a08
box:00ff14 column:ff0829 signboard:ff0599 chest_of_drawers:0633ff counter:eb0cff sand:a09614 sink:00a3ff
skyscraper:8c8c8c fireplace:fa0a0f refrigerator:14ff00 grandstand:1fff00 path:ff1f00 stairs:ffe000 runway:99ff00
case:0000ff pool_table:ff4700 pillow:00ebff screen_door:00adff stairway:1f00ff river:0bc8c8 bridge:ff5200
bookcase:00fff5 blind:003dff coffee_table:00ff70 toilet:00ff85 flower:ff0000 book:ffa300 hill:ff6600 bench:c2ff00
countertop:008fff stove:33ff00 palm:0052ff kitchen_island:00ff29 computer:00ffad swivel_chair:0a00ff boat:adff00
bar:00ff99 arcade_machine:ff5c00 hovel:ff00ff bus:ff00f5 towel:ff0066 light:ffad00 truck:ff0014 tower:ffb8b8
chandelier:001fff awning:00ff3d streetlight:0047ff booth:ff00cc television_receiver:00ffc2 airplane:00ff52
dirt_track:000aff apparel:0070ff pole:3300ff land:00c2ff bannister:007aff escalator:00ffa3 ottoman:ff9900
bottle:00ff0a buffet:ff7000 poster:8fff00 stage:5200ff van:a3ff00 ship:ffeb00 fountain:08b8aa conveyer_belt:8500ff
canopy:00ff5c washer:b800ff plaything:ff001f swimming_pool:00b8ff stool:00d6ff barrel:ff0070 basket:5cff00
waterfall:00e0ff tent:70e0ff bag:46b8a0 minibike:a300ff cradle:9900ff oven:47ff00 ball:ff00a3 food:ffcc00 step:ff008f
tank:00ffeb trade_name:85ff00 microwave:ff00eb pot:f500ff animal:ff007a bicycle:fff500 lake:0abed4 dishwasher:d6ff00
screen:00ccff blanket:1400ff sculpture:ffff00 hood:0099ff sconce:0029ff vase:00ffcc traffic_light:2900ff tray:29ff00
ashcan:ad00ff fan:00f5ff pier:4700ff crt_screen:7a00ff plate:00ffb8 monitor:005cff bulletin_board:b8ff00 shower:0085ff
radiator:ffd600 glass:19c2c2 clock:66ff00 flag:5c00ff
"""
COLOURS = {
    name.replace("_", " "): tuple(bytes.fromhex(colour))  # (red, green, blue), 0 to 255
    for name, colour in (entry.split(":") for entry in _COLOURS.split())
}
UNLABELLED = (0, 0, 0)
_STUFF = (
    "wall building sky floor tree ceiling road grass sidewalk earth mountain water sea field sand river hill land lake "
    "waterfall stage path"
)
STUFF = frozenset(_STUFF.split())  # classes without an outline of their own; they fill their box
_SOUND_WORDS = {  # words of sounds, by class; sounds without a class, such as a train or a guitar, are left out
    "person": "man woman child baby people crowd singer musician band choir audience guitarist dancer dj rapper runner "
    "storyteller yodeler monk warrior beatboxer hand soldier group orchestra rock_and_roll_band",
    "animal": "dog cat horse cow pig goat sheep poultry chicken hen rooster turkey duck goose lion bird songbird "
    "parrot pigeon crow owl wolf rat mouse insect cricket mosquito housefly bee frog snake whale pet",
    "car": "vehicle traffic automobile taxi car_engine car_window",
    "van": "ambulance",
    "minibike": "motorcycle motorbike scooter",
    "airplane": "aircraft helicopter plane jet aircraft_engine jet_engine",
    "boat": "sailboat rowboat motorboat canoe",
    "ship": "submarine",
    "bicycle": "bicycle_bell bike",
    "sea": "ocean wave",
    "river": "creek stream",
    "sky": "thunderstorm lightning",
    "tree": "leaf leaves forest",
    "mountain": "volcano",
    "building": "church",
    "tower": "church_bell",
    "fireplace": "fire campfire",
    "door": "doorbell",
    "cabinet": "cupboard",
    "chest of drawers": "drawer",
    "sink": "faucet",
    "plate": "dish dishes",
    "microwave": "microwave_oven",
    "pot": "frying_pan",
    "washer": "washing_machine",
    "computer": "computer_keyboard",
    "television receiver": "television tv",
    "ball": "basketball",
    "plaything": "toy toy_gun",
}
_CLASS = {name: name for name in COLOURS} | {
    word.replace("_", " "): name for name, words in _SOUND_WORDS.items() for word in words.split()
}


def find_class(word: str) -> str | None:
    """The class of a word: "two barking dogs" is an animal, "trees in the wind" is a tree; None if it has none."""
    whole = word.lower().strip()
    phrase = re.split(r" (?:in|of|and|with|by|on) ", whole)[0]
    for name in (whole, phrase, phrase.rpartition(" ")[2]):
        for singular in (name, name.removesuffix("s"), name.removesuffix("es")):
            if singular in _CLASS:
                return _CLASS[singular]
    people = {"person", "people", "children", "child", "man", "woman", "soldiers", "musicians", "dancers"}
    return "person" if people & set(phrase.split()) else None
