"""Words for prompts that quote a text to be drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Scene:
    """Where a text stands, and what it may say.

    Attributes:
        things: that bear the text.
        places: where they are.
        patterns: tag -> patterns of texts; {slot} is one of `SLOTS`.
    """

    things: tuple[str, ...]
    places: tuple[str, ...]
    patterns: Mapping[str, tuple[str, ...]]


STYLES = (
    "A photograph of",
    "A close-up of",
    "A wide shot of",
    "A film still of",
    "A watercolour of",
    "An oil painting of",
    "A pencil drawing of",
    "A detailed illustration of",
    "A low-angle photograph of",
    "A studio photograph of",
)

LETTERING = (
    "in bold red letters",
    "in neat white letters",
    "in faded gold letters",
    "in plain black type",
    "in large rounded letters",
    "in narrow green letters",
    "in embossed silver type",
    "in dark blue script",
    "in hand-painted letters",
    "in thick orange letters",
)

LIGHT = (
    "in the soft light of morning",
    "at dusk with the lamps just lit",
    "under a bright midday sky",
    "while a light rain falls",
    "lit by a single warm lamp",
    "on a quiet foggy day",
    "under cold even light",
    "in long golden evening light",
    "with deep shadows behind it",
    "with a blurred background",
)

SLOTS = {
    "adjective": (
        *("fresh", "golden", "silver", "little", "happy", "quiet", "secret", "wild", "bright"),
        *("hidden", "lucky", "royal", "gentle", "brave", "crystal", "velvet", "frozen", "rusty"),
        *("ancient", "modern", "daily", "rolling", "flying", "dancing", "sleeping", "laughing"),
        *("wandering", "shining", "northern", "southern", "eastern", "western", "blue", "red"),
        *("green", "purple", "white", "black", "sweet", "salty", "crooked", "perfect", "humble"),
        *("famous", "local", "honest", "electric", "magic", "lonely", "merry", "noble", "simple"),
    ),
    "animal": (
        *("fox", "owl", "bear", "whale", "raven", "tiger", "heron", "beetle", "salmon", "otter"),
        *("badger", "falcon", "rabbit", "turtle", "lion", "swan", "wolf", "hedgehog", "moth"),
        *("sparrow", "dragon", "stag", "crab", "octopus", "pony", "rooster", "camel", "lynx"),
    ),
    "ware": (
        *("bread", "coffee", "flowers", "books", "shoes", "cheese", "honey", "candles", "clocks"),
        *("hats", "records", "bicycles", "lamps", "carpets", "pottery", "tea", "chocolate"),
        *("pastries", "toys", "tools", "guitars", "cameras", "spices", "apples", "noodles"),
        *("pancakes", "oranges", "jewels", "mirrors", "kites", "perfume", "stamps", "maps"),
    ),
    "deed": (
        *("dream", "listen", "explore", "imagine", "create", "breathe", "believe", "travel"),
        *("discover", "remember", "stay curious", "be kind", "keep going", "start small"),
        *("read more", "think twice", "look up", "slow down", "work together", "ask questions"),
    ),
    "end": (
        *("today", "together", "every day", "with joy", "without fear", "again", "out loud"),
        *("at night", "in color", "like a child", "for tomorrow", "by the sea", "on sundays"),
    ),
    "ban": (
        *("parking", "smoking", "swimming", "fishing", "running", "entry", "dogs", "bicycles"),
        *("diving", "camping", "littering", "phones", "drones", "food", "cameras", "ball games"),
    ),
    "danger": (
        *("wet floor", "high voltage", "falling rocks", "thin ice", "deep water", "hot surface"),
        *("strong current", "low bridge", "sharp turn", "loose gravel", "slippery road"),
        *("wild animals", "moving train", "steep cliff", "blasting zone", "radiation"),
    ),
    "town": (
        *("Ashford", "Millbrook", "Eastham", "Riverton", "Lakeside", "Kingsport", "Fairview"),
        *("Oakdale", "Westhaven", "Silverton", "Marlow", "Brighton", "Clearwater", "Redwood"),
        *("Stonebridge", "Highland", "Northgate", "Sunnyvale", "Harbor Point", "Elm Grove"),
    ),
    "event": (
        *("jazz night", "book fair", "harvest feast", "film festival", "spring market"),
        *("science fair", "summer camp", "winter games", "art week", "street parade"),
        *("chess open", "kite festival", "garden show", "robot contest", "poetry evening"),
    ),
    "subject": (
        *("stars", "rivers", "mountains", "shadows", "islands", "forests", "machines", "bridges"),
        *("storms", "gardens", "oceans", "birds", "castles", "deserts", "planets", "dreams"),
        *("numbers", "volcanoes", "lighthouses", "railways", "clouds", "insects", "glaciers"),
    ),
    "quest": (
        *("a history of", "the song of", "letters from", "the last of the", "a guide to"),
        *("the secret of", "tales of", "the art of", "journey to the", "beyond the"),
    ),
    "task": (
        *("buy milk", "call mom", "water plants", "pay rent", "feed the cat", "mail letter"),
        *("fix the roof", "book tickets", "return keys", "clean desk", "charge phone"),
        *("check tires", "bake bread", "wash car", "pack bags", "meet anna", "plan trip"),
    ),
    "state": (
        *("connection lost", "update complete", "access granted", "access denied", "low battery"),
        *("mission complete", "signal found", "system ready", "memory full", "insert coin"),
        *("game over", "new message", "scan finished", "please wait", "engine failure"),
        *("docking complete", "oxygen low", "target locked", "loading level", "press start"),
    ),
    "cheer": (
        *("happy birthday", "well done", "good luck", "welcome home", "thank you", "bon voyage"),
        *("get well soon", "best wishes", "congratulations", "merry christmas", "we miss you"),
    ),
    "name": (
        *("Anna", "Oscar", "Maya", "Leo", "Nora", "Felix", "Clara", "Hugo", "Iris", "Jonas"),
        *("Ruby", "Simon", "Emma", "Victor", "Alice", "Martin", "Stella", "Theo", "Wanda"),
    ),
    "team": (
        *("tigers", "comets", "rockets", "pirates", "giants", "hornets", "wizards", "eagles"),
        *("sharks", "rangers", "knights", "bulls", "falcons", "storm", "thunder", "royals"),
    ),
    "weekday": (*("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),),
    "month": (
        *("january", "february", "march", "april", "may", "june", "july", "august"),
        *("september", "october", "november", "december"),
    ),
    "small": tuple(map(str, range(2, 40))),
    "hundred": tuple(map(str, range(101, 1000))),
    "year": tuple(map(str, range(1850, 2051))),
    "percent": tuple(map(str, range(10, 80, 5))),
    "hour": tuple(map(str, range(1, 13))),
    "minute": ("05", "10", "15", "20", "25", "30", "35", "40", "45", "50", "55"),
    "cents": ("25", "49", "50", "75", "95", "99"),
    "shop_word": (
        *("open", "closed", "bakery", "books", "flowers", "coffee", "pharmacy", "hotel", "sale"),
        *("florist", "barber", "tailor", "cinema", "museum", "antiques", "butcher", "library"),
        *("restaurant", "souvenirs", "groceries", "hardware", "optician", "welcome", "sold"),
    ),
    "road_word": (
        *("stop", "slow", "exit", "yield", "danger", "detour", "school", "caution", "bridge"),
        *("harbor", "airport", "station", "private", "hospital", "parking", "crossing", "toll"),
    ),
    "book_word": (
        *("chemistry", "astronomy", "diary", "recipes", "atlas", "poems", "secrets", "botany"),
        *("geometry", "memories", "mythology", "grammar", "legends", "evolution", "silence"),
    ),
    "screen_word": (
        *("loading", "error", "victory", "warning", "offline", "paused", "connected", "launch"),
        *("restart", "searching", "complete", "standby", "emergency", "recording", "online"),
    ),
    "cheer_word": (
        *("hooray", "bravo", "thanks", "hello", "peace", "forever", "courage", "harmony"),
        *("freedom", "justice", "wonder", "gratitude", "adventure", "sunshine", "believe"),
    ),
    "team_word": (
        *("champion", "winner", "captain", "finish", "record", "marathon", "olympia", "victory"),
        *("defense", "league", "coach", "fitness", "sprint", "referee", "striker", "boxing"),
    ),
}
"""Slot -> what may stand there."""

SCENES = (
    Scene(
        things=(
            "a wooden sign above a shop door",
            "a painted shop window",
            "a chalkboard leaning against a wall",
            "a striped awning",
            "a neon sign behind a window",
            "a paper bag on a counter",
            "a menu pinned to a door",
        ),
        places=(
            "in a narrow cobbled street",
            "beside a row of potted plants",
            "in a busy market hall",
            "on the corner of an old square",
            "between two brick houses",
            "next to a parked delivery bicycle",
        ),
        patterns={
            "phrase": (
                "the {adjective} {animal}",
                "{adjective} {ware}",
                "{ware} and {ware}",
                "{ware} from {town}",
                "open on {weekday}",
                "{adjective} {ware} every {weekday}",
            ),
            "number": (
                "{ware} since {year}",
                "{percent}% off {ware}",
                "{ware} ${small}.{cents}",
                "open {hour} to {hour}",
                "buy {small} get one free",
            ),
            "word": ("{shop_word}",),
        },
    ),
    Scene(
        things=(
            "a road sign on a metal post",
            "a warning board on a fence",
            "a signpost at a crossroads",
            "a large panel above a motorway",
            "a weathered wooden arrow",
            "a yellow barrier with a notice",
            "an enamel plate on a gate",
        ),
        places=(
            "beside a winding mountain road",
            "at the edge of a pine forest",
            "near a harbor full of boats",
            "on a dusty desert highway",
            "in front of a construction site",
            "along a canal with bare trees",
        ),
        patterns={
            "phrase": (
                "no {ban}",
                "no {ban} or {ban}",
                "caution {danger}",
                "danger {danger} ahead",
                "welcome to {town}",
                "{town} next exit",
                "{adjective} {animal} crossing",
            ),
            "number": (
                "{town} {small} km",
                "speed limit {percent}",
                "exit {small} {town}",
                "route {hundred}",
                "no {ban} after {hour} pm",
                "{danger} next {small} miles",
            ),
            "word": ("{road_word}",),
        },
    ),
    Scene(
        things=(
            "a thick leather book",
            "a paperback on a bench",
            "the spine of an old volume",
            "an open notebook",
            "a folded newspaper",
            "a stack of magazines with one on top",
            "a scroll of yellow parchment",
        ),
        places=(
            "on a desk covered with papers",
            "in a dim library with tall shelves",
            "beside a cup of tea and reading glasses",
            "on a windowsill above a garden",
            "among dried leaves and feathers",
            "on the deck of a wooden ship",
        ),
        patterns={
            "phrase": (
                "{quest} {subject}",
                "{quest} {adjective} {subject}",
                "the {adjective} {animal} of {town}",
                "{name} and the {adjective} {animal}",
                "{subject} and {subject}",
            ),
            "number": (
                "chapter {small} {subject}",
                "{town} {year}",
                "{small} tales of {subject}",
                "{month} {year} issue",
                "page {hundred} the {animal}",
            ),
            "word": ("{book_word}",),
        },
    ),
    Scene(
        things=(
            "a glowing control panel",
            "the screen of an old computer",
            "an arcade machine with its display",
            "a phone lying on a table",
            "a huge digital billboard",
            "the dashboard of a spaceship",
            "a wrist watch with a bright display",
        ),
        places=(
            "in a dark room full of cables",
            "inside a quiet laboratory",
            "above a crowded crossing in the city",
            "in the cabin of a small submarine",
            "in an empty underground station",
            "next to a sleeping robot",
        ),
        patterns={
            "phrase": (
                "{state}",
                "{adjective} {animal} {state}",
                "{state} {name}",
                "{state} in {town}",
                "hello {name} {state}",
                "{adjective} {subject} {state}",
            ),
            "number": (
                "{state} {percent}%",
                "level {small} {state}",
                "{hour}:{minute} {weekday}",
                "score {hundred}",
                "flight {hundred} to {town}",
                "gate {small} {hour}:{minute}",
            ),
            "word": ("{screen_word}",),
        },
    ),
    Scene(
        things=(
            "a birthday cake with icing",
            "a banner tied between two trees",
            "a greeting card on a shelf",
            "a t-shirt on a hanger",
            "a mural on a long wall",
            "a wooden plaque over a fireplace",
            "a poster on a school door",
        ),
        places=(
            "in a garden hung with lanterns",
            "in a cheerful classroom",
            "in a small kitchen with blue tiles",
            "on a beach with scattered shells",
            "in a living room full of balloons",
            "at the entrance of a village hall",
        ),
        patterns={
            "phrase": (
                "{cheer} {name}",
                "{deed} {end}",
                "{deed} and {deed}",
                "{town} {event}",
                "{adjective} {event}",
                "{cheer} {adjective} {animal}",
            ),
            "number": (
                "{cheer} {small}",
                "{name} turns {small}",
                "{event} {year}",
                "{event} {month} {small}",
                "class of {year}",
                "{weekday} at {hour}:{minute}",
            ),
            "word": ("{cheer_word}",),
        },
    ),
    Scene(
        things=(
            "a sports jersey",
            "a scoreboard above a field",
            "a trophy with an engraved base",
            "a race car with a painted door",
            "a boxing robe",
            "a flag waved by a fan",
            "a finish line banner",
        ),
        places=(
            "in a stadium full of people",
            "on a muddy football pitch",
            "in a changing room with wooden benches",
            "beside a snowy ski slope",
            "on a running track after a race",
            "in a gym with ropes and mats",
        ),
        patterns={
            "phrase": (
                "{town} {team}",
                "{adjective} {team}",
                "go {team} go",
                "{team} against {team}",
                "{name} the {adjective} {animal}",
                "{town} {team} forever",
            ),
            "number": (
                "{team} {small}",
                "{team} {small} {team} {small}",
                "{town} marathon {year}",
                "lap {small} of {small}",
                "{name} {small}",
                "champions {year}",
            ),
            "word": ("{team_word}",),
        },
    ),
    Scene(
        things=(
            "a sticky note on a fridge",
            "a torn page from a calendar",
            "a list held by a magnet",
            "a handwritten label on a jar",
            "a luggage tag on a suitcase",
            "an envelope sealed with wax",
            "a cardboard box with a stencil",
        ),
        places=(
            "in a sunlit kitchen",
            "on a tidy wooden desk",
            "in a storage room with tall racks",
            "on the seat of an old train",
            "next to a ring of keys",
            "in a hallway with coats and boots",
        ),
        patterns={
            "phrase": (
                "{task}",
                "{task} on {weekday}",
                "{task} and {task}",
                "to {name} from {name}",
                "{adjective} {ware} for {name}",
                "handle with care {ware}",
            ),
            "number": (
                "{task} at {hour}:{minute}",
                "{month} {small} {task}",
                "box {small} {ware}",
                "room {hundred} {name}",
                "{small} jars of {ware}",
                "{task} before {hour} pm",
            ),
            "word": ("{cheer_word}",),
        },
    ),
)
