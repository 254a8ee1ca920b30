//! Reads what a server answers to statements, up to a limit.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, TryStreamExt};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Row, Value};

/// One result row, every column as text.
pub(crate) type Columns = Vec<Option<String>>;

/// The largest answer to one text of statements. Grants on thousands of tables stay far below. A server that sends more wants to
/// exhaust our memory.
pub(crate) const LARGEST: usize = 24 << 20;

/// Turns a panic of the driver into an error. The driver panics at some malformed answers, such as an empty salt or a broken key.
/// Then the server is at fault, not this function.
pub(crate) async fn steady<T>(
    talk: impl Future<Output = Result<T, mysql_async::Error>>,
) -> Result<T, mysql_async::Error> {
    let outcome = AssertUnwindSafe(talk).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(DriverError::UnexpectedPacket { payload: Vec::new() }.into()))
}

/// All rows of all results; `None` if they are larger than `LARGEST`.
pub(crate) async fn rows(conn: &mut Conn, sql: &str) -> Result<Option<Vec<Columns>>, mysql_async::Error> {
    steady(read(conn, sql)).await
}

async fn read(conn: &mut Conn, sql: &str) -> Result<Option<Vec<Columns>>, mysql_async::Error> {
    let mut result = conn.query_iter(sql).await?;
    let (mut rows, mut size) = (Vec::new(), 0);
    while let Some(mut set) = result.stream::<Row>().await? {
        while let Some(row) = set.try_next().await? {
            let columns = columns(row);
            size += columns.iter().flatten().map(|text| text.len() + 32).sum::<usize>() + 32;
            if size > LARGEST {
                return Ok(None);
            }
            rows.push(columns);
        }
    }
    Ok(Some(rows))
}

fn columns(row: Row) -> Columns {
    let text = |value| match value {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    };
    row.unwrap().into_iter().map(text).collect()
}
