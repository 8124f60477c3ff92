"""Finds the Chromium of the browser tests: CHROMIUM, then the system's; `--install` brings Debian's.

Without a browser the browser tests are skipped here, loudly, and fail where CI=true.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
REMEDY = "Chromium for the browser tests is missing: apt install chromium, or set CHROMIUM to a browser."


def find_chromium() -> Path | None:
    """Give the browser's program, None if there is none."""
    if chosen := os.environ.get("CHROMIUM"):
        found = shutil.which(chosen)
        return Path(found) if found else None
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    return MAC if MAC.exists() else None


def install_chromium() -> Path | None:
    """Install Debian's Chromium if we are root and apt is here."""
    if os.geteuid() == 0 and shutil.which("apt-get") and not os.environ.get("CHROMIUM"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
        sys.stdout.write("== installing Chromium\n")
        sys.stdout.flush()
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            subprocess.run(["apt-get", "update"], env=environment, stdout=subprocess.DEVNULL, check=False)
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    return find_chromium()


if __name__ == "__main__":
    browser = find_chromium() or (install_chromium() if "--install" in sys.argv else None)
    sys.stdout.write(f"== browser: {browser or REMEDY}\n")
    sys.exit(1 if browser is None and os.environ.get("CI") == "true" else 0)
