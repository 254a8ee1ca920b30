//! A place for one more session. The step before, or a process that was killed, may have sessions that the server has not ended yet;
//! under a tight connection limit the next login has to wait for them.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Result};

/// Servers end a session within milliseconds of its goodbye. Longer waits are for busy servers.
const PATIENCE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The answer to one attempt to log in.
pub enum Entry<T> {
    /// The server looked at the login.
    Answered(T),
    /// The server, the database or the account has no session left: the error to report if that lasts.
    Full(Error),
}

/// Logs in. Where the server is full, tries again for a few seconds, each time after a longer pause.
pub async fn wait<T>(deadline: Deadline, mut enter: impl AsyncFnMut() -> Result<Entry<T>>) -> Result<T> {
    let patience = Deadline::after(PATIENCE.min(deadline.left()));
    let mut pause = FIRST_PAUSE;
    loop {
        match enter().await? {
            Entry::Answered(answer) => return Ok(answer),
            Entry::Full(error) if patience.left().is_zero() => return Err(error.full()),
            Entry::Full(_) => tokio::time::sleep(pause.min(patience.left())).await,
        }
        pause *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn full() -> Entry<u32> {
        Entry::Full(Error::new(Kind::Unreachable, "full"))
    }

    #[tokio::test]
    async fn a_login_waits_until_there_is_a_place() {
        let mut tries = 0;
        let entered = wait(Deadline::after(Duration::from_secs(30)), async || {
            tries += 1;
            Ok(if tries < 4 { full() } else { Entry::Answered(tries) })
        });
        assert_eq!(entered.await.ok(), Some(4));
    }

    #[tokio::test]
    async fn a_server_that_stays_full_is_reported_in_time() {
        for (left, most) in [(30.0, 3.1), (1.0, 1.1)] {
            let started = tokio::time::Instant::now();
            let entered = wait(Deadline::after(Duration::from_secs_f64(left)), async || Ok(full())).await;
            assert!(entered.is_err_and(|error| error.kind() == Kind::Unreachable));
            assert!(started.elapsed() < Duration::from_secs_f64(most), "{:?}", started.elapsed());
        }
    }
}
