"""One database by its address: how it is opened, which generation of tables is in use, and who may write."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import (
    Connection,
    Engine,
    Select,
    Table,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from desk.store.tables import GENERATIONS, Tables, fingerprint
from schemas.errors import WaybillError, unread
from streams.settings import Settings

_LOCK: Final = 0x7761_7962_696C_6C64  # of the one process that writes, in PostgreSQL
_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536", "busy_timeout=10000")


class StoreError(WaybillError):
    """The database cannot be used; the message says why, and what to do."""


def address(settings: Settings) -> str:
    """The URL of the desk's database: as it is given, or in a file, or SQLite in state_dir. Raises StoreError."""
    if settings.desk_store_url is not None:
        return settings.desk_store_url.get_secret_value()
    path = settings.desk_store_url_file
    if path is None:
        return f"sqlite:///{settings.state_dir / 'desk' / 'desk.sqlite'}"
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"desk_store_url_file: cannot read {path}: {unread(error)}") from None


class Database:
    """A database. url: as SQLAlchemy writes it, `sqlite:///FILE` or `postgresql+psycopg://…`."""

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
            if self.url.drivername == "postgresql":
                self.url = self.url.set(drivername="postgresql+psycopg")
            self.engine = self._engine()
        except (ArgumentError, NoSuchModuleError):
            raise StoreError("desk_store_url: give sqlite:///FILE or postgresql://USER@HOST/DATABASE") from None
        self.sqlite = self.engine.dialect.name == "sqlite"

    def _engine(self) -> Engine:
        if self.url.get_backend_name() == "postgresql":
            return create_engine(self.url, pool_pre_ping=True, pool_size=20, hide_parameters=True)
        if self.url.get_backend_name() != "sqlite" or not self.url.database:
            raise ArgumentError
        Path(self.url.database).parent.mkdir(0o700, parents=True, exist_ok=True)
        engine = create_engine(self.url, pool_size=20, hide_parameters=True)

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _: object) -> None:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")

        return engine

    @contextmanager
    def writing(self) -> Iterator[bool]:
        """Become the one process that writes, for as long as the context lasts; False: another one is.

        Raises StoreError for a file in which another process writes: a file serves one desk.
        """
        if not self.sqlite:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                yield bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}))
                with suppress(Exception):  # a connection that is gone holds no lock
                    connection.scalar(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            return
        with open(f"{self.url.database}.lock", "a") as lock:
            os.fchmod(lock.fileno(), 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreError(
                    f"{self.url.database}: another desk writes there; stop it, or give both one PostgreSQL "
                    "by desk_store_url"
                ) from None
            yield True

    def ask(self) -> str:
        """The address of a database that answers, without a password. Raises StoreError."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise self.failure(error) from None
        finally:
            self.engine.dispose()
        return self.url.render_as_string()

    def failure(self, error: SQLAlchemyError) -> StoreError:
        """What an error of this database means, in one line."""
        said = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines() or ["no answer"]
        broken = self.sqlite and isinstance(error, DatabaseError) and not isinstance(error, OperationalError)
        hint = "; delete the file: the topics fill it again" if broken else ""
        return StoreError(f"the desk's database {self.url.render_as_string()}: {said[0]}{hint}")

    def add(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, or replace those with the same key where the table has one."""
        if not rows:
            return
        keys = [column.name for column in table.primary_key]
        if not keys and not self.sqlite:
            _copy(connection, table, rows, table.name)
            return
        made = (sqlite if self.sqlite else postgresql).insert(table)
        if not self.sqlite:  # a third of the time of one INSERT with all rows
            made = made.from_select([column.name for column in table.c], _copied(connection, table, rows))
        rest = {column.name: made.excluded[column.name] for column in table.c if not column.primary_key}
        if keys and rest:
            made = made.on_conflict_do_update(index_elements=keys, set_=rest)
        elif keys:
            made = made.on_conflict_do_nothing(index_elements=keys)
        connection.execute(made, rows if self.sqlite else None)

    def generations(self) -> list[tuple[str, bool]]:
        """Names of generations of this desk's fingerprint, and whether they are built; those that are come first."""
        with self.engine.begin() as connection:
            GENERATIONS.create(connection, checkfirst=True)
            found = connection.execute(
                select(GENERATIONS.c.generation, GENERATIONS.c.ready)
                .where(GENERATIONS.c.fingerprint == fingerprint())
                .order_by(GENERATIONS.c.ready.desc())
            )
            return [(row.generation, row.ready) for row in found]

    def begin(self) -> Tables:
        """Make the tables of a new generation."""
        tables = Tables(secrets.token_hex(4))
        with self.engine.begin() as connection:
            tables.metadata.create_all(connection)
            connection.execute(
                insert(GENERATIONS), {"generation": tables.generation, "fingerprint": fingerprint(), "ready": False}
            )
        return tables

    def finish(self, tables: Tables) -> None:
        """Put a generation that is built into use, and drop all others."""
        with self.engine.begin() as connection:
            for index in tables.indexes():
                index.create(connection, checkfirst=True)
            connection.execute(
                update(GENERATIONS).where(GENERATIONS.c.generation == tables.generation).values(ready=True)
            )
            old = connection.scalars(
                select(GENERATIONS.c.generation).where(GENERATIONS.c.generation != tables.generation)
            ).all()
            for generation in old:
                self._drop(connection, generation)
        self.tidy(tables)

    def tidy(self, tables: Tables) -> None:
        """Tell the planner what the tables hold, which PostgreSQL else does by itself after a while."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in (tables.clues, tables.rules, tables.watchers, tables.ends):
                connection.execute(text(f"{'ANALYZE' if self.sqlite else 'VACUUM (ANALYZE)'} {table.name}"))

    def _drop(self, connection: Connection, generation: str) -> None:
        """Drop the tables of a generation, whatever desk made them."""
        for name in inspect(connection).get_table_names():
            if name.startswith("desk_") and name.endswith(f"_{generation}"):
                connection.execute(text(f'DROP TABLE "{name}"'))
        connection.execute(delete(GENERATIONS).where(GENERATIONS.c.generation == generation))


def _copied(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> Select[Any]:
    """Rows as a selection from a table that only this connection sees, and that is empty after the transaction."""
    name = f"new_{table.name}"
    connection.exec_driver_sql(f'CREATE TEMP TABLE IF NOT EXISTS "{name}" (LIKE "{table.name}") ON COMMIT DELETE ROWS')
    _copy(connection, table, rows, name)
    return select(text("*")).select_from(text(f'"{name}"'))


def _copy(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], into: str) -> None:
    """Append rows to a table of PostgreSQL that has the columns of `table`. Raises DBAPIError, as SQLAlchemy does."""
    names = [column.name for column in table.c]
    kinds = [column.type.compile(connection.dialect).partition(" ")[0].lower() for column in table.c]
    driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    try:
        with driver.cursor().copy(f'COPY "{into}" ({", ".join(names)}) FROM STDIN (FORMAT BINARY)'.encode()) as copy:
            copy.set_types(kinds)
            for row in rows:
                copy.write_row([row[name] for name in names])
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise DBAPIError("COPY", None, error) from error
