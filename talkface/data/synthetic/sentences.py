"""What drawn speakers say: sentences of ours that together use every English sound."""

from __future__ import annotations

import numpy as np

RECORDED = (
    "Good morning, my name is Robin, and I am not a real person.",
    "Five brave pilots flew over the frozen river before breakfast.",
    "We usually measure the pleasure of music by how it moves us.",
    "Bob bought a pound of plums and gave them to his mother.",
    "Would you choose a quiet house, or a large one by the shore?",
    "The judge thought both of these boys were much too young.",
    "She sells warm yellow gloves in a shop that few people visit.",
    "Every happy voice on the phone makes the evening feel shorter.",
    "Put the paper cup back on top, please, and move away.",
    "Zoe asked why the big zoo keeps a very old fish.",
)
"""The shipped recording; ten sentences, so that two can be held out."""
SAMPLE = (
    "This is another voice, with words the speaker never practised.",
    "Perhaps tomorrow the weather will be better, and we may go for a walk.",
)
"""The shipped driving sample."""

_WHO = (
    "my father", "the baker", "a famous pianist", "our neighbour", "the whole family", "Emma", "the young pilot",
    "somebody from Boston", "the chief engineer", "that boy with the umbrella", "the judge", "every visitor",
    "a bear in the park", "the woman on the bus", "Oliver", "the museum's oldest guide",
)  # fmt: skip
_DID = (
    "bought", "wanted to move", "forgot", "carefully measured", "was looking for", "promised to bring back", "painted",
    "gave away", "could not believe", "found", "wrote a poem about", "threw", "usually avoids", "will probably choose",
    "has always loved", "pushed", "shared", "jumped over",
)  # fmt: skip
_WHAT = (
    "five blue buttons", "the purple boat", "a cup of mushroom soup", "an old photograph", "the heavy wooden box",
    "both of the maps", "a bowl of fresh plums", "the missing television", "a pair of shoes", "some very loud music",
    "the answer to the third question", "a huge orange balloon", "the key of the church", "six boxes of thread",
    "a bicycle without wheels", "the first page of the book", "nothing but water", "a warm pullover",
)  # fmt: skip
_WHERE = (
    "before the storm", "on a quiet Thursday afternoon", "in the middle of the village", "by mistake",
    "under the bridge", "for the first time in years", "while we were away", "without saying a word", "last week",
    "at the edge of the forest", "because it was raining", "with great pleasure", "above the shop", "after the show",
)  # fmt: skip
_ALSO = (
    "and nobody knows why", "but that is another story", "so please be patient", "which made us laugh",
    "and I think we should help", "though few people noticed", "or so they say", "and the fog never moved",
)  # fmt: skip


def sentence(generator: np.random.Generator) -> str:
    """A random sentence of one of some hundred thousand."""
    words = [str(generator.choice(part)) for part in (_WHO, _DID, _WHAT)]
    if generator.random() < 0.75:
        words.append(str(generator.choice(_WHERE)))
    text = " ".join(words)
    if generator.random() < 0.4:
        text += ", " + str(generator.choice(_ALSO))
    return text[0].upper() + text[1:] + ("?" if generator.random() < 0.1 else ".")
