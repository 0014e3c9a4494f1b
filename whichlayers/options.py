"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from engine import permission


def _allow(networks: list[str] | None) -> list[str] | None:
    permission.allow(networks or ())
    return networks


StoreFolder = Annotated[str, typer.Option("--store", envvar="WHICHLAYERS_STORE", help="Folder of results.")]
CacheFolder = Annotated[
    Path | None,
    typer.Option("--cache", envvar="WHICHLAYERS_CACHE", help="Folder of decoded images and start weights."),
]
OwnNetworks = Annotated[
    list[str] | None,
    typer.Option(
        "--own-network",
        metavar="PACKAGE.MODULE:BUILD",
        envvar=permission.VARIABLE,
        callback=_allow,
        help="Network of your own that a stored study may load, which runs its code; may be given several times.",
    ),
]
ColourNames = Literal["red-green", "safe"]
TableColours = Annotated[
    ColourNames | None,
    typer.Option("--colours", help="Colours of Table II: red and green as in the paper, or safe for the colour-blind."),
]
Port = Annotated[int, typer.Option(min=1, max=65535, envvar="WHICHLAYERS_PORT", help="Port of the dashboard.")]
Host = Annotated[str, typer.Option(help="Address to listen on; another than this machine's own needs --sign-in.")]
SignInFile = Annotated[
    Path | None,
    typer.Option(
        "--sign-in",
        envvar="WHICHLAYERS_SIGN_IN",
        help="File with a password (whichlayers password makes it) or a provider: nobody gets in without.",
    ),
]
Log = Annotated[Literal["text", "json"], typer.Option(envvar="WHICHLAYERS_LOG", help="How logs are written.")]
Prefix = Annotated[
    str,
    typer.Option(envvar="WHICHLAYERS_PREFIX", help="Path under which a reverse proxy serves it, such as /layers."),
]
