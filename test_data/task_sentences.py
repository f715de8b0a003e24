"""Words and sentences for the sample of the tasks."""

from __future__ import annotations

from typing import Dict, List, Tuple

NAMES = (
    "Zoë", "Łukasz", "José", "Anna", "Bruno", "Clara", "Deniz", "Emil", "Farah", "Goran", "Hélène",
    "Ingrid",
)  # fmt: skip
CITIES = ("Málaga", "Oslo", "Zürich", "Porto", "Gdańsk", "Lyon")
THINGS = (
    "lamp", "kettle", "basket", "bicycle", "violin", "ladder", "clock", "blanket", "compass",
    "drum", "mirror", "suitcase",
)  # fmt: skip
PLACES = ("garden", "library", "station", "harbour", "market", "museum", "bakery", "stadium")
ADJECTIVES = (
    ("heavy", "airy"), ("new", "ancient"), ("bright", "unlit"), ("small", "enormous"),
    ("cheap", "expensive"),
)  # fmt: skip
SYNONYMS = (("bought", "purchased"), ("mended", "repaired"), ("saw", "noticed"), ("built", "made"))
PRAISE: Dict[str, Tuple[str, ...]] = {
    "1": ("wonderful", "charming", "a delight", "warm and funny", "brilliant"),
    "0": ("dreadful", "dull", "a disaster", "cold and boring", "hopeless"),
}

# Causes and their effects.
CAUSES: List[Tuple[str, str]] = [
    ("{a} left the window open in the storm.", "The carpet in {a}'s room was wet."),
    ("{a} forgot to water the tomatoes.", "The tomatoes of {a} dried up."),
    ("{a} ran all the way to the {place}.", "{a} was out of breath."),
    ("{a} dropped the {thing} on the stone floor.", "The {thing} broke into pieces."),
    ("The baker put too much salt into the dough.", "Nobody wanted to eat the bread."),
    ("{a} studied the map for an hour.", "{a} found the way without asking."),
    ("The battery of the torch was empty.", "{a} went to buy a new battery."),
    ("{a} sang loudly at midnight.", "The neighbours knocked on the wall of {a}."),
    ("Snow had fallen all night in {city}.", "{a} took the sledge out of the cellar."),
    ("{a} stood in the sun for too long.", "The nose of {a} turned red."),
]

# Text, first noun, second noun, and the number of the noun that the pronoun refers to.
WINOGRAD: List[Tuple[str, str, str, int]] = [
    ("The {thing} does not fit into the box because it is too large. {a} tried twice.",
     "the {thing}", "the box", 1),
    ("The {thing} does not fit into the box because it is too small. {a} tried twice.",
     "the {thing}", "the box", 2),
    ("The shelf bent under the {thing} because it was too weak. {a} heard it.",
     "the shelf", "the {thing}", 1),
    ("The shelf bent under the {thing} because it was too heavy. {a} heard it.",
     "the shelf", "the {thing}", 2),
    ("The guards chased the thieves because they wanted the reward. {a} \"saw\" it all.",
     "the guards", "the thieves", 1),
    ("The guards chased the thieves because they had taken the {thing}. {a} \"saw\" it all.",
     "the guards", "the thieves", 2),
]  # fmt: skip

# Two senses for each word, with three sentences each.
SENSES: Dict[str, Tuple[List[str], List[str]]] = {
    "bank": (
        ["Willows grew on the bank of the stream.", "The boat was tied to the bank.",
         "We sat on the muddy bank and fished."],
        ["Hélène opened an account at the bank.", "The bank closes at four.",
         "Two banks refused the loan."],
    ),
    "bat": (
        ["A bat flew out of the cave at dusk.", "Bats sleep upside down.",
         "The bat hunts moths by night."],
        ["He swung the bat and hit the ball.", "The new bat is made of ash wood.",
         "She leaned the bat against the fence."],
    ),
    "spring": (
        ["The cherry trees bloom in spring.", "Spring came early to Gdańsk.",
         "Last spring it rained for weeks."],
        ["A spring in the mattress was broken.", "The toy jumps because of a steel spring.",
         "He oiled the springs of the cart."],
    ),
    "letter": (
        ["The first letter of the word is painted red.", "Write your name in capital letters.",
         "One letter is missing on the sign."],
        ["The postman brought a letter from Oslo.", "She wrote him a long letter.",
         "Your letter arrived too late."],
    ),
    "match": (
        ["He struck a match and lit the candle.", "The matches were damp.",
         "One match is enough for the stove."],
        ["Our team lost the match by one goal.", "The match was played in the rain.",
         "Both matches ended in a draw."],
    ),
    "bark": (
        ["The bark of the birch is white.", "Beetles live under the bark.",
         "He peeled the bark from the branch."],
        ["The bark of the dog woke us.", "We heard a loud bark behind the gate.",
         "Its bark is worse than its bite."],
    ),
}  # fmt: skip
