"""The server of the dashboards: Voilà, with everything it needs at hand and nothing else open."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from cxlib.engine.store import current_snapshot, open_store
from cxlib.errors import CxError

__all__ = ["find_dashboards", "serve_dashboards"]

# Lab extensions that a dashboard does not use; without them a page loads in half the time.
_UNUSED = [
    "jupyterlab-plotly",
    "jupyterlab-jupytext",
    "jupyterlab_pygments",
    "@voila-dashboards/jupyterlab-preview",
    "@voila-dashboards/widgets-manager7",
]
_ALONE_SECONDS = 600
_RENEW_MILLISECONDS = 5_000
# The path of a socket has at most 104 characters, and Jupyter adds 70 to the temporary folder.
_LONGEST_FOLDER = 34


def find_dashboards(folder: str | Path | None = None) -> Path:
    """Folder of the dashboard notebooks.

    Parameters
    ----------
    folder
        Where they are; ``dashboards`` in the working directory, or in the checkout that cxlib
        is installed from, when not given.

    Returns
    -------
    pathlib.Path
        Absolute.

    Raises
    ------
    CxError
        When there is no notebook.

    Examples
    --------
    >>> find_dashboards("nowhere")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there are no dashboards in 'nowhere'; give a folder with notebooks, or
    run this in a checkout of the project
    """
    places = [Path(folder)] if folder is not None else [
        Path("dashboards"), Path(__file__).resolve().parents[2] / "dashboards"
    ]  # fmt: skip
    for place in places:
        if next(place.glob("*.ipynb"), None) is not None:
            return place.resolve()
    raise CxError(
        f"there are no dashboards in {places[0].as_posix()!r}; give a folder with notebooks, "
        "or run this in a checkout of the project"
    )


def serve_dashboards(
    workspace: str | Path,
    *,
    port: int = 8866,
    dashboards: str | Path | None = None,
    preheat: bool = True,
) -> None:
    """Serve the dashboards on this machine until Ctrl-C.

    Parameters
    ----------
    workspace
        Folder whose store they show.
    port
        Port on localhost.
    dashboards
        Folder of the notebooks; see ``find_dashboards``.
    preheat
        Keep one page of each dashboard ready, so that it opens at once. Pages are made anew when a
        new store is built. It takes about 150 MB per dashboard.

    Raises
    ------
    CxError
        When nothing has been built in the workspace, the port is taken, or there are no dashboards.

    Notes
    -----
    Only this machine can connect, and nobody needs to log in: to show dashboards to others, put a
    proxy with a login before it. A page that nobody looks at for an hour ends its session.

    Examples
    --------
    >>> serve_dashboards("data/nowhere")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no store in 'data/nowhere'; run: cxlib build data/nowhere
    """
    store = open_store(workspace)
    folder = find_dashboards(dashboards)
    _check_port(port)
    os.environ["CXLIB_WORKSPACE"] = str(Path(workspace).resolve())
    _put_first("JUPYTER_PATH", folder / "jupyter")
    app = _application(folder, port, preheat)
    print(
        f"Dashboards of {store.meta.get('name', workspace)} at http://localhost:{port}/ "
        "(Ctrl-C ends)",
        flush=True,
    )
    app.start()


def _check_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":  # there it would take a port that somebody else has
            # As the server itself will, so that a port in TIME_WAIT does not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CxError(
                f"port {port} cannot be used ({error.strerror}); choose another with --port"
            ) from error


def _put_first(variable: str, folder: Path) -> None:
    before = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), *([before] if before else [])])


def _application(folder: Path, port: int, preheat: bool) -> Any:
    # Tornado remarks on every page that Jupyter's two ping settings do not fit each other.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    application = _voila()(config=_settings(folder, port, preheat))
    application.initialize([str(folder)])
    return application


def _settings(folder: Path, port: int, preheat: bool) -> Any:
    from traitlets.config import Config

    settings = Config()
    settings.Voila = Config(
        ip="localhost",
        port=port,
        port_retries=0,
        open_browser=False,
        root_dir=str(folder),
        log_level="ERROR",
        config_file_paths=[],  # no settings from elsewhere on this machine
    )
    settings.VoilaConfiguration = Config(
        template="cxlib",
        classic_tree=True,
        preheat_kernel=preheat,
        default_pool_size=1,
        extension_denylist=_UNUSED,
        allow_template_override="NO",
        allow_theme_override="NO",
        resources={"cxlib": {"plotly": "voila/cxlib/plotly.min.js"}},
        file_allowlist=[],
    )
    # Kernels whose page is gone without a word; a page that is left says so, and one that nobody
    # looks at for an hour ends its own.
    settings.MappingKernelManager = Config(
        cull_idle_timeout=_ALONE_SECONDS, cull_interval=60, cull_connected=False
    )
    # A page that was given away is made anew when its viewer has loaded it.
    settings.VoilaKernelManager = Config(fill_delay=3)
    if sys.platform != "win32" and len(tempfile.gettempdir()) <= _LONGEST_FOLDER:
        # Kernels on sockets of this user, and not on open TCP ports.
        settings.ConnectionFileMixin = Config(transport="ipc")
    return settings


def _voila() -> type[Any]:
    """Voilà with a few additions; made here, because importing it takes a second."""
    import plotly
    from jupyter_server.utils import url_path_join
    from tornado.ioloop import PeriodicCallback
    from tornado.web import StaticFileHandler
    from voila.app import Voila  # type: ignore[import-untyped]
    from voila.tornado.handler import TornadoVoilaHandler  # type: ignore[import-untyped]

    class Page(TornadoVoilaHandler):
        """A dashboard that may end its kernel when its viewer leaves."""

        async def get(self, path: str | None = None) -> None:
            # Reading the token sets its cookie, without which the server refuses to end the kernel.
            _ = self.xsrf_token
            await super().get(path)

    class Dashboards(Voila):
        """Serves plotly.js, knows the dashboards' titles, and makes pages anew for new data."""

        def init_settings(self) -> Any:
            settings = super().init_settings()
            settings["voila_jinja2_env"].globals["dashboards"] = self.cards
            return settings

        def init_handlers(self) -> Any:
            script = Path(plotly.__file__).parent / "package_data"
            path = url_path_join(self.server_url, r"/voila/cxlib/(plotly\.min\.js)")
            handlers = [
                (rule[0], Page, *rule[2:]) if rule[1] is TornadoVoilaHandler else rule
                for rule in super().init_handlers()
            ]
            return [(path, StaticFileHandler, {"path": str(script)}), *handlers]

        def listen(self) -> None:
            self.snapshot = _current()
            if self.voila_configuration.preheat_kernel:
                PeriodicCallback(self.renew, _RENEW_MILLISECONDS).start()
            super().listen()

        async def renew(self) -> None:
            """Make the pages that are kept ready anew when they show an older snapshot."""
            snapshot = _current()
            if snapshot in (self.snapshot, None):
                return
            self.snapshot = snapshot
            manager = self.kernel_manager
            for name, pool in manager._pools.items():
                old = list(pool)
                pool.clear()
                manager.fill_if_needed(delay=0, notebook_name=name)
                for page in old:
                    await manager.shutdown_kernel((await page)["kernel_id"])

        def cards(self) -> dict[str, Any]:
            """What the gallery shows: the store, and each dashboard by its notebook's metadata."""
            store = open_store(os.environ["CXLIB_WORKSPACE"])
            until = datetime.fromisoformat(store.meta["observed_until"])
            return {
                "store": store.meta,
                "as_of": f"{until.day} {until:%B %Y}",
                "cards": [_card(path) for path in sorted(Path(self.root_dir).glob("*.ipynb"))],
            }

    return Dashboards


def _current() -> str | None:
    snapshot = current_snapshot(os.environ["CXLIB_WORKSPACE"])
    return None if snapshot is None else snapshot.id


def _card(notebook: Path) -> dict[str, str]:
    metadata = json.loads(notebook.read_text("utf-8")).get("metadata", {})
    return {
        "path": notebook.name,
        "title": str(metadata.get("title") or notebook.stem.replace("_", " ").capitalize()),
        **{
            key: str(metadata.get("cxlib", {}).get(key, ""))
            for key in ("question", "summary", "audience")
        },
    }
