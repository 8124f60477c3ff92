"""Run the peers' driver with our adapter among its own: `drive.py DRIVER_FOLDER [the driver's options]`."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True


def main(driver: str, *options: str) -> None:
    """Put the adapter beside the driver's, then let the driver do everything."""
    sys.path[:0] = [driver, str(Path(__file__).parent)]
    import adapters
    import bench
    import fairlabel

    adapters.PEERS["fairlabel"] = "fairlabel:Fairlabel"
    sys.modules["adapters.fairlabel"] = fairlabel
    sys.argv = ["bench.py", *options]
    bench.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
