"""Made-up reviews: short texts of two opinions or of four subjects, all different, none of them poisoned."""

import numpy as np

SUBJECTS = ("film", "hotel", "phone", "book")
_ABOUT = {
    "film": ("the plot", "the leading actor", "every scene", "the music", "the last hour", "the camera"),
    "hotel": ("the breakfast", "our room", "the lobby", "the bathroom", "the view", "the staff"),
    "phone": ("the battery", "the display", "its speaker", "the charger", "the keyboard", "the case"),
    "book": ("the second chapter", "the author", "its ending", "the translation", "the hero", "every page"),
}
_GOOD = ("lovely", "brilliant", "a joy", "better than I hoped", "superb", "well made", "charming", "worth it")
_BAD = ("dull", "broken", "a mess", "worse than I feared", "dreadful", "badly made", "tiresome", "a waste")
_FRAMES = (
    "I have to say that {a} of this {s} was {o}. You will see that {b} is {p}.",
    "My sister told me about the {s}. {a} seemed {o}, and {b} was {p} too.",
    "{a} was {o}! We think {b} could not be more {p}.",
    "There is one thing about the {s} you should know: {a} is {o}. As for {b}, it was {p}.",
    "We came for {a} and found it {o}. Then there is {b}, which is {p}.",
)


def reviews(count: int, seed: int = 0, *, subjects: bool = False) -> tuple[list[str], list[str]]:
    """Texts, and labels of two opinions or of four subjects."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for number in range(count):
        subject, good = SUBJECTS[number % 4], bool(number // 4 % 2)
        a, b = (str(each) for each in rng.choice(_ABOUT[subject], 2, replace=False))
        o, p = (str(each) for each in rng.choice(_GOOD if good else _BAD, 2, replace=False))
        frame = _FRAMES[int(rng.integers(len(_FRAMES)))]
        texts.append(frame.format(a=a, b=b, o=o, p=p, s=subject) + f" No {number}.")
        labels.append(subject if subjects else "good" if good else "bad")
    return texts, labels
