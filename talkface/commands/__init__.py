"""The commands, one function each; their options are dataclasses, so that `--help` and the checks come from them."""
