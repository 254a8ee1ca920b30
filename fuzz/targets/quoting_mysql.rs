//! Names and texts quoted for MySQL and MariaDB. In a session set up like the function's, real servers return them unchanged. A
//! server may refuse a name, but must never take it for another one.

#![no_main]

use std::sync::{LazyLock, Mutex};

use lab::servers::MySql;
use libfuzzer_sys::fuzz_target;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use rotate_mysql::account::Name;
use rotate_mysql::statement::{WHO, identifier, literal};
use tokio::runtime::Runtime;

/// The servers' limit on names, in characters (MySQL Reference Manual, "Identifier Length Limits").
const NAME: usize = 64;

/// ER_WRONG_COLUMN_NAME, ER_TOO_LONG_IDENT and ER_INVALID_CHARACTER_STRING: the server refuses the name, not our quoting.
const NO_NAME: [u16; 3] = [1166, 1059, 1300];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

/// One server of each release that is available here, for the whole process.
static SESSIONS: LazyLock<Mutex<Vec<Conn>>> = LazyLock::new(|| Mutex::new(RUNTIME.block_on(sessions())));

async fn sessions() -> Vec<Conn> {
    let mut sessions = Vec::new();
    for release in MySql::releases().await.expect("servers are looked for") {
        let server = MySql::shared(release).await.expect("a server starts");
        let session = server.connect(server.superuser(), server.superuser_password(), "").await;
        let mut session = session.expect("the superuser logs in");
        session.query_drop(WHO).await.expect("the function's own first statement");
        sessions.push(session);
    }
    assert!(!sessions.is_empty(), "there is no server");
    sessions
}

// The servers start before the time of the run begins.
fuzz_target!(init: LazyLock::force(&SESSIONS), |text: &str| {
    // The function refuses a NUL before it quotes anything.
    if text.contains('\0') {
        return;
    }
    let account = Name::new(text, "%");
    let quoted = account.sql();
    let user = quoted.strip_suffix("@'%'").expect("an account ends in its host part");
    let texts = format!("SELECT {}, {user}", literal(text));
    // In names these servers store at most three bytes for a character, and replace others with a question mark. Some servers cut
    // off an alias that is too long.
    let fits = text.chars().count() <= NAME && text.chars().all(|letter| letter <= '\u{ffff}');
    let is_name = fits && !text.is_empty();
    let name = identifier(text);
    let named = format!("SELECT {name}.* FROM (SELECT 1 AS {name}) AS {name}");
    let mut sessions = SESSIONS.lock().expect("no panic is survived");
    for session in sessions.iter_mut() {
        let row: Option<(Vec<u8>, Vec<u8>)> =
            RUNTIME.block_on(session.query_first(&texts)).unwrap_or_else(|error| panic!("{texts}: {error}"));
        assert_eq!(row, Some((text.into(), text.into())), "{texts}");
        if !is_name {
            continue;
        }
        let row: Option<Row> = match RUNTIME.block_on(session.query_first(&named)) {
            Ok(row) => row,
            Err(Error::Server(answer)) if NO_NAME.contains(&answer.code) => continue,
            Err(error) => panic!("{named}: {error}"),
        };
        let row = row.unwrap_or_else(|| panic!("{named}: no row"));
        // The servers remove invisible characters at the beginning of a column's name.
        let shown =
            |name: &str| name.trim_start_matches(|letter: char| !letter.is_ascii_graphic()).to_owned();
        let given = row.columns_ref()[0].name_str();
        assert_eq!((row.len(), shown(&given)), (1, shown(text)), "{named}");
    }
});
