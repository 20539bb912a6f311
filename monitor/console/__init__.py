"""The console: one small web application inside the daemon, rendered on the server, without a script of its own.

    app.mount: create_app(service, token, [*console_routes(source, gate, links)])

`source` is what it can read and do (`Source`), `gate` who may (`Gate`), `pages` the pages, `buttons` the links of
alerts, `gallery` the pictures. No JavaScript: everything is a link, a form or an image, so it works offline, by keyboard
and under the strictest policy.
"""

from monitor.console.auth import Gate
from monitor.console.routes import console_routes
from monitor.console.source import DaemonSource, Source

__all__ = ["DaemonSource", "Gate", "Source", "console_routes"]
