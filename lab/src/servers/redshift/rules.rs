//! Statements that PostgreSQL accepts and Redshift refuses. Each rule names the page of the Amazon Redshift Database Developer Guide
//! that says so. Rules about one statement only are where that statement is translated (`user`, `grant`, `password`).

use super::deployment::Deployment;
use super::refusal::Refusal;
use super::token::Token;

/// Every statement on the page "SQL commands". Redshift does not have any other: DO, SAVEPOINT, LISTEN, REASSIGN OWNED,
/// CREATE INDEX, CREATE SEQUENCE, CREATE TRIGGER, CREATE EXTENSION, ...
const STATEMENTS: &[(&str, &[&str])] = &[
    ("abort", &[]),
    (
        "alter",
        &[
            "database",
            "datashare",
            "default",
            "external",
            "function",
            "group",
            "identity",
            "masking",
            "materialized",
            "procedure",
            "rls",
            "role",
            "schema",
            "system",
            "table",
            "user",
        ],
    ),
    ("analyze", &[]),
    ("attach", &["masking", "rls"]),
    ("begin", &[]),
    ("call", &[]),
    ("cancel", &[]),
    ("close", &[]),
    ("comment", &[]),
    ("commit", &[]),
    ("copy", &[]),
    (
        "create",
        &[
            "database",
            "datashare",
            "external",
            "function",
            "group",
            "identity",
            "library",
            "masking",
            "materialized",
            "model",
            "or",
            "procedure",
            "rls",
            "role",
            "schema",
            "table",
            "temp",
            "temporary",
            "local",
            "user",
            "view",
        ],
    ),
    ("deallocate", &[]),
    ("declare", &[]),
    ("delete", &[]),
    ("desc", &[]),
    ("detach", &["masking", "rls"]),
    (
        "drop",
        &[
            "database",
            "datashare",
            "external",
            "function",
            "group",
            "identity",
            "library",
            "masking",
            "materialized",
            "model",
            "procedure",
            "rls",
            "role",
            "schema",
            "table",
            "user",
            "view",
        ],
    ),
    ("end", &[]),
    ("execute", &[]),
    ("explain", &[]),
    ("fetch", &[]),
    ("grant", &[]),
    ("insert", &[]),
    ("lock", &[]),
    ("merge", &[]),
    ("prepare", &[]),
    ("refresh", &["materialized"]),
    ("reset", &[]),
    ("revoke", &[]),
    ("rollback", &[]),
    ("select", &[]),
    ("set", &[]),
    ("show", &[]),
    ("start", &["transaction"]),
    ("truncate", &[]),
    ("unload", &[]),
    ("update", &[]),
    ("use", &[]),
    ("vacuum", &[]),
    ("with", &[]),
];

/// Page "Unsupported PostgreSQL functions".
const FUNCTIONS: &[&str] = &[
    "array_agg",
    "bit_length",
    "clock_timestamp",
    "col_description",
    "convert_from",
    "convert_to",
    "corr",
    "div",
    "encode",
    "every",
    "format",
    "generate_subscripts",
    "inet_client_addr",
    "inet_server_addr",
    "justify_days",
    "lastval",
    "nextval",
    "obj_description",
    "overlay",
    "pg_conf_load_time",
    "pg_database_size",
    "pg_my_temp_schema",
    "pg_notify",
    "pg_postmaster_start_time",
    "pg_reload_conf",
    "pg_relation_size",
    "pg_sleep",
    "quote_nullable",
    "regexp_matches",
    "regexp_split_to_array",
    "regexp_split_to_table",
    "set_config",
    "setval",
    "shobj_description",
    "string_agg",
    "to_tsvector",
    "transaction_timestamp",
    "txid_current",
    "unnest",
    "width_bucket",
    "xml_agg",
    "aclexplode",
];

/// The same page, "Advisory lock functions".
const ADVISORY_LOCKS: &[&str] = &["pg_advisory", "pg_try_advisory"];

/// Page "Unsupported PostgreSQL features": "Database roles". Users are in PG_USER, groups in PG_GROUP, roles in SVV_ROLES.
const RELATIONS: &[&str] = &[
    "pg_auth_members",
    "pg_authid",
    "pg_db_role_setting",
    "pg_policies",
    "pg_policy",
    "pg_roles",
    "pg_shdescription",
];

/// Page "System monitoring (provisioned only)". On Serverless a superuser is told "permission denied for relation"
/// (brainly/terraform-provider-redshift, issue 80).
const PROVISIONED_ONLY: &[&str] = &["stl_", "stv_", "svcs_", "svl_"];

/// Page "Unsupported PostgreSQL data types".
const TYPES: &[&str] = &[
    "bit",
    "bytea",
    "cidr",
    "hstore",
    "inet",
    "int4range",
    "json",
    "jsonb",
    "money",
    "regrole",
    "serial",
    "tsvector",
    "uuid",
    "xml",
];

/// Clauses that the pages of their statements (INSERT, UPDATE, DELETE, CREATE USER, COMMENT, SELECT) do not have.
const CLAUSES: &[&[&str]] = &[
    &["on", "conflict"],
    &["returning"],
    &["is", "distinct", "from"],
    &["lateral"],
    &["for", "update"],
    &["array", "["],
    &["user", "if", "not", "exists"],
    &["comment", "on", "role"],
    &["rollback", "to"],
    &["owned", "by"],
    &["granted", "by"],
];

/// The parameters on the page "Configuration reference", and those that PostgreSQL's drivers set.
const PARAMETERS: &[&str] = &[
    "analyze_threshold_percent",
    "application_name",
    "cast_super_null_on_error",
    "client_encoding",
    "client_min_messages",
    "datashare_break_glass_session_var",
    "datestyle",
    "default_geometry_encoding",
    "describe_field_name_in_uppercase",
    "downcase_delimited_identifier",
    "enable_case_sensitive_identifier",
    "enable_case_sensitive_super_attribute",
    "enable_numeric_rounding",
    "enable_result_cache_for_session",
    "enable_vacuum_boost",
    "error_on_nondeterministic_update",
    "extra_float_digits",
    "json_serialization_enable",
    "json_serialization_parse_nested_strings",
    "max_concurrency_scaling_clusters",
    "max_cursor_result_set_size",
    "mv_enable_aqmv_for_session",
    "navigate_super_null_on_error",
    "parse_super_null_on_error",
    "pg_federation_repeatable_read",
    "query_group",
    "search_path",
    "spectrum_enable_pseudo_columns",
    "spectrum_query_maxerror",
    "statement_timeout",
    "stored_proc_log_min_messages",
    "timezone",
    "use_fips_ssl",
    "wlm_query_slot_count",
];

/// The parameters among them that PostgreSQL has as well.
const SHARED: &[&str] = &[
    "application_name",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "extra_float_digits",
    "search_path",
    "statement_timeout",
    "timezone",
];

/// Refuses a statement that Redshift would refuse, or does not have.
pub(super) fn judge(tokens: &[Token]) -> Result<(), Refusal> {
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    let unknown =
        |what: &str| Err(Refusal { code: "42601", text: format!("syntax error at or near \"{what}\"") });
    match STATEMENTS.iter().find(|(first, _)| *first == word(0)) {
        None => return unknown(word(0)),
        Some((_, second)) if !second.is_empty() && !second.contains(&word(1)) => return unknown(word(1)),
        Some(_) => {}
    }
    if let Some(clause) = CLAUSES.iter().find(|clause| appears(tokens, clause)) {
        return unknown(clause[0]);
    }
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let next = |sign: &str| tokens.get(at + 1).is_some_and(|token| token.is(sign));
        let is_call = next("(");
        let is_lock = ADVISORY_LOCKS.iter().any(|prefix| word.starts_with(prefix));
        if is_call && (is_lock || FUNCTIONS.contains(&word.as_str())) {
            return Err(Refusal { code: "42883", text: format!("function {word}() does not exist") });
        }
        if RELATIONS.contains(&word.as_str()) && !next(".") {
            return Err(Refusal { code: "42P01", text: format!("relation \"{word}\" does not exist") });
        }
        let is_cast = at > 0 && (tokens[at - 1].is("::") || tokens[at - 1].is("as") && next(")"));
        if is_cast && TYPES.contains(&word.as_str()) {
            return Err(Refusal { code: "42704", text: format!("type \"{word}\" does not exist") });
        }
    }
    Ok(())
}

/// Refuses what this kind of cluster does not have.
pub(super) fn judge_for(deployment: Deployment, tokens: &[Token]) -> Result<(), Refusal> {
    for token in tokens {
        let (Token::Word(name) | Token::Name(name)) = token else { continue };
        let is_refused = PROVISIONED_ONLY.iter().any(|prefix| name.starts_with(prefix));
        if is_refused && deployment == Deployment::Serverless {
            return Err(Refusal { code: "42501", text: format!("permission denied for relation {name}") });
        }
    }
    Ok(())
}

/// Whether these tokens stand in a statement one after another.
fn appears(tokens: &[Token], clause: &[&str]) -> bool {
    tokens.windows(clause.len()).any(|part| part.iter().zip(clause).all(|(token, word)| token.is(word)))
}

/// PostgreSQL's name for a parameter. Session context variables ("SET": a two-part name) keep their names.
pub(super) fn parameter(name: &str) -> Result<String, Refusal> {
    if SHARED.contains(&name) {
        Ok(name.to_owned())
    } else if PARAMETERS.contains(&name) {
        Ok(format!("rs.{name}"))
    } else if name.split('.').count() == 2 && !name.starts_with("standin.") && !name.starts_with("rs.") {
        Ok(name.to_owned())
    } else {
        Err(Refusal { code: "42704", text: format!("unrecognized configuration parameter \"{name}\"") })
    }
}
