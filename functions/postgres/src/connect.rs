//! Logging in, and what each way of failing means.

use std::io;
use std::time::Duration;

use rotation::database::account::{Server, Tls};
use rotation::database::dialect;
use rotation::deadline::Deadline;
use rotation::error::{Error, Kind, Result};
use rotation::job::Job;
use rotation::net::{self, HANDSHAKE, TlsStream};
use rotation::secret::Secret;
use rotation::target::Login;
use rotation::tls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::watch::{CleartextRefused, DigestUnspoken, Established, Watched};
use crate::{ahead, binding, statement};

/// What differs between the servers that speak this protocol.
pub struct Dialect {
    /// What errors call the server.
    pub name: &'static str,
    /// Whether a login was refused for its password, by code and message.
    pub is_wrong_password: fn(&str, &str) -> bool,
    /// What to do about a refusal that is not about the password.
    pub let_in: &'static str,
    /// The longest that one statement may take.
    pub statement: Duration,
}

/// PostgreSQL; none of our statements has work to do.
pub const POSTGRES: Dialect = Dialect {
    name: "PostgreSQL",
    is_wrong_password: |code, _| code == "28P01",
    let_in: "see the server's words: pg_hba.conf has no line for this user, database and kind of connection, or the role may not log in",
    statement: Duration::from_secs(10),
};

/// An accepted login: the server asked for the password and took it.
pub struct Session {
    client: Client,
    /// Who logged in.
    pub user: String,
    /// Where, for errors.
    place: String,
    dialect: &'static Dialect,
}

/// What a login needs.
pub struct Entrance<'a> {
    /// Which kind of server.
    pub dialect: &'static Dialect,
    /// Where.
    pub server: &'a Server,
    /// Whom.
    pub username: &'a str,
    /// With what.
    pub password: &'a Secret,
    /// The database.
    pub dbname: &'a str,
}

impl<'a> Entrance<'a> {
    /// The same login, at a server of this kind.
    pub fn of(entrance: &dialect::Entrance<'a>, dialect: &'static Dialect) -> Entrance<'a> {
        let dialect::Entrance { server, username, password, dbname } = *entrance;
        Entrance { dialect, server, username, password, dbname: dbname.unwrap_or_default() }
    }
}

/// A refusal of the server, sorted by its SQLSTATE: who must act, and what to do.
pub type Explain<'a> = &'a dyn Fn(&str) -> Option<(Kind, String)>;

/// A connection on which the server has not been told yet who comes.
pub(crate) enum Stream {
    Plaintext(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// Connects, up to where somebody would log in.
pub(crate) async fn reach(deadline: Deadline, server: &Server) -> Result<Stream> {
    let Server { host, port, tls } = server;
    let stream = net::dial(deadline, host, *port).await?;
    let Tls::Verified { roots } = tls else { return Ok(Stream::Plaintext(stream)) };
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    let config = tls::client_config(&roots)?;
    let stream = ask_for_tls(deadline, host, *port, stream).await?;
    let stream = net::handshake(deadline, config, host, *port, stream).await?;
    Ok(Stream::Encrypted(Box::new(stream)))
}

/// Logs in.
pub async fn login(job: &Job<'_>, entrance: &Entrance<'_>) -> Result<Login<Session>> {
    let stream = match ahead::take(job, entrance.server).await {
        Some(reached) => reached?,
        None => reach(job.deadline, entrance.server).await?,
    };
    match stream {
        Stream::Plaintext(stream) => authenticate(job, entrance, Watched::new(stream, false, None)).await,
        Stream::Encrypted(stream) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let binding = certificate.and_then(|certificate| binding::tls_server_end_point(certificate));
            authenticate(job, entrance, Watched::new(stream, true, binding)).await
        }
    }
}

/// PostgreSQL's own preface to TLS (manual, "SSL Session Encryption"): one question, one letter.
async fn ask_for_tls<S: AsyncRead + AsyncWrite + Unpin>(
    deadline: Deadline,
    host: &str,
    port: u16,
    mut stream: S,
) -> Result<S> {
    const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let mut answer = [0];
    let ask = async {
        stream.write_all(&REQUEST).await?;
        stream.read_exact(&mut answer).await
    };
    let what = format!("an answer to the TLS request from {host}:{port}");
    let asked = deadline.within(HANDSHAKE, what, ask).await.map_err(|error| {
        error.remedy("something accepts connections there and says nothing: check that host and port are a PostgreSQL server's")
    })?;
    asked.map_err(|error| {
        Error::new(Kind::Unreachable, format!("{host}:{port} broke the connection off when asked for TLS"))
            .because(&error)
    })?;
    match answer {
        [b'S'] => Ok(stream),
        [b'N'] => Err(Error::new(Kind::Unreachable, format!("{host}:{port} does not offer TLS"))
            .remedy("switch TLS on at the server (ssl = on); only if that cannot be, put \"ssl\": false into the secret")),
        _ => Err(Error::new(Kind::Unreachable, format!("{host}:{port} does not speak PostgreSQL's protocol"))),
    }
}

async fn authenticate<S>(job: &Job<'_>, entrance: &Entrance<'_>, stream: Watched<S>) -> Result<Login<Session>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let name = entrance.dialect.name;
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
        .dbname(entrance.dbname)
        .application_name("turnlock")
        // The stream is what it should be already, so the driver's own handshake is the empty one of `Established`.
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    let what = format!("{name} at {place} to answer the login of {:?}", entrance.username);
    let (client, connection) =
        match job.deadline.within(HANDSHAKE, what, config.connect_raw(stream, Established)).await? {
            Ok(connected) => connected,
            Err(error) => return refused_login(&place, entrance, &error),
        };
    let over = tokio::spawn(async move {
        // How a connection ends is seen by the statement that needs it.
        let _ = connection.await;
    });
    job.ends_with(over);
    if !asked.for_password() {
        let what =
            format!("{name} at {place} let {:?} in without asking for the password", entrance.username);
        return Err(Error::new(Kind::NotOurs, what).remedy(
            "a login that needs no password proves nothing: let pg_hba.conf ask for scram-sha-256 where it says trust, peer or cert",
        ));
    }
    Ok(Login::Accepted(Session {
        client,
        user: entrance.username.to_owned(),
        place,
        dialect: entrance.dialect,
    }))
}

/// Which of the server's answers is about the password, and which is about something else.
fn refused_login(
    place: &str,
    entrance: &Entrance<'_>,
    cause: &tokio_postgres::Error,
) -> Result<Login<Session>> {
    let Some(answer) = cause.as_db_error() else {
        let what = format!("the login at {place} broke off");
        let error = Error::new(Kind::Unreachable, what).because(cause);
        return Err(if broke::<CleartextRefused>(cause) {
            error.remedy("remove \"ssl\": false from the secret, or let the server ask for scram-sha-256")
        } else if broke::<DigestUnspoken>(cause) {
            digest_unspoken(place, entrance)
        } else {
            error
        });
    };
    let Dialect { name, is_wrong_password, let_in, .. } = entrance.dialect;
    let words = format!("{}: {}", answer.code().code(), answer.message());
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
            format!("{name} at {place} has no database {:?}", entrance.dbname),
            "correct \"dbname\" in the secret",
        ),
        code if code.starts_with("57") || code.starts_with("53") => failed(
            Kind::Unreachable,
            format!("{name} at {place} takes no logins now"),
            "the server is starting, stopping or full; Secrets Manager tries again by itself",
        ),
        _ => failed(
            Kind::ServerRefused,
            format!("{name} at {place} refused the session of {:?}", entrance.username),
            "see the server's words",
        ),
    }
}

/// Whether it was this refusal of `watch` that broke the login off.
fn broke<T: std::error::Error + 'static>(error: &tokio_postgres::Error) -> bool {
    let mut causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(|inner| inner.is::<T>())
    })
}

/// The one way of storing a password that clients of PostgreSQL's protocol cannot prove they know.
fn digest_unspoken(place: &str, entrance: &Entrance<'_>) -> Error {
    let (name, user) = (entrance.dialect.name, entrance.username);
    Error::new(Kind::ServerRefused, format!("{name} at {place} keeps the password of {user:?} as sha256|..."))
        .cause("such users are asked by authentication message 13, which this driver and most others do not speak")
        .remedy("set the user's password once in another form, the same that AWSCURRENT holds: ALTER USER ... PASSWORD '...'")
}

impl Session {
    /// Runs statements in one round trip and returns every row's columns as text.
    pub async fn run(
        &self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
        explain: Explain<'_>,
    ) -> Result<Vec<Vec<Option<String>>>> {
        self.send(job, doing, sql).await?.map_err(|refusal| self.refused(doing, &refusal, explain))
    }

    /// Runs statements that may be refused without harm to the transaction around them; a refusal comes back in the server's
    /// own words. That it is not able to now, or lost patience, is no refusal but an error.
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

    async fn send(
        &self,
        job: &Job<'_>,
        doing: &str,
        sql: &str,
    ) -> Result<Result<Vec<Vec<Option<String>>>, Refusal>> {
        let what = format!("{} to {doing}", self.place);
        let messages =
            match job.deadline.within(self.dialect.statement, what, self.client.simple_query(sql)).await? {
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
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(Ok(rows.collect()))
    }

    fn refused(&self, doing: &str, refusal: &Refusal, explain: Explain<'_>) -> Error {
        let what = format!("{} at {} refused to {doing}", self.dialect.name, self.place);
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

/// What the server said instead of doing it.
struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    /// Two sessions changed one row of the catalog at once, such as ours and one of a connection that was lost a moment ago.
    /// The server reports it as an internal error, so the words have to tell.
    fn is_a_clash(&self) -> bool {
        self.code == "XX000" && self.message.contains("tuple concurrently")
    }

    fn words(&self) -> String {
        format!("{}: {}", self.code, self.message)
    }
}
