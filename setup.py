"""Package metadata; the settings of the tools are in ``pyproject.toml``."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (ROOT / "carto_like/__init__.py").read_text("utf-8")).group(1)

SDK = [
    "pyrestcli>=0.6.11,<0.7",
    # Older ones write chunked bodies past urllib3, and miss a server that refuses an upload early.
    "requests>=2.31",
    "urllib3>=2.0.7,<3",
    "python-dateutil>=2.8.2",
    # pyrestcli imports six without declaring it.
    "six>=1.16",
]
EXTRAS = {
    "fast": ["isal>=1.5"],
    "frames": ["numpy>=1.24", "orjson>=3.10", "pandas>=2", "pyarrow>=16"],
    "geo": ["geopandas>=1", "pyarrow>=16"],
    "cli": ["click>=8.1", "rich>=13", "platformdirs>=4"],
    "server": [
        "starlette>=0.40",
        "uvicorn[standard]>=0.30",
        "python-multipart>=0.0.9",
        "orjson>=3.10",
        "psycopg[binary]>=3.2.2",
        "psycopg-pool>=3.2",
        "cryptography>=42",
        "jinja2>=3.1",
        "pyjwt>=2.8",
        "msgpack>=1.0.5",
        # Its tables are brought up to date by files that come with it, and only forwards.
        "procrastinate>=3.10,<3.11",
        "prometheus-client>=0.20",
        "charset-normalizer>=3.3",
        "platformdirs>=4",
        # GDAL is in the wheel of pyogrio; before 0.12 it cannot write SpatiaLite.
        "pyogrio>=0.12",
        "pyarrow>=16",
        # Exports name the reference system of their geometries in full.
        "numpy>=1.24",
        "pyproj>=3.6",
        "tzdata",
    ],
    # Mapnik with its library, and MapLibre GL JS as files, are in the wheels.
    "maps": ["mapnik>=4.3", "maplibre>=0.3.6", "palettable>=3.3"],
    "dev": [
        "airportsdata",
        "build",
        "coverage[toml]>=7.4",
        "furo",
        "geopandas>=1",
        "hypothesis>=6.100",
        "mypy>=1.10",
        "pillow>=10",
        "pre-commit>=3.5",
        "pytest>=8",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.5",
        "responses>=0.25",
        "ruff>=0.9",
        "selenium>=4.20",
        # The test of the wheel builds it without an environment of its own.
        "setuptools>=69",
        "sphinx>=7.2",
        "sphinx-click>=6",
        "types-python-dateutil",
        "types-requests",
    ],
}
EXTRAS["all"] = sorted({name for extra in EXTRAS if extra != "dev" for name in EXTRAS[extra]})

setup(
    name="carto-like",
    version=VERSION,
    description="A CARTO-compatible Python SDK with a self-hosted PostGIS platform behind it",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    packages=find_packages(include=["carto_like", "carto_like.*"]),
    package_data={
        "carto_like": [
            "py.typed",
            "core/*.pyi",
            "server/services/sql/*.sql",
            "server/services/sql/*/*.sql",
            "server/pages/static/*",
            "server/pages/templates/*.html",
        ]
    },
    python_requires=">=3.10",
    install_requires=SDK,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["carto-like = carto_like.cli.main:main"],
        # The name is the module's, so that asking for the plugin by hand (-p carto_like.testing) is no clash.
        "pytest11": ["carto_like.testing = carto_like.testing"],
    },
    classifiers=[
        "Framework :: Pytest",
        "Intended Audience :: Developers",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Scientific/Engineering :: GIS",
        "Typing :: Typed",
    ],
)
