"""A loopback proxy in front of PostgreSQL that can lose the answer to a COMMIT: the outcome is then unknown."""

import asyncio
import contextlib

from sqlalchemy.engine import make_url

PORT = 5432


class PgProxy:
    """`lose_commit`: the next COMMIT reaches the server, which carries it out, and then the connection is cut."""

    def __init__(self, store_url: str) -> None:
        self._store = make_url(store_url)
        self.lose_commit = False
        self.lost = 0

    async def __aenter__(self) -> "PgProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        through = self._store.set(host="127.0.0.1", port=port, query={})
        return through.render_as_string(hide_password=False)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host = str(self._store.query.get("host") or self._store.host)
        port = self._store.port or PORT
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await self._connect()
        answers = asyncio.create_task(_copy(from_server, writer))
        try:
            while data := await reader.read(65536):
                if self.lose_commit and b"COMMIT" in data:
                    self.lose_commit = False
                    self.lost += 1
                    answers.cancel()
                    to_server.write(data)
                    await from_server.read(65536)  # it is done
                    return
                to_server.write(data)
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await answers
            to_server.close()
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
