//! Logging in, running statements, and what each failure means.

use std::io;
use std::time::Duration;

use rotation::database::dialect::Entrance;
use rotation::database::place::{self, Entry};
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::reach::net::HANDSHAKE;
use rotation::said::Said;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::ahead::Ahead;
use crate::form::StoredAs;
use crate::stream::{Stream, reach};
use crate::watch::{AlreadyTls, CleartextRefused, DigestUnspoken, Watched};
use crate::{binding, statement};

/// What differs between the servers that speak this protocol.
pub struct Variant {
    /// The server's name in errors.
    pub name: &'static str,
    /// Whether a refusal of this code and message is about the password.
    pub is_wrong_password: fn(&str, &str) -> bool,
    /// The remedy for a user that may not log in, whatever the password is.
    pub let_in: &'static str,
    /// How long one statement may take.
    pub statement: Duration,
}

/// PostgreSQL. A statement gets ten seconds, because none of ours has much work to do.
pub const POSTGRES: Variant = Variant {
    name: "PostgreSQL",
    is_wrong_password: |code, _| code == "28P01",
    let_in: "see the server's words: pg_hba.conf has no line for this user, database and kind of connection, or the role may not log in",
    statement: Duration::from_secs(10),
};

/// An accepted login: the server asked for the password and took it.
pub struct Session {
    client: Client,
    /// The user who logged in.
    pub user: String,
    /// The form of the password that the login has shown to work.
    pub form: StoredAs,
    /// The server's host and port, for errors.
    place: String,
    variant: &'static Variant,
}

/// Explains a refused statement by its SQLSTATE: which kind of error it is, and what to do.
pub type Explain<'a> = &'a dyn Fn(&str) -> Option<(Kind, String)>;

/// Logs in, over the early connection if there is one to this server, as soon as the server has a place for one more session.
pub async fn login(
    job: &Job<'_>,
    ahead: &Ahead,
    variant: &'static Variant,
    entrance: &Entrance<'_>,
) -> Result<Login<Session>> {
    place::wait(job.deadline, async || enter(job, ahead, variant, entrance).await).await
}

async fn enter(
    job: &Job<'_>,
    ahead: &Ahead,
    variant: &'static Variant,
    entrance: &Entrance<'_>,
) -> Result<Entry<Login<Session>>> {
    let stream = match ahead.take(entrance.server).await {
        Some(reached) => reached?,
        None => reach(job.deadline, entrance.server).await?,
    };
    match stream {
        Stream::Plaintext(stream) => {
            authenticate(job, variant, entrance, Watched::new(stream, false, None)).await
        }
        Stream::Encrypted(stream) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let binding = certificate.and_then(|certificate| binding::tls_server_end_point(certificate));
            authenticate(job, variant, entrance, Watched::new(stream, true, binding)).await
        }
    }
}

async fn authenticate<S>(
    job: &Job<'_>,
    variant: &'static Variant,
    entrance: &Entrance<'_>,
    stream: Watched<S>,
) -> Result<Entry<Login<Session>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let name = variant.name;
    let place = format!("{}:{}", entrance.server.host, entrance.server.port);
    let asked = stream.asked();
    let mut config = Config::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "exposes the password to the driver, which logs in with it"
    )]
    let config = config.password(entrance.password.expose());
    config
        .user(entrance.username)
        .dbname(entrance.dbname.unwrap_or_default())
        .application_name("turnlock")
        // The stream is what it should be already, so the driver's own handshake is the empty one of `AlreadyTls`.
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    let what = format!("{name} at {place} to answer the login of {:?}", entrance.username);
    let (client, connection) =
        match job.deadline.within(HANDSHAKE, what, config.connect_raw(stream, AlreadyTls)).await? {
            Ok(connected) => connected,
            Err(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => {
                return Ok(Entry::Full(full(&place, variant, entrance, &error)));
            }
            Err(error) => return refused_login(&place, variant, entrance, &error).map(Entry::Answered),
        };
    let over = tokio::spawn(async move {
        // How a connection ends is seen by the statement that needs it.
        let _ = connection.await;
    });
    job.ends_with(over);
    let Some(form) = asked.form() else {
        let what =
            format!("{name} at {place} let {:?} in without asking for the password", entrance.username);
        return Err(Error::new(Kind::NotOurs, what).remedy(
            "a login that needs no password proves nothing: let pg_hba.conf ask for scram-sha-256 where it says trust, peer or cert",
        ));
    };
    Ok(Entry::Answered(Login::Accepted(Session {
        client,
        user: entrance.username.to_owned(),
        form,
        place,
        variant,
    })))
}

/// PostgreSQL has one code for all of its limits (manual, "PostgreSQL Error Codes", 53300), and tells them apart by its words.
fn full(place: &str, variant: &Variant, entrance: &Entrance<'_>, cause: &tokio_postgres::Error) -> Error {
    let what = format!("{} at {place} has no session left for {:?}", variant.name, entrance.username);
    let error = Error::new(Kind::Unreachable, what);
    match cause.as_db_error() {
        Some(answer) => error.cause(words(answer)).remedy(limit(answer.message(), entrance.username)),
        None => error,
    }
}

/// The code and the message of an answer, for errors and log lines.
fn words(answer: &DbError) -> String {
    Said::new(&format!("{}: {}", answer.code().code(), answer.message())).into()
}

/// Which limit the server's words name. In other languages than English they name none.
fn limit(words: &str, user: &str) -> String {
    let raise = "leave room for two sessions of the role";
    if words.starts_with("too many connections for role") {
        format!(
            "the role's own CONNECTION LIMIT is reached, the server has room: {raise} (ALTER ROLE {user:?} CONNECTION LIMIT ...)"
        )
    } else if words.starts_with("too many connections for database") {
        format!(
            "the database's own CONNECTION LIMIT is reached, the server has room: {raise} (ALTER DATABASE ... CONNECTION LIMIT ...)"
        )
    } else {
        format!(
            "max_connections of the server is reached, or a CONNECTION LIMIT of the role or of the database: {raise}"
        )
    }
}

/// Sorts a refused login: a wrong password is a rejection, everything else an error.
fn refused_login(
    place: &str,
    variant: &Variant,
    entrance: &Entrance<'_>,
    cause: &tokio_postgres::Error,
) -> Result<Login<Session>> {
    let Some(answer) = cause.as_db_error() else {
        let what = format!("the login at {place} broke off");
        let error = Error::new(Kind::Unreachable, what).because(cause);
        return Err(if broke::<CleartextRefused>(cause) {
            error.remedy("remove \"ssl\": false from the secret, or let the server ask for scram-sha-256")
        } else if broke::<DigestUnspoken>(cause) {
            digest_unspoken(place, variant, entrance)
        } else if chain(cause).any(|cause| cause.to_string().contains("iteration count")) {
            too_many_iterations(place, variant, entrance)
        } else {
            error
        });
    };
    let Variant { name, is_wrong_password, let_in, .. } = variant;
    let words = words(answer);
    let failed = |kind, what: String, remedy: &str| Err(Error::new(kind, what).cause(&words).remedy(remedy));
    match answer.code().code() {
        code if is_wrong_password(code, answer.message()) => Ok(Login::Rejected(words)),
        "28000" => failed(
            Kind::ServerRefused,
            format!("{name} at {place} does not let {:?} in at all", entrance.username),
            let_in,
        ),
        "3D000" => failed(
            Kind::BadSecret,
            format!("{name} at {place} has no database {:?}", entrance.dbname.unwrap_or_default()),
            "correct \"dbname\" in the secret",
        ),
        code if code.starts_with("57") || code.starts_with("53") => failed(
            Kind::Unreachable,
            format!("{name} at {place} takes no logins now"),
            "the server is starting, stopping or short of resources; Secrets Manager tries again by itself",
        ),
        _ => failed(
            Kind::ServerRefused,
            format!("{name} at {place} refused the session of {:?}", entrance.username),
            "see the server's words",
        ),
    }
}

/// Whether `watch` broke the login off, with an error of this type.
fn broke<T: std::error::Error + 'static>(error: &tokio_postgres::Error) -> bool {
    chain(error).any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(|inner| inner.is::<T>())
    })
}

/// An error's causes.
fn chain(error: &tokio_postgres::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

/// The driver hashes a password 100,000 times at most, because a hostile server could otherwise keep the processor busy.
fn too_many_iterations(place: &str, variant: &Variant, entrance: &Entrance<'_>) -> Error {
    let (name, user) = (variant.name, entrance.username);
    Error::new(Kind::ServerRefused, format!("{name} at {place} wants the password of {user:?} hashed more than 100,000 times"))
        .remedy("set the same password once more in a session with a lower scram_iterations, such as SET scram_iterations = 100000")
}

/// Redshift can store a password in a form for which clients of PostgreSQL's protocol cannot log in.
fn digest_unspoken(place: &str, variant: &Variant, entrance: &Entrance<'_>) -> Error {
    let (name, user) = (variant.name, entrance.username);
    Error::new(Kind::ServerRefused, format!("{name} at {place} keeps the password of {user:?} as sha256|..."))
        .cause("such users are asked by authentication message 13, which this driver and most others do not speak")
        .remedy("set the user's password once in another form, the same that AWSCURRENT holds: ALTER USER ... PASSWORD '...'")
}

impl Session {
    /// Runs statements in one round trip, and returns the columns of every row as text.
    pub async fn run(
        &self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
        explain: Explain<'_>,
    ) -> Result<Vec<Vec<Option<String>>>> {
        self.send(job, doing, sql).await?.map_err(|refusal| self.refused(doing, &refusal, explain))
    }

    /// Runs statements that the server may refuse without harm to the transaction around them. The inner error holds the server's
    /// words. A server that is busy, stops or times out is an error of the outer kind, not a refusal.
    pub async fn attempt(
        &self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
        explain: Explain<'_>,
    ) -> Result<Result<(), String>> {
        match self.send(job, doing, &statement::guarded(sql)).await? {
            Ok(_) => Ok(Ok(())),
            Err(refusal)
                if ["53", "55", "57", "40", "XX"].iter().any(|class| refusal.code.starts_with(class)) =>
            {
                Err(self.refused(doing, &refusal, explain))
            }
            Err(refusal) => {
                self.run(job, doing, statement::UNDO_GUARDED, explain).await?;
                Ok(Err(refusal.words()))
            }
        }
    }

    /// Runs statements that are a transaction of their own, and undoes all of them if the server refuses one. The inner error is the
    /// server's answer.
    pub async fn transact(
        &self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
        explain: Explain<'_>,
    ) -> Result<Result<(), Refusal>> {
        match self.send(job, doing, sql).await? {
            Ok(_) => Ok(Ok(())),
            Err(refusal) => {
                self.run(job, doing, statement::ROLLBACK, explain).await?;
                Ok(Err(refusal))
            }
        }
    }

    async fn send(
        &self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
    ) -> Result<Result<Vec<Vec<Option<String>>>, Refusal>> {
        let what = format!("{} to {doing}", self.place);
        let messages =
            match job.deadline.within(self.variant.statement, what, self.client.simple_query(sql)).await? {
                Ok(messages) => messages,
                Err(error) => {
                    let Some(answer) = error.as_db_error() else {
                        let what =
                            format!("the connection to {} was lost while it was to {doing}", self.place);
                        return Err(Error::new(Kind::Unreachable, what).because(&error));
                    };
                    // Never its detail or context, which may quote the statement.
                    let (code, message) = (answer.code().code().to_owned(), answer.message().to_owned());
                    return Ok(Err(Refusal { code, message }));
                }
            };
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                // A server whose databases have no encoding sends any bytes as text.
                let text = |i| row.try_get(i).unwrap_or(Some("\u{fffd}"));
                Some((0..row.len()).map(|i| text(i).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(Ok(rows.collect()))
    }

    fn refused(&self, doing: &str, refusal: &Refusal, explain: Explain<'_>) -> Error {
        let what = format!("{} at {} refused to {doing}", self.variant.name, self.place);
        if refusal.is_a_clash() {
            let remedy = "another session was changing the same account at that moment; Secrets Manager tries again by itself";
            return Error::new(Kind::Conflict, what).cause(refusal.words()).remedy(remedy);
        }
        match explain(&refusal.code) {
            Some((kind, remedy)) => Error::new(kind, what).cause(refusal.words()).remedy(remedy),
            None => Error::new(Kind::ServerRefused, what).cause(refusal.words()),
        }
    }
}

/// What the server said instead of running a statement.
pub struct Refusal {
    /// The SQLSTATE.
    pub code: String,
    message: String,
}

impl Refusal {
    /// Whether two sessions changed one row of the catalog at once: ours, and for example one whose connection was just lost. The
    /// server reports an internal error, so only its words tell.
    fn is_a_clash(&self) -> bool {
        self.code == "XX000" && self.message.contains("tuple concurrently")
    }

    /// Code and message, for errors and log lines.
    pub fn words(&self) -> String {
        Said::new(&format!("{}: {}", self.code, self.message)).into()
    }
}
