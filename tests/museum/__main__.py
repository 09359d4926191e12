"""`python -m tests.museum`: which kind of test catches which bug; with --hunt, a bug for you to find."""

import argparse
import json
import sys

from tests.museum import hunt, page
from tests.museum.exhibits import EXHIBITS, PLACEBO
from tests.museum.runner import KINDS, show


def main() -> None:
    """Shows the exhibits that are named, or all, and the placebo."""
    parser = argparse.ArgumentParser(prog="python -m tests.museum", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="an exhibit; all of them, if none is named")
    parser.add_argument("--by", action="append", choices=KINDS, help="a kind of test; all of them, if none is named")
    parser.add_argument("--quick", action="store_true", help="leave out slow tests where quicker ones will do")
    parser.add_argument("--json", action="store_true", help="print the first test of each kind that caught each bug")
    parser.add_argument("--write", action="store_true", help=f"bring {page.PATH.name} up to date")
    parser.add_argument("--hunt", type=int, metavar="SEED", help="plant a mistake that the seed draws, in a copy")
    parser.add_argument("--check", action="store_true", help="with --hunt: say whether the mistake is mended")
    parser.add_argument("--reveal", action="store_true", help="with --hunt: say what the mistake was")
    options = parser.parse_args()
    if (options.check or options.reveal) and options.hunt is None:
        parser.error("--check and --reveal need --hunt SEED")
    if options.hunt is not None:
        sys.exit(go_hunting(options.hunt, options.check, options.reveal))
    for name in options.names:
        if name not in EXHIBITS:
            parser.error(f"there is no exhibit {name!r}; there are {', '.join(EXHIBITS)}")
    if options.write and (options.names or options.by or options.quick):
        parser.error("--write needs every exhibit and every test")
    exhibits = [*(EXHIBITS[name] for name in options.names or EXHIBITS), PLACEBO]
    museum = show(exhibits, options.by or KINDS, quick=options.quick)
    if options.json:
        names = sorted(museum.sorted_by_name)
        print(json.dumps({"failing": museum.failing, "sorted_by_name": names, "caught": museum.caught}, indent=1))
        return
    if museum.failing:
        sys.exit("These tests fail with nothing switched on:\n" + "\n".join(museum.failing))
    for name, row in museum.caught.items():
        print(f"{name:36}", *(page.mark(row[kind]) for kind in KINDS if kind in row))
    if options.write:
        page.write(museum.caught)


def go_hunting(seed: int, check: bool, reveal: bool) -> int | str:
    """Begins a hunt, says how it stands, or what the mistake was; returns 0, or 1 while it is not mended."""
    folder, mended = hunt.folder_of(seed), True
    try:
        if check:
            mended, said = hunt.check(folder)
            print(said)
        if reveal:
            print(hunt.reveal(folder))
        if not (check or reveal):
            print("A copy is made, and a mistake is drawn that a test notices; this may take a minute …", flush=True)
            print(hunt.begin(seed, folder))
    except hunt.HuntError as error:
        return str(error)
    return 0 if mended else 1


if __name__ == "__main__":
    main()
