//! The login, the running of statements, and the meaning of each failure.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, IoError, Opts, OptsBuilder, ServerError, SslOpts};
use rotation::database::account::{self, Tls};
use rotation::database::place::{self, Entry};
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::reach::net;
use rotation::reach::tls::{self, PerRoots};
use rotation::secret::Secret;
use tokio::sync::oneshot;

use crate::account::Name;
use crate::answer::{Columns, LARGEST, rows, steady};
use crate::refusal::{self, Explain};
use crate::server::Server;
use crate::statement;
use crate::{cancel, closed};

/// The limit for one statement. Our statements are quick, but one may wait behind a metadata lock.
const STATEMENT: Duration = Duration::from_secs(10);

/// The largest message from a server.
const MESSAGE: usize = 4 << 20;

/// An accepted login.
pub struct Session {
    /// The connection, until the session is dropped.
    conn: Option<Conn>,
    /// Hands the connection to the task that releases its lock, if it holds one, and logs out.
    farewell: Option<oneshot::Sender<(Conn, Option<String>)>>,
    /// The account that the server matched, and the password that it accepted.
    pub login: OpenedAccount,
    /// The server's family and version.
    pub server: Server,
    /// The server's address.
    pub at: account::Server,
    /// Its host and port, for errors.
    pub place: String,
    /// The secret whose lock the session has asked for, if any.
    pub locked: Option<String>,
    /// Whether an admin has logged in. Then the session sends nothing but what `closed` lists.
    pub is_admin: bool,
}

/// An account that a password opened.
pub struct OpenedAccount {
    /// The account that the server matched.
    pub name: Name,
    /// The password.
    pub password: Secret,
}

impl OpenedAccount {
    /// The same proof for another owner.
    pub fn share(&self) -> OpenedAccount {
        OpenedAccount { name: self.name.clone(), password: self.password.share() }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let (Some(conn), Some(farewell)) = (self.conn.take(), self.farewell.take()) {
            let unlock = self.locked.as_deref().map(statement::unlock);
            // If the task has ended, the connection closes without a logout.
            let _ = farewell.send((conn, unlock));
        }
    }
}

/// The user, the password and the database of a login.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    /// The user.
    pub user: &'a str,
    /// The password.
    pub password: &'a Secret,
    /// The database, if any.
    pub dbname: Option<&'a str>,
}

/// Logs in on a server, as soon as it has a place for one more session.
pub(crate) async fn login(
    job: &Job<'_>,
    server: &account::Server,
    credentials: Credentials<'_>,
) -> Result<Login<Session>> {
    place::wait(job.deadline, async || enter(job, server, credentials).await).await
}

async fn enter(
    job: &Job<'_>,
    server: &account::Server,
    credentials: Credentials<'_>,
) -> Result<Entry<Login<Session>>> {
    let account::Server { host, port, .. } = server;
    let place = format!("{host}:{port}");
    let mut failure = None;
    for address in net::resolve(job.deadline, host, *port).await? {
        let opts = options(server, credentials, address.ip())?;
        let what = format!("the login of {:?} at {place}", credentials.user);
        match job.deadline.within(server.patience(), what, converse(opts)).await {
            Ok(Ok(conn)) => return greet(job, conn, server, credentials).await.map(Entry::Answered),
            Ok(Err(mysql_async::Error::Io(IoError::Io(error)))) if is_tls(&error) => {
                return Err(net::tls_error(host, *port, &error));
            }
            Ok(Err(mysql_async::Error::Io(error))) => failure = Some(broken(&place, &error)),
            Ok(Err(mysql_async::Error::Server(answer))) => {
                return match refusal::login(&place, credentials.user, &answer) {
                    Err(error) if refusal::is_full(&answer) => Ok(Entry::Full(error)),
                    refused => refused.map(Entry::Answered),
                };
            }
            Ok(Err(mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name })))
                if name == PRETENDED =>
            {
                return Ok(Entry::Answered(Login::Rejected(pretended(&place, credentials.user))));
            }
            Ok(Err(error)) => return Err(unspoken(&place, credentials.user, &error)),
            Err(silence) => failure = Some(silence.remedy(SILENCE)),
        }
    }
    let failure = failure.unwrap_or_else(|| Error::new(Kind::Unreachable, format!("{host} has no address")));
    // The driver does not say at which stage it failed. If TCP is the cause, a connection of our own shows it.
    net::dial(job.deadline, host, *port).await?;
    Err(failure)
}

/// Logs in, and tries once more if the driver did not understand the server. For MariaDB's parsec the server sends random bytes
/// to sign. If the last one is zero, the driver drops it and panics. The next connection gets other bytes.
async fn converse(opts: Opts) -> Result<Conn, mysql_async::Error> {
    match steady(Conn::new(opts.clone())).await {
        Err(mysql_async::Error::Driver(DriverError::UnexpectedPacket { .. })) => {
            steady(Conn::new(opts)).await
        }
        outcome => outcome,
    }
}

const SILENCE: &str = "something accepts connections there and says nothing: check that host and port are a MySQL or MariaDB server's, and \
     that the server is not overloaded";

fn options(server: &account::Server, credentials: Credentials<'_>, address: IpAddr) -> Result<Opts> {
    let account::Server { host, port, tls, .. } = server;
    let opts = match tls {
        Tls::Plaintext => OptsBuilder::default(),
        Tls::Verified { roots } => trusting(&roots.iter().map(String::as_str).collect::<Vec<_>>())?,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "exposes the password to the driver, which logs in with it"
    )]
    let password = credentials.password.expose();
    let opts = opts
        .ip_or_hostname(host.trim_end_matches('.'))
        .resolved_ips(Some([address]))
        .tcp_port(*port)
        .tcp_keepalive(Some(Duration::from_secs(5)))
        .user(Some(credentials.user))
        .pass(Some(password))
        .db_name(credentials.dbname)
        // Otherwise the driver would ask the server for these values, or switch to a socket.
        .max_allowed_packet(Some(MESSAGE))
        .wait_timeout(Some(60))
        .prefer_socket(false)
        .enable_cleartext_plugin(false)
        .secure_auth(true);
    Ok(opts.into())
}

/// Options with these roots. Their clones share the TLS configuration that the driver makes at the first login.
fn trusting(extra: &[&str]) -> Result<OptsBuilder> {
    static KEPT: PerRoots<OptsBuilder> = PerRoots::new();
    KEPT.of(extra, || {
        let roots = tls::private_roots(extra)?.into_iter().map(|pem| pem.into_bytes().into());
        Ok(OptsBuilder::default().ssl_opts(SslOpts::default().with_root_certs(roots.collect())))
    })
}

/// Asks the server, after an accepted login, for the session's account and for its own version.
async fn greet(
    job: &Job<'_>,
    conn: Conn,
    at: &account::Server,
    credentials: Credentials<'_>,
) -> Result<Login<Session>> {
    let place = format!("{}:{}", at.host, at.port);
    let (farewell, goodbye) = oneshot::channel::<(Conn, Option<String>)>();
    job.ends_with(tokio::spawn(async move {
        let Ok((mut conn, unlock)) = goodbye.await else { return };
        // If either fails, the connection closes anyway.
        if let Some(unlock) = unlock {
            // The server closes a connection before it frees the session's locks, and the next step could still meet this one.
            let _ = conn.query_drop(unlock).await;
        }
        let _ = conn.disconnect().await;
    }));
    let mut session = Session {
        conn: Some(conn),
        farewell: Some(farewell),
        login: OpenedAccount {
            name: Name::new(credentials.user, ""),
            password: credentials.password.share(),
        },
        server: Server::parse("", ""),
        at: at.clone(),
        place: place.clone(),
        locked: None,
        is_admin: false,
    };
    let rows = session.run(job, "say who is logged in", statement::WHO, refusal::statement).await?;
    let mut columns = rows.into_iter().next().unwrap_or_default().into_iter().map(Option::unwrap_or_default);
    let mut next = || columns.next().unwrap_or_default();
    let (name, proxy, version, comment) = (next(), next(), next(), next());
    let (user, host) = name.rsplit_once('@').unwrap_or((&name, ""));
    if user != credentials.user || !proxy.is_empty() {
        let what = format!("the login of {:?} at {place} became a session of {name:?}", credentials.user);
        return Err(Error::new(Kind::NotOurs, what).remedy(
            "such a login proves nothing about the account: remove anonymous accounts and proxy users, end --skip-grant-tables, \
             and point the secret at the server itself",
        ));
    }
    session.login.name.host = host.to_owned();
    session.server = Server::parse(&version, &comment);
    if !session.server.is_supported() {
        let what = format!("{place} is {}, which this function does not rotate", session.server.name());
        return Err(Error::new(Kind::ServerRefused, what)
            .remedy("upgrade the server: MySQL 8.0 and MariaDB 10.4 are the oldest"));
    }
    Ok(Login::Accepted(session))
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// The error for a login that broke off after the connection was accepted.
fn broken(place: &str, error: &IoError) -> Error {
    Error::new(Kind::Unreachable, format!("the login at {place} broke off"))
        .because(error)
        .remedy("check that host and port are a MySQL or MariaDB server's, and see its error log")
}

/// A plugin that the driver does not support. For a user that does not exist MySQL pretends one of its plugins, sometimes this
/// one, to hide which users exist.
const PRETENDED: &str = "sha256_password";

fn pretended(place: &str, user: &str) -> String {
    format!(
        "{place} asks {user:?} for {PRETENDED}: either there is no such user, or it has that plugin, which is not spoken here (give it \
         caching_sha2_password)"
    )
}

/// The error for a driver that stopped, or that did not understand the server.
fn unspoken(place: &str, user: &str, error: &mysql_async::Error) -> Error {
    let failed = |kind, what: String, remedy: &str| Error::new(kind, what).because(error).remedy(remedy);
    match error {
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => failed(
            Kind::Unreachable,
            format!("{place} does not offer TLS"),
            "give the server a certificate (ssl_cert, ssl_key); only if that cannot be, put \"ssl\": false into the secret",
        ),
        mysql_async::Error::Driver(DriverError::CleartextPluginDisabled) => failed(
            Kind::ServerRefused,
            format!("{place} asks for the password of {user:?} in clear text"),
            "the account uses IAM tokens, PAM or the like: cancel its rotation, or give it a password plugin of the server's own",
        ),
        mysql_async::Error::Driver(
            DriverError::UnknownAuthPlugin { .. } | DriverError::MysqlOldPasswordDisabled,
        ) => failed(
            Kind::ServerRefused,
            format!("{place} asks {user:?} to log in in a way that is not spoken here"),
            "give the account caching_sha2_password (MySQL), mysql_native_password or ed25519 (MariaDB)",
        ),
        _ => failed(
            Kind::Unreachable,
            format!("{place} does not speak MySQL's protocol as expected"),
            "check that host and port are a MySQL or MariaDB server's",
        ),
    }
}

impl Session {
    /// Runs one or more statements, and returns all rows. `explain` says what a refusal's number means.
    pub async fn run(
        &mut self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
        explain: Explain,
    ) -> Result<Vec<Columns>> {
        self.attempt(job, doing, sql)
            .await?
            .map_err(|answer| refusal::of(&self.place, doing, &answer, explain))
    }

    /// Runs one or more statements, and returns all rows, or `None` if they are too many to keep.
    pub async fn run_if_it_fits(
        &mut self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
        explain: Explain,
    ) -> Result<Option<Vec<Columns>>> {
        self.send(job, doing, sql).await?.map_err(|answer| refusal::of(&self.place, doing, &answer, explain))
    }

    /// Runs a statement, and returns a refusal as an answer.
    pub async fn attempt(
        &mut self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
    ) -> Result<Result<Vec<Columns>, ServerError>> {
        match self.send(job, doing, sql).await? {
            Ok(Some(rows)) => Ok(Ok(rows)),
            Ok(None) => {
                let (place, limit) = (&self.place, LARGEST >> 20);
                let what = format!("{place} answers with more than {limit} MB when it is to {doing}");
                Err(Error::new(Kind::Unreachable, what))
            }
            Err(answer) => Ok(Err(answer)),
        }
    }

    /// Sends statements, and returns the rows (`None` if they are too many) or the server's refusal.
    async fn send(
        &mut self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
    ) -> Result<Result<Option<Vec<Columns>>, ServerError>> {
        if self.is_admin && !closed::allows(sql) {
            return Err(Error::new(
                Kind::Bug,
                format!("the closed list does not let an admin's session {doing}"),
            ));
        }
        let place = &self.place;
        let Some(conn) = self.conn.as_mut() else {
            return Err(Error::new(Kind::Bug, "a session was used up"));
        };
        let (way, id) = (conn.opts().clone(), conn.id());
        let answer =
            match job.deadline.within(STATEMENT, format!("{place} to {doing}"), rows(conn, sql)).await {
                Ok(answer) => answer,
                Err(silence) => {
                    cancel::cancel(job, way, id).await;
                    return Err(silence);
                }
            };
        match answer {
            Ok(rows) => Ok(Ok(rows)),
            Err(mysql_async::Error::Server(answer)) if answer.code == refusal::ACCOUNT => {
                let reason = job
                    .deadline
                    .within(STATEMENT, format!("{place} to say why"), rows(conn, statement::WHY))
                    .await?;
                Ok(Err(refusal::because(answer, reason.ok().flatten().unwrap_or_default())))
            }
            Err(mysql_async::Error::Server(answer)) => Ok(Err(answer)),
            Err(error) => {
                let what = format!("the connection to {place} was lost while it was to {doing}");
                Err(Error::new(Kind::Unreachable, what).because(&error))
            }
        }
    }

    /// Runs a statement with a password in it, and returns a refusal as an answer.
    #[expect(clippy::disallowed_methods, reason = "exposes the statement to the driver, which sends it")]
    pub async fn attempt_secret(
        &mut self,
        job: &Job<'_>,
        doing: &str,
        sql: &Secret,
    ) -> Result<Result<(), ServerError>> {
        Ok(self.attempt(job, doing, sql.expose()).await?.map(drop))
    }

    /// Runs a statement with a password in it.
    pub async fn run_secret(&mut self, job: &Job<'_>, doing: &str, sql: &Secret) -> Result<()> {
        let answer = self.attempt_secret(job, doing, sql).await?;
        answer.map_err(|answer| refusal::of(&self.place, doing, &answer, refusal::statement))
    }
}
