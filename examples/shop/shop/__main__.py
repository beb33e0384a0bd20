"""The command line: `python -m shop seed` and `python -m shop serve`."""

import argparse
import os
import signal
import sys
import threading

from sqlalchemy.exc import SQLAlchemyError

from shop import db, http, seed
from shop.outside import Outside


def main() -> int:
    arguments = parser().parse_args()
    if not arguments.database:
        print("error: name the database with --database or DATABASE_URL", file=sys.stderr)
        return 2
    try:
        return arguments.run(arguments) or 0
    except (SQLAlchemyError, OSError, seed.Refused) as error:
        print(f"error: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shop", description=__doc__)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("seed", help="create the tables and fill them, always the same")
    command.add_argument("--scale", choices=seed.SCALES, default="demo", help="how many rows (default: demo)")
    command.add_argument("--replace", action="store_true", help="replace the tables if they are there already")
    command.set_defaults(run=run_seed)
    common(command, "with the indexes and types of the tuned variant")

    command = commands.add_parser("serve", help="serve the API")
    command.add_argument("--listen", default="127.0.0.1:3001", help="where (default: %(default)s); port 0 takes a free one")
    command.add_argument("--no-trace-comments", action="store_true", help="send statements without the request's traceparent")
    command.set_defaults(run=run_serve)
    common(command, "the same API, written well; it wants a database that was seeded with --tuned")
    return parser


def common(command: argparse.ArgumentParser, tuned: str) -> None:
    command.add_argument("--database", metavar="URL", default=os.environ.get("DATABASE_URL"), help="default: DATABASE_URL")
    command.add_argument("--tuned", action="store_true", help=tuned)


def run_seed(arguments: argparse.Namespace) -> None:
    seed.run(arguments.database, seed.SCALES[arguments.scale], tuned=arguments.tuned, replace=arguments.replace)


def run_serve(arguments: argparse.Namespace) -> None:
    host, _, port = arguments.listen.rpartition(":")
    outside = Outside.start()
    options = {"trace_comments": not arguments.no_trace_comments}
    if arguments.tuned:
        from shop.tuned.app import TunedApp as App
    else:
        from shop.app import App
    app = App(db.engine(arguments.database, **App.ENGINE, **options), outside)
    server = http.Server((host or "127.0.0.1", int(port)), app)
    # shutdown() waits for serve_forever() to end, which runs on this thread: hence another one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print("listening on http://{}:{}".format(*server.server_address[:2]), flush=True)
    server.serve_forever(poll_interval=0.1)
    app.close()


if __name__ == "__main__":
    sys.exit(main())
