//! Ends at the server what this side has given up on.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use rotation::deadline::Deadline;
use rotation::engine::job::Job;

use crate::statement;

/// How long a cancellation may take. It comes last, so it has a little time even if the step has none left.
const LEAST: Duration = Duration::from_millis(300);
const MOST: Duration = Duration::from_secs(1);

/// Ends a session at the server, over another connection that is made in the same way. The server would go on with the statement
/// otherwise, and keep the session's locks, because it looks at a connection only when it has an answer to send. Behind a balancer or a
/// pooler the number may be a stranger's at another server. So it has to be the number of a session of the same user that runs a
/// statement. A failed cancellation is no error of its own.
pub(crate) async fn cancel(job: &Job<'_>, way: Opts, session: u32) {
    let limit = job.deadline.left().clamp(LEAST, MOST);
    let is_busy = statement::is_busy(session, way.user().unwrap_or_default());
    let end = async {
        if let Ok(mut conn) = Conn::new(way).await
            && let Ok(Some(_)) = conn.query_first::<u32, _>(is_busy).await
        {
            // An error means that the session has ended by itself.
            let _ = conn.query_drop(statement::kill(session)).await;
            let _ = conn.disconnect().await;
        }
    };
    let _ = Deadline::after(limit).within(limit, "a cancellation", end).await;
}
