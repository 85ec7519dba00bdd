"""Google Drive on loopback: a CONNECT proxy that ends TLS itself, so that an unmodified gdown talks to it."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.drive_server import pages
from tests.drive_server.certificate import write_certificate
from tests.drive_server.loopback import Loopback, QuietHandler
from tests.drive_server.served import Served, send_content, send_page

HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com", "accounts.google.com")


@dataclass
class Folder:
    """A folder of Drive: names to ids, of files, folders and Google's documents; `statuses` are answered first."""

    name: str
    files: dict[str, str]
    folders: dict[str, str]
    statuses: list[int] = field(default_factory=list)
    documents: dict[str, str] = field(default_factory=dict)


class Drive(Loopback):
    """Google Drive for the length of a `with`.

    Attributes:
        files: id to what is served.
        folders: id to folder.
        environment: variables that lead requests, and so gdown, here.
    """

    def __init__(self, scratch: Path) -> None:
        super().__init__(_DriveHandler)
        self.files: dict[str, Served] = {}
        self.folders: dict[str, Folder] = {}
        certificate = write_certificate(scratch, HOSTS)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)
        proxy = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), self.address)
        self.environment = proxy | {"REQUESTS_CA_BUNDLE": str(certificate), "NO_PROXY": "", "no_proxy": ""}


class _DriveHandler(QuietHandler):
    host = ""

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0]
        if host not in HOSTS:
            return self.send_error(502)
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.server.owner.connections.discard(self.connection)
        self.connection = self.server.owner.tls.wrap_socket(self.connection, server_side=True)
        self.server.owner.connections.add(self.connection)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.host, self.close_connection = host, False
        return None

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.connection.close()

    def do_GET(self) -> None:
        drive: Drive = self.server.owner
        address = urlsplit(self.path)
        drive.tally.requests.append(f"{self.host}{address.path}")
        identifier = parse_qs(address.query).get("id", [""])[0]
        if self.host == "accounts.google.com":
            send_page(self, 200, pages.SIGN_IN)
        elif address.path == "/embeddedfolderview":
            self._send_folder(drive.folders.get(identifier))
        else:
            self._send_file(identifier, drive.files.get(identifier, Served(kind="missing")))

    def _send_file(self, identifier: str, served: Served) -> None:
        drive: Drive = self.server.owner
        if served.statuses:
            headers = {"Retry_After": served.retry_after} if served.retry_after else {}
            send_page(self, served.statuses.pop(0), pages.OTHER, **headers)
        elif served.kind == "private":
            send_page(self, 303, "", Location="https://accounts.google.com/v3/signin/identifier?continue=drive")
        elif served.kind in ("quota", "missing", "page"):
            page = {"quota": pages.QUOTA, "missing": pages.MISSING, "page": pages.OTHER}[served.kind]
            send_page(self, 404 if served.kind == "missing" else 200, page)
        elif self.host == "drive.usercontent.google.com":
            if served.later:
                drive.files[identifier] = served.later
            send_content(self, served, drive.tally, attachment=True)
        elif served.kind == "virus scan":
            send_page(self, 200, pages.VIRUS_SCAN.format(form=pages.FORM.format(identifier=identifier)))
        else:
            link = f"https://drive.usercontent.google.com/download?id={identifier}&export=download"
            send_page(self, 303, "", Location=link)

    def _send_folder(self, folder: Folder | None) -> None:
        if folder is None:
            return send_page(self, 404, pages.MISSING)
        if folder.statuses:
            return send_page(self, folder.statuses.pop(0), pages.OTHER)
        files = {name: f"https://drive.google.com/file/d/{i}/view?usp=drive_web" for name, i in folder.files.items()}
        folders = {name: f"https://drive.google.com/drive/folders/{i}" for name, i in folder.folders.items()}
        documents = {name: f"https://docs.google.com/document/d/{i}/edit" for name, i in folder.documents.items()}
        named = [*folders.items(), *files.items(), *documents.items()]
        entries = [pages.ENTRY.format(link=link, name=name) for name, link in named]
        return send_page(self, 200, pages.FOLDER.format(name=folder.name, entries="".join(entries)))
