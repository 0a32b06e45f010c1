"""Importing cxlib is quick: heavy packages wait until they are used."""

import subprocess
import sys

HEAVY = ("ibis", "pandas", "plotly", "lifelines", "ipywidgets", "papermill", "pandera", "duckdb")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_import_takes_less_than_a_second_of_cpu():
    code = "import time; t = time.process_time(); import cxlib; print(time.process_time() - t)"
    assert float(run(code).stdout) < 1.0


def test_import_loads_no_plotting_modelling_or_notebook_package():
    out = run(f"import cxlib, sys; print([name for name in {HEAVY} if name in sys.modules])")
    assert out.stdout.strip() == "[]"


def test_drawing_loads_neither_the_engine_nor_the_models():
    out = run(
        "import cxlib.plot, sys; print([n for n in ('ibis', 'lifelines') if n in sys.modules])"
    )
    assert out.stdout.strip() == "[]"


def test_every_public_name_can_be_imported():
    out = run("import cxlib as cx; print([n for n in cx.__all__ if getattr(cx, n, None) is None])")
    assert out.stdout.strip() == "[]"


def test_an_unknown_name_offers_the_known_ones():
    code = "import cxlib\ntry: cxlib.open_stor\nexcept AttributeError as error: print(error)"
    assert "did you mean 'open_store'" in run(code).stdout


def test_builds_load_nothing_that_windows_lacks():
    run("import sys; sys.modules['fcntl'] = None; import cxlib.build, cxlib.forget")
