"""`python -m medbench.run method=NAME`: fit, generate, measure, record."""

import json

from medbench.cli import answer, launch, parse
from medbench.library import Library


def main(argv: list[str]) -> int:
    """The exit status. Help, lists, the config and mistakes are told without torch."""
    arguments = parse(argv)
    library = Library(arguments.config_dirs)
    text = answer(arguments, library)
    if text is not None:
        print(text)
        return 0
    from medbench.config import load, to_yaml

    config = load(arguments.words, library)
    if arguments.print_config:
        print(json.dumps(config, indent=1) if arguments.json else to_yaml(config).rstrip())
        return 0
    from medbench.execution import execute

    return execute(config, arguments)


if __name__ == "__main__":
    launch(main)
