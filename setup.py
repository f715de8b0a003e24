"""Names the packages of the wheel: the library, and below `bort._toolkit` the commands.

The commands and what they need keep their folders in a checkout. In the wheel they lie inside the
library, where they take no name from other packages; `bort.process.toolkit` finds them.
"""

from setuptools import find_packages, setup

TOOLKIT = ("data", "experiments", "scripts", "test_data/tasks")

packages = find_packages(include=["bort", "bort.*"])
folders = {}
for top in TOOLKIT:
    for folder in [top, *(f"{top}/{name.replace('.', '/')}" for name in find_packages(top))]:
        package = f"bort._toolkit.{folder.replace('/', '.')}"
        packages.append(package)
        folders[package] = folder

setup(packages=packages, package_dir=folders)
