//! Ends at the server what this side has given up on.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rotation::deadline::Deadline;
use rotation::engine::job::Job;
use rotation::error::Result;
use rotation::reach::net;

use crate::connect::{self, Credentials, Session};
use crate::statement;

/// How long a cancellation may take. It comes last, so it has a little time even if the step has none left.
const LEAST: Duration = Duration::from_millis(300);
const MOST: Duration = Duration::from_secs(1);

/// Ends the session at the server, over another connection of the same user. The server would go on with the statement otherwise, and
/// keep the session's locks, because it looks at a connection only when it has an answer to send. A failed cancellation is no error
/// of its own.
pub(crate) async fn cancel(job: &Job<'_>, session: &Session, id: u32) {
    let limit = job.deadline.left().clamp(LEAST, MOST);
    let deadline = Deadline::after(limit);
    let _ = deadline.within(limit, "a cancellation", end(deadline, session, id)).await;
}

async fn end(deadline: Deadline, session: &Session, id: u32) -> Result<()> {
    let (server, login) = (&session.at, &session.login);
    let credentials = Credentials { user: &login.name.user, password: &login.password, dbname: None };
    for address in net::resolve(deadline, &server.host, server.port).await? {
        if let Ok(mut conn) = Conn::new(connect::options(server, credentials, address.ip())?).await {
            // An error means that the session has ended by itself.
            let _ = conn.query_drop(statement::kill(id)).await;
            let _ = conn.disconnect().await;
            return Ok(());
        }
    }
    Ok(())
}
