"""The package's metadata. Versions are ranges here; the image and CI install what requirements/*.txt pin."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="pipetest",
    version="2.0.0",
    description="Every public gist of the GitHub users you follow becomes a deal in Pipedrive.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    package_dir={"": "."},  # an editable install then puts this folder on the path, where twistd looks for plugins
    packages=[*find_packages(include=["pipetest", "pipetest.*"]), "twisted.plugins"],
    package_data={
        "pipetest": [
            "py.typed",
            "store/postgres/migrations/*.sql",
            "sandbox/pages/static/*",
            "sandbox/pages/templates/*.html",
            "web/page/static/*",
            "web/page/templates/*.html",
        ],
        "twisted.plugins": ["pipetest_plugin.py"],
    },
    install_requires=[
        "click>=8.2",
        "jinja2>=3.1",
        "klein>=24.8",
        "msgspec>=0.22",
        "prometheus-client>=0.21",
        "rich>=14.3",
        "tinydb>=4.8.2,<5",
        "treq>=24.9",
        "twisted[tls]>=26.4",
    ],
    entry_points={"console_scripts": ["pipetest = pipetest.cli.main:main"]},
    extras_require={"notify": ["apprise>=1.9"], "postgres": ["psycopg[binary]>=3.2"]},
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Typing :: Typed",
    ],
)
