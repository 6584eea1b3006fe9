"""Names of intents."""

#: The category of texts that belong to no intent, in files and in training data.
OUT_OF_SCOPE = "oos"
