"""Fetches Delta's JARs once, so that every later Spark session starts without a network.

python -m jobs.jars FOLDER
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"
# what Spark ships itself: without these groups Ivy downloads 15 MB in place of 110
SHIPPED = (
    "com.fasterxml.jackson.core",
    "com.fasterxml.jackson.datatype",
    "com.github.luben",
    "com.google.code.findbugs",
    "commons-pool",
    "io.airlift",
    "javax.annotation",
    "org.antlr",
    "org.apache.hadoop",
    "org.apache.logging.log4j",
    "org.apache.parquet",
    "org.roaringbitmap",
    "org.slf4j",
    "org.xerial.snappy",
)


def fetch(folder: Path) -> list[Path]:
    """Resolves Delta with Spark's own Ivy and leaves its JARs, and nothing else, in ``folder``.

    Ivy gets a cache and a home of its own for the time: a ``~/.m2`` that holds a POM without its JAR makes it fail.

    Raises:
        OSError: if Ivy finds no JARs; the message ends with what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="ivy-") as home:
        nothing = Path(home, "nothing.py")
        nothing.touch()  # spark-submit resolves packages only on the way to a program
        command = [
            "spark-submit",
            "--master",
            "local[1]",
            "--packages",
            DELTA,
            "--exclude-packages",
            ",".join(f"{group}:*" for group in SHIPPED),
        ]
        command += ["--conf", f"spark.jars.ivy={home}", str(nothing)]
        env = os.environ | {"SPARK_SUBMIT_OPTS": f"-Duser.home={home}", "PYSPARK_PYTHON": sys.executable}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        found = sorted(Path(home, "jars").glob("*.jar"))
        if done.returncode or not found:
            raise OSError(
                f"{DELTA} could not be fetched. Without a network, copy its JARs into {folder}; behind a mirror, set "
                f"DEFAULT_ARTIFACT_REPOSITORY to a Maven repository. Ivy said:\n{done.stdout[-2000:]}"
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return [Path(shutil.copy(jar, folder)) for jar in found]


def main() -> int:
    try:
        jars = fetch(Path(sys.argv[1]))
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"{jar.stat().st_size / 1e6:6.1f} MB  {jar}" for jar in jars))
    return 0


if __name__ == "__main__":
    sys.exit(main())
