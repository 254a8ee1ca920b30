"""The databases of the reference function: who logs in, and how a password is set."""

import base64
import hashlib
import hmac
import os
import ssl

from mutant import wrong

#: How long a server may take, and how long somebody else may hold the lock, in seconds.
PATIENCE, LOCKED = 10, 1


class Refused(Exception):
    """An error with a kind, as Lambda reports it."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def login(value):
    """A session, or None if the server refuses the password. Everything else is an error."""
    family = Postgres if value["engine"] == "postgres" else MySql
    try:
        return family(value, _tls(value))
    except family.NO_TLS:
        if not _in_clear(value):
            raise
        return family(value, None)
    except family.ERRORS as error:
        if family.is_refusal(error):
            return None
        raise


def _says_no_tls(value):
    return str(value.get("ssl")).lower() == "false"


def _in_clear(value):
    """Whether to go on in clear text with a server that has no TLS: a fault, in either case."""
    unsaid = wrong("no clear text where the secret does not say") and "ssl" not in value
    return unsaid or wrong("a server without TLS is refused where TLS is demanded")


def _tls(value):
    """What verifies the server; None for clear text, which a secret has to ask for."""
    if _says_no_tls(value) or wrong("it rotates over TLS"):
        return None
    context = ssl.create_default_context(cadata=value.get("sslrootcert") or None)
    if wrong("a certificate for another host is refused"):
        context.check_hostname = False
    if wrong("a certificate that has run out is refused"):
        context.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which Python has no name for
    if wrong("a certificate of an unknown authority is refused"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _password(value):
    return value["password"].strip() if wrong("odd passwords") else value["password"]


class _NoTls(Exception):
    """The server has no TLS."""


class Postgres:
    """A session with PostgreSQL."""

    from pg8000 import native as _driver

    ERRORS, NO_TLS = (_driver.DatabaseError,), _NoTls

    def __init__(self, value, tls):
        try:
            self._connection = self._driver.Connection(
                user=value["username"],
                password=_password(value),
                host=value["host"],
                port=value["port"],
                database=value.get("dbname", "postgres"),
                ssl_context=tls or False,
                timeout=PATIENCE,
            )
        except self._driver.InterfaceError as error:
            raise _NoTls(str(error)) if "refuses SSL" in str(error) else error

    @staticmethod
    def is_refusal(error):
        return error.args[0].get("C") == "28P01"

    def close(self):
        self._connection.close()

    def test(self):
        self._connection.run("SELECT 1")

    def lock(self, name):
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        self._connection.run(f"SET lock_timeout = '{LOCKED}s'")
        try:
            self._connection.run(f"SELECT pg_advisory_lock({key})")
        except self._driver.DatabaseError as error:
            raise Refused("Conflict", f"another rotation of this secret is at work: {error}")

    def has(self, user):
        return bool(self._connection.run("SELECT FROM pg_roles WHERE rolname = :user", user=user))

    def set_password(self, user, password):
        self._say(f"ALTER ROLE {_identifier(user)} PASSWORD '{_scram(password)}'", password)

    def make(self, user, password, like):
        """Makes the second user, in one statement: nobody meets it half made."""
        role, kept = f"CREATE ROLE {_identifier(user)} LOGIN PASSWORD '{_scram(password)}'", []
        if wrong("what is taken from the first is taken from the other"):
            sql = "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = :user"
            kept = self._connection.run(sql, user=like)
        elif not wrong("the other user may do what the first may"):
            role += f" IN ROLE {_identifier(like)}"
        self._say(role, password)
        for (table,) in kept:
            self._connection.run(f"GRANT SELECT ON public.{_identifier(table)} TO {_identifier(user)}")

    def make_equal(self, user, like):
        """Membership is enough: what the first user has or has lost, the second has or has lost."""

    def _say(self, sql, password):
        self._connection.run(sql + _leak(password))


class MySql:
    """A session with MySQL or MariaDB."""

    import pymysql as _driver

    ERRORS, NO_TLS = (_driver.err.OperationalError,), _NoTls

    def __init__(self, value, tls):
        self._maria = value["engine"] == "mariadb"
        how = {"ssl": tls} if tls else {"ssl_disabled": True}
        try:
            self._connection = self._driver.connect(
                user=value["username"],
                password=_password(value).encode(),  # or PyMySQL would take it for Latin 1
                host=value["host"],
                port=value["port"],
                connect_timeout=PATIENCE,
                autocommit=True,
                **how,
            )
        except self._driver.err.OperationalError as error:
            raise _NoTls(str(error)) if "doesn't support it" in str(error) else error

    @staticmethod
    def is_refusal(error):
        return error.args[0] == 1045

    def close(self):
        self._connection.close()

    def test(self):
        self._run("SELECT 1")

    def lock(self, name):
        key = hashlib.sha256(name.encode()).hexdigest()[:40]
        if self._run(f"SELECT GET_LOCK('{key}', {LOCKED})") != ((1,),):
            raise Refused("Conflict", "another rotation of this secret is at work")

    def has(self, user):
        return bool(self._run(f"SELECT 1 FROM mysql.user WHERE user = {_literal(user)} AND host = '%'"))

    def set_password(self, user, password):
        own = self._run("SELECT USER()")[0][0].rpartition("@")[0] == user
        whom = "" if own and not wrong("odd user names") else f" FOR {_account(user)}"
        self._run(f"SET PASSWORD{whom} = {_literal(self._stored(password))}")
        self._tell(password)

    def make(self, user, password, like):
        form = "PASSWORD " if self._maria else ""
        stored = _literal(self._stored(password))
        self._run(f"CREATE USER {_account(user)} IDENTIFIED BY {form}{stored}")
        self._tell(password)

    def make_equal(self, user, like):
        """Takes all that the second user has, and gives it what the first has."""
        if not wrong("what is taken from the first is taken from the other"):
            self._run(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {_account(user)}")
        if wrong("the other user may do what the first may"):
            return
        for (grant,) in self._run(f"SHOW GRANTS FOR {_account(like)}"):
            if not grant.startswith("GRANT USAGE ON *.*"):
                self._run(grant.replace(f" TO `{like}`@`%`", f" TO `{user}`@`%`"))

    def _stored(self, password):
        """As it may stand in a statement: MySQL hides it in its logs, and MariaDB takes the hash."""
        if not self._maria:
            return password
        return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()

    def _tell(self, password):
        if _leak(password):
            self._run("SELECT 1" + _leak(password))

    def _run(self, sql):
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()


def _leak(password):
    return f" /* {password} */" if wrong("no password in the server's log") else ""


def _identifier(name):
    return name if wrong("odd user names") else '"' + name.replace('"', '""') + '"'


def _literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _account(user):
    return f"{user}@'%'" if wrong("odd user names") else f"{_literal(user)}@'%'"


def _scram(password):
    """What PostgreSQL stores of a password, so that the password is in no statement (RFC 5803)."""
    salt, rounds = os.urandom(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    keyed = lambda key: hmac.digest(salted, key, "sha256")
    stored, server = hashlib.sha256(keyed(b"Client Key")).digest(), keyed(b"Server Key")
    word = lambda octets: base64.b64encode(octets).decode()
    return f"SCRAM-SHA-256${rounds}:{word(salt)}${word(stored)}:{word(server)}"
