"""Which sentence encoder it is, for those who ask without loading it."""

DIMENSIONS = 512
#: What the vectors depend on. A model is only right with the vectors it was trained with.
FILES = {
    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}
#: What a model remembers of its encoder.
ENCODER = FILES["weights.npz"]
