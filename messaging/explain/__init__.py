"""Why a message or a batch is where it is: one sentence, with what it names."""
