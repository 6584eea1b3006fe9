"""The local stack that `make run` starts: every process of the product and Valkey under supervisord, with data in DATA_DIR."""
