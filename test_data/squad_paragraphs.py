"""Passages with questions for the sample of SQuAD, written for this project.

Every answer is a part of the passage; it stands where it occurs first.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple


class Question(NamedTuple):
    """A question about a passage.

    Attributes:
        text: the question.
        answers: accepted answers, of which the first is the one to learn; () if the passage does
            not answer.
        plausible: what a careless reader answers; "" for a question with an answer.
    """

    text: str
    answers: Tuple[str, ...]
    plausible: str = ""


class Passage(NamedTuple):
    """A passage of an article, and its questions."""

    title: str
    context: str
    questions: Tuple[Question, ...]


def _asked(text: str, *answers: str) -> Question:
    return Question(text, answers)


def _unanswered(text: str, plausible: str) -> Question:
    return Question(text, (), plausible)


_TRAIN: List[Passage] = [
    Passage(
        "The lighthouse of Sandvik",
        "The lighthouse of Sandvik was built in 1871 by the engineer Ada Holm. Its tower is 34 "
        "metres high and painted red and white. The lamp burned oil until 1923, when the village "
        "got electric light. Since then the keeper visits the tower only on Mondays.",
        (
            _asked("Who built the lighthouse of Sandvik?", "Ada Holm", "the engineer Ada Holm"),
            _asked("How high is the tower?", "34 metres", "34 metres high"),
            _asked("When did the village get electric light?", "1923"),
            _asked("On which day does the keeper visit the tower?", "Mondays", "on Mondays"),
            _unanswered("Who painted the tower red and white?", "the engineer Ada Holm"),
        ),
    ),
    Passage(
        "The lighthouse of Sandvik",
        "Two families kept the lamp. The Lunds lived on the island until 1902, and the Bergs "
        "followed them. Old Mrs Berg wrote down the weather every evening; her 40 notebooks are in "
        "the museum of Torhavn today.",
        (
            _asked("Which family followed the Lunds?", "the Bergs", "Bergs"),
            _asked("Where are the notebooks today?", "the museum of Torhavn", "in the museum"),
            _asked("How many notebooks did Mrs Berg leave?", "40", "40 notebooks"),
            _unanswered("When did Mrs Berg die?", "1902"),
        ),
    ),
    Passage(
        "Café Zoë",
        "Café Zoë opens at seven. Its baker, Émile, makes twelve kinds of bread, but most guests "
        'ask for the "grey loaf", a heavy bread of rye and honey. On Sundays a trio plays in the '
        "garden: a flute, a cello and an accordion.",
        (
            _asked("Who is the baker of Café Zoë?", "Émile"),
            _asked("What is the grey loaf made of?", "rye and honey", "of rye and honey"),
            _asked("Where does the trio play?", "the garden", "in the garden"),
            _asked("When does Café Zoë open?", "seven", "at seven"),
            _unanswered("How much does the grey loaf cost?", "twelve"),
        ),
    ),
    Passage(
        "The river Orla",
        "The Orla rises in the Grey Hills and reaches the sea at Port Amber after 212 kilometres. "
        "Salmon swim up the river in May. The mill at Stonebridge, the last of nine mills, still "
        "grinds oats with the water of the Orla.",
        (
            _asked("Where does the Orla rise?", "the Grey Hills", "in the Grey Hills"),
            _asked("How long is the Orla?", "212 kilometres"),
            _asked("When do salmon swim up the river?", "May", "in May"),
            _asked("What does the mill at Stonebridge grind?", "oats"),
            _unanswered("Who owns the mill at Stonebridge?", "the Orla"),
        ),
    ),
    Passage(
        "The bell of Maren",
        "The bell of Maren weighs 900 kilograms. It was cast in Torhavn, and six oxen pulled it "
        "over the pass. In the winter of 1788 the rope broke, and the bell rolled into the lake. "
        "Children say that it still rings under the ice.",
        (
            _asked("How heavy is the bell of Maren?", "900 kilograms"),
            _asked("What pulled the bell over the pass?", "six oxen", "oxen"),
            _asked("Where was the bell cast?", "Torhavn", "in Torhavn"),
            _unanswered("Who cast the bell?", "Children"),
        ),
    ),
    Passage(
        "Paper kites",
        "Every September the school of Linden flies paper kites. Bamboo makes a kite light, and a "
        "tail of ribbons keeps it steady. The largest kite so far, a blue fish, was eight metres "
        "long and needed four people to hold it.",
        (
            _asked("What keeps a kite steady?", "a tail of ribbons", "a tail"),
            _asked("What makes a kite light?", "Bamboo"),
            _asked("How many people held the blue fish?", "four", "four people"),
            _unanswered("Who made the blue fish?", "the school of Linden"),
        ),
    ),
    Passage(
        "Paper kites",
        "A kite that is too heavy at the front dives. Its bridle is then tied one knot further "
        "back. Mr Okafor, who teaches music, keeps a box of spare knots, as he calls his short "
        "strings.",
        (
            _asked("What does Mr Okafor teach?", "music"),
            _asked("What does Mr Okafor call his short strings?", "spare knots"),
            _unanswered("Where does Mr Okafor live?", "a box"),
        ),
    ),
]

_DEV: List[Passage] = [
    Passage(
        "The clock of Elm Street",
        "The clock of Elm Street has only one hand. It was built in 1790 by the brothers Weiss and "
        "runs eleven minutes late. The baker opposite sells bread by it, so that Elm Street eats "
        "late as well.",
        (
            _asked("Who built the clock?", "the brothers Weiss", "brothers Weiss", "Weiss"),
            _asked("When was the clock built?", "1790", "in 1790"),
            _asked("How late does the clock run?", "eleven minutes", "eleven minutes late"),
            _unanswered("Who repaired the clock?", "The baker"),
        ),
    ),
    Passage(
        "The orchard",
        "Noor planted 60 trees behind the house: apples, pears and one quince. The pears ripen in "
        "August, the apples in October. Wasps come for the pears, and therefore Noor picks them "
        "early in the morning.",
        (
            _asked("How many trees did Noor plant?", "60", "60 trees"),
            _asked("When do the apples ripen?", "October", "in October"),
            _asked("What do wasps come for?", "the pears", "pears"),
            _unanswered("When does the quince ripen?", "August"),
        ),
    ),
    Passage(
        "The ferry",
        "The ferry to Gull Island leaves at six and at noon. Captain Ibsen takes twenty guests and "
        "no bicycles. In fog she blows the horn three times and waits for the answer of the "
        "island's bell.",
        (
            _asked("Who is the captain of the ferry?", "Captain Ibsen", "Ibsen"),
            _asked("How many guests does the ferry take?", "twenty", "twenty guests"),
            _unanswered("What does the ferry cost?", "twenty"),
        ),
    ),
]

_TEST: List[Passage] = [
    Passage(
        "The library cart",
        "A donkey called Pepper pulls the library cart through the valley. It stops in five "
        "villages and carries 300 books, most of them about travels. Readers keep a book for two "
        "weeks and pay a late fee in carrots.",
        (
            _asked("What is the donkey called?", "Pepper"),
            _asked("How many books does the cart carry?", "300"),
            _unanswered("Who drives the cart?", "Pepper"),
        ),
    ),
    Passage(
        "The snow tunnel",
        "In the winter of 1951 the snow at Highmoor was six metres deep. The villagers dug a "
        "tunnel from the school to the shop and hung lanterns in it.",
        (
            _asked("How deep was the snow?", "six metres"),
            _asked("What did the villagers hang in the tunnel?", "lanterns"),
        ),
    ),
]

PASSAGES: Dict[str, List[Passage]] = {"train": _TRAIN, "dev": _DEV, "test": _TEST}
"""The passages of each split; those of an article stand one after another."""
