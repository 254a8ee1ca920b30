//! Logging in, and what each failure means.

use std::io;

use rotation::database::dialect::Entrance;
use rotation::database::place::{self, Entry};
use rotation::engine::job::Job;
use rotation::engine::target::Login;
use rotation::error::{Error, Kind, Result};
use rotation::said::Said;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::{DbError, SqlState};

use crate::ahead::Ahead;
use crate::known::{Known, Seen};
pub use crate::session::{Explain, Refusal, Session, Variant};
use crate::stream::{Stream, reach};
use crate::watch::{AlreadyTls, CleartextRefused, DigestUnspoken, Watched};
use crate::{binding, statement};

/// Logs in, over the early connection if there is one to this server, as soon as the server has a place for one more session.
pub async fn login(
    job: &Job<'_>,
    (ahead, known): (&Ahead, &Known),
    variant: &'static Variant,
    entrance: &Entrance<'_>,
) -> Result<Login<Session>> {
    let login = place::wait(job.deadline, async || enter(job, ahead, known, variant, entrance).await).await?;
    if let Login::Accepted(session) = &login {
        known.note(entrance.server, Seen { version: session.version, is_pooled: session.is_pooled });
    }
    Ok(login)
}

async fn enter(
    job: &Job<'_>,
    ahead: &Ahead,
    known: &Known,
    variant: &'static Variant,
    entrance: &Entrance<'_>,
) -> Result<Entry<Login<Session>>> {
    let stream = match ahead.take(entrance.server).await {
        Some(reached) => reached?,
        None => reach(job.deadline, entrance.server).await?,
    };
    let mut stream = stream;
    let Seen { version, is_pooled } = known.of(entrance.server);
    if !is_pooled {
        let declared = Some((variant.startup)(version));
        if let Some(entry) = over(job, variant, entrance, stream, declared.as_deref()).await? {
            return Ok(entry);
        }
        stream = reach(job.deadline, entrance.server).await?;
    }
    // Poolers and proxies take no declaration. Every transaction of ours declares what it needs by itself.
    let entry = over(job, variant, entrance, stream, None).await?;
    Ok(entry.expect("without a declaration none is refused"))
}

/// One login over this stream, with the settings that it declares; `None` if something there does not take these.
async fn over(
    job: &Job<'_>,
    variant: &'static Variant,
    entrance: &Entrance<'_>,
    stream: Stream,
    declared: Option<&str>,
) -> Result<Option<Entry<Login<Session>>>> {
    match stream {
        Stream::Plaintext(stream) => {
            authenticate(job, variant, entrance, Watched::new(stream, false, None), declared).await
        }
        Stream::Encrypted(stream) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let binding = certificate.and_then(|certificate| binding::tls_server_end_point(certificate));
            authenticate(job, variant, entrance, Watched::new(stream, true, binding), declared).await
        }
    }
}

async fn authenticate<S>(
    job: &Job<'_>,
    variant: &'static Variant,
    entrance: &Entrance<'_>,
    stream: Watched<S>,
    declared: Option<&str>,
) -> Result<Option<Entry<Login<Session>>>>
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
    if let Some(declared) = declared.filter(|declared| !declared.is_empty()) {
        config.options(declared);
    }
    let what = format!("{name} at {place} to answer the login of {:?}", entrance.username);
    let (client, connection) = match job
        .deadline
        .within(entrance.server.patience(), what, config.connect_raw(stream, AlreadyTls))
        .await?
    {
        Ok(connected) => connected,
        Err(error) if declared.is_some() && is_about_the_declaration(variant, &error) => {
            return Ok(None);
        }
        Err(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => {
            return Ok(Some(Entry::Full(full(&place, variant, entrance, &error))));
        }
        Err(error) => {
            let answer = match refused_login(&place, variant, entrance, &error)? {
                Login::Rejected(words) if declared.is_none() => {
                    Login::Rejected(format!("{words} (through a pooler or proxy)"))
                }
                answer => answer,
            };
            return Ok(Some(Entry::Answered(answer)));
        }
    };
    let version = connection.parameter("server_version").map_or(0, major);
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
    Ok(Some(Entry::Answered(Login::Accepted(Session {
        client,
        user: entrance.username.to_owned(),
        form,
        version,
        is_pooled: declared.is_none(),
        server: entrance.server.clone(),
        variant,
    }))))
}

/// The major version in a server's version, such as `18.4 (Debian 18.4-1)` or `19beta1`.
fn major(version: &str) -> u32 {
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().unwrap_or_default()
}

/// Whether a login was refused for its `options`: PgBouncer's code, RDS Proxy's, and those of servers without one of the settings or
/// one of the values. A refusal for another reason is repeated without the declaration, and counts then.
fn is_about_the_declaration(variant: &Variant, error: &tokio_postgres::Error) -> bool {
    let Some(answer) = error.as_db_error() else { return false };
    let code = answer.code().code();
    ["08P01", "0A000", "22023", "42704"].contains(&code)
        && !(variant.is_wrong_password)(code, answer.message())
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
    let database = entrance.dbname.unwrap_or_default();
    let failed = |kind, what: String, remedy: &str| Err(Error::new(kind, what).cause(&words).remedy(remedy));
    match answer.code().code() {
        code if is_wrong_password(code, answer.message()) => Ok(Login::Rejected(words)),
        "28000" if answer.message().starts_with("PAM authentication failed") => failed(
            Kind::ServerRefused,
            format!("{name} at {place} asks PAM about {:?}, and not its password", entrance.username),
            &by_token(entrance.username),
        ),
        "28000" => failed(
            Kind::ServerRefused,
            format!("{name} at {place} does not let {:?} in at all", entrance.username),
            let_in,
        ),
        "42501" => failed(
            Kind::ServerRefused,
            format!("{name} at {place} does not let {:?} into the database {database:?}", entrance.username),
            &format!(
                "let the owner of the database run: GRANT CONNECT ON DATABASE {} TO {}",
                statement::identifier(database),
                statement::identifier(entrance.username)
            ),
        ),
        "3D000" => failed(
            Kind::BadSecret,
            format!("{name} at {place} has no database {database:?}"),
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

/// On RDS a member of `rds_iam` logs in with IAM tokens only (RDS User Guide, "Database authentication"), which the server checks by PAM.
fn by_token(user: &str) -> String {
    format!(
        "on RDS and Aurora a member of rds_iam, even of a role in it, logs in with IAM tokens only: if clients use tokens, the account has \
         no password to rotate, so cancel the rotation of this secret; if they use the password, let an admin run REVOKE rds_iam FROM {}",
        statement::identifier(user)
    )
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
