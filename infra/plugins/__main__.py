"""`python -m plugins <plugin> <engine address>`: what the launchers run."""

import sys

from plugins import protocol


def main(arguments: list[str]) -> None:
    match arguments[:1]:
        case ["language"]:
            from plugins import language

            language.main()
        case ["kubernetes"]:
            protocol.without_sdk()
            from plugins.kubernetes.provider import Kubernetes
            from plugins.server import serve

            serve(Kubernetes())
        case ["aws"]:
            protocol.without_sdk()
            from plugins.aws.provider import Aws
            from plugins.server import serve

            serve(Aws())
        case _:
            sys.exit("usage: python -m plugins language|kubernetes|aws ADDRESS (the Pulumi engine starts these)")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:  # how the engine ends a plugin
        sys.exit(0)
