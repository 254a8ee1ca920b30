//! A hostile value for every setting that a session can have.

use lab::servers::Postgres;

/// The settings that decide about sessions, statements and passwords, with values as SQL. Every other setting gets values made from
/// its type.
const CHOSEN: &[(&str, &[&str])] = &[
    ("password_encryption", &["md5"]),
    ("role", &["none", "team", "nobody_at_all"]),
    ("search_path", &["trap, pg_catalog", "''"]),
    ("synchronous_commit", &["off", "local"]),
    ("default_transaction_read_only", &["on"]),
    ("default_transaction_isolation", &["serializable", "'read uncommitted'"]),
    ("default_transaction_deferrable", &["on"]),
    ("statement_timeout", &["1"]),
    ("lock_timeout", &["1"]),
    ("idle_in_transaction_session_timeout", &["1"]),
    ("transaction_timeout", &["1"]),
    ("idle_session_timeout", &["1"]),
    ("client_connection_check_interval", &["1"]),
    ("row_security", &["off"]),
    ("datestyle", &["'German, DMY'", "'SQL, MDY'"]),
    ("timezone", &["'Asia/Kathmandu'"]),
    ("intervalstyle", &["sql_standard"]),
    ("bytea_output", &["escape"]),
    ("client_encoding", &["LATIN1", "SQL_ASCII", "UHC"]),
    ("createrole_self_grant", &["'set, inherit'"]),
    ("event_triggers", &["off"]),
    ("session_replication_role", &["replica"]),
    ("standard_conforming_strings", &["off"]),
    ("backslash_quote", &["off", "on"]),
    ("quote_all_identifiers", &["on"]),
    ("extra_float_digits", &["-15"]),
    ("lo_compat_privileges", &["on"]),
    ("transform_null_equals", &["on"]),
    ("array_nulls", &["off"]),
    ("jit", &["on"]),
    ("scram_iterations", &["1", "150000"]),
    ("session_preload_libraries", &["nothing_like_that"]),
    ("local_preload_libraries", &["nothing_like_that"]),
    ("dynamic_library_path", &["'/nowhere'"]),
    ("client_min_messages", &["debug5"]),
    ("lc_messages", &["'C'"]),
    ("log_statement", &["'all'"]),
    ("restrict_nonsystem_relation_kind", &["'view, foreign-table'"]),
    ("allow_in_place_tablespaces", &["on"]),
    ("default_tablespace", &["pg_global"]),
    ("default_table_access_method", &["heap"]),
    ("application_name", &["'\\001 \u{fc}'"]),
    ("timezone_abbreviations", &["'India'"]),
];

/// So many of the chosen settings have once decided about a rotation, or would. Every run begins with them.
const FIRST: usize = 13;

/// A setting and one hostile value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hostile {
    pub(crate) name: String,
    /// As SQL.
    pub(crate) value: String,
    /// Whether every run includes it.
    pub(crate) first: bool,
}

/// Every setting of this server that can be set for a role or a database, with hostile values.
pub(crate) async fn all(server: &Postgres) -> Vec<Hostile> {
    let sql = "SELECT name, vartype, setting, min_val, max_val, array_to_string(enumvals, chr(10)) FROM pg_settings \
        WHERE context IN ('user', 'superuser') ORDER BY name";
    let rows = server.query(sql).await.unwrap();
    rows.into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
        .flat_map(of)
        .collect()
}

fn of(row: Vec<String>) -> Vec<Hostile> {
    let name = row[0].clone();
    let known = name.to_lowercase();
    let place = CHOSEN.iter().position(|(chosen, _)| *chosen == known);
    let first = place.is_some_and(|place| place < FIRST);
    let values = match place {
        Some(place) => CHOSEN[place].1.iter().map(|value| (*value).to_owned()).collect(),
        None => made(&row),
    };
    values.into_iter().map(|value| Hostile { name: name.clone(), value, first }).collect()
}

/// Values that follow from a setting's type: whatever is furthest from what it has.
fn made(row: &[String]) -> Vec<String> {
    let [_, kind, has, least, most, choices] = row else { panic!("six columns") };
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let others = match kind.as_str() {
        "bool" => vec![if has == "on" { "off" } else { "on" }],
        "enum" => choices.lines().collect(),
        "integer" | "real" => vec![least.as_str(), most.as_str()],
        _ => vec!["", "nothing_like_that"],
    };
    others.into_iter().filter(|value| *value != has.as_str()).map(quoted).collect()
}
