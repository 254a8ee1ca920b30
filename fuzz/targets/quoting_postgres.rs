//! Names and texts quoted for PostgreSQL. A real server returns them unchanged, however it reads backslashes.

#![no_main]

use std::sync::LazyLock;

use lab::servers::Postgres;
use libfuzzer_sys::fuzz_target;
use rotate_postgres::statement::{identifier, literal};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, SimpleQueryMessage};

/// The server's limit on names, in bytes (PostgreSQL manual, "Identifiers and Key Words").
const NAME: usize = 63;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

/// One server for the whole process, and a session for each way to read backslashes.
static SESSIONS: LazyLock<Vec<Client>> = LazyLock::new(|| RUNTIME.block_on(sessions()));

async fn sessions() -> Vec<Client> {
    let server = Postgres::shared(Postgres::any()).await.expect("a server starts");
    let mut sessions = Vec::new();
    for conforming in ["on", "off"] {
        let session = server.connect(server.superuser(), server.superuser_password(), "postgres").await;
        let session = session.expect("the superuser logs in");
        let settings =
            format!("SET standard_conforming_strings TO {conforming}; SET escape_string_warning TO off");
        session.batch_execute(&settings).await.expect("a setting is set");
        sessions.push(session);
    }
    sessions
}

// The servers start before the time of the run begins.
fuzz_target!(init: LazyLock::force(&SESSIONS), |text: &str| {
    // The function refuses a NUL in both before it quotes them. A name is not empty.
    if text.is_empty() || text.contains('\0') {
        return;
    }
    let name = &text[..text.floor_char_boundary(NAME)];
    let sql = format!("SELECT {} AS {}", literal(text), identifier(name));
    for session in SESSIONS.iter() {
        let answer = RUNTIME.block_on(session.simple_query(&sql));
        let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.unwrap_or_else(|| panic!("{sql}: no row"));
        assert_eq!((row.get(0), row.columns()[0].name()), (Some(text), name), "{sql}");
        assert_eq!(row.len(), 1, "{sql}");
    }
});
