//! A session: running statements, and what each failure means. A statement that this side gives up is cancelled.

use std::time::Duration;

use rotation::database::account::Server;
use rotation::deadline::Deadline;
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::said::Said;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::form::StoredAs;
use crate::statement;
use crate::stream::{Stream, reach};
use crate::watch::{AlreadyTls, Watched};

/// What differs between the servers that speak this protocol.
pub struct Variant {
    /// The server's name in errors.
    pub name: &'static str,
    /// Whether a refusal of this code and message is about the password.
    pub is_wrong_password: fn(&str, &str) -> bool,
    /// The remedy for a user that may not log in, whatever the password is.
    pub let_in: &'static str,
    /// How long this side waits for one message with statements.
    pub statement: Duration,
    /// The settings that a session declares as it logs in, as `options` of the startup message: those for a server of this major
    /// version, or of any if it is 0. Empty for none.
    pub startup: fn(u32) -> String,
}

/// By so much a limit at the server is shorter than this side's wait, so that the server's own error arrives.
const MARGIN: Duration = Duration::from_secs(1);

/// How long a cancellation may take where a step has run out of time. What is kept back for the step's answer is longer.
const CANCELLATION: Duration = Duration::from_millis(300);

/// An accepted login: the server asked for the password and took it.
pub struct Session {
    pub(crate) client: Client,
    /// The user who logged in.
    pub user: String,
    /// The form of the password that the login has shown to work.
    pub form: StoredAs,
    /// The server's major version; 0 if it does not tell.
    pub version: u32,
    /// Whether a pooler or proxy stands in between: something that did not take what the session declares as it logs in.
    pub is_pooled: bool,
    pub(crate) server: Server,
    pub(crate) variant: &'static Variant,
}

/// Explains a refused statement by its SQLSTATE: which kind of error it is, and what to do.
pub type Explain<'a> = &'a dyn Fn(&str) -> Option<(Kind, String)>;

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
        let what = format!("{} to {doing}", self.place());
        let answer = job.deadline.within(self.variant.statement, what, self.client.simple_query(sql)).await;
        let messages = match answer {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => return self.answered(doing, &error).map(Err),
            Err(silence) => {
                self.cancel(job).await;
                return Err(silence);
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

    /// The server's refusal, or the error of a lost connection.
    fn answered(&self, doing: &str, error: &tokio_postgres::Error) -> Result<Refusal> {
        let Some(answer) = error.as_db_error() else {
            let what = format!("the connection to {} was lost while it was to {doing}", self.place());
            return Err(Error::new(Kind::Unreachable, what).because(error));
        };
        // Never its detail or context, which may quote the statement.
        Ok(Refusal { code: answer.code().code().to_owned(), message: answer.message().to_owned() })
    }

    /// Asks the server to end what this session still waits for, over a connection that is encrypted if the session is. The server
    /// would go on otherwise, and keep the locks, because it looks at a connection only when it has an answer to send. There is no
    /// answer to a cancellation, so a failed one is no error of its own.
    async fn cancel(&self, job: &Job<'_>) {
        let limit = job.deadline.left().clamp(CANCELLATION, MARGIN);
        let (token, deadline) = (self.client.cancel_token(), Deadline::after(limit));
        let cancel = async {
            match reach(deadline, &self.server).await? {
                Stream::Plaintext(stream) => {
                    let stream = Watched::new(stream, false, None).kept_open();
                    Ok::<_, Error>(token.cancel_query_raw(stream, AlreadyTls).await)
                }
                Stream::Encrypted(stream) => {
                    let stream = Watched::new(stream, true, None).kept_open();
                    Ok(token.cancel_query_raw(stream, AlreadyTls).await)
                }
            }
        };
        let _ = deadline.within(limit, "a cancellation", cancel).await;
    }

    /// How long a statement may run at the server, so that the server ends it before this side gives up.
    pub fn limit(&self, job: &Job<'_>) -> Duration {
        self.variant.statement.min(job.deadline.left()).saturating_sub(MARGIN).max(MARGIN)
    }

    /// The server's host and port, for errors.
    fn place(&self) -> String {
        format!("{}:{}", self.server.host, self.server.port)
    }

    fn refused(&self, doing: &str, refusal: &Refusal, explain: Explain<'_>) -> Error {
        let what = format!("{} at {} refused to {doing}", self.variant.name, self.place());
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
