//! Global settings that a database administrator may make, each with a hostile value, against every strategy: nobody is locked out.

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use lab::servers::{Flavor, MySql, Release};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::app::App;

const STRATEGIES: [&str; 4] = ["single-user", "admin", "alternating-users", "dual-password"];

/// How long the sample of an ordinary run may take on each server.
const BUDGET: Duration = Duration::from_secs(10);

/// Settings of both servers.
const BOTH: [(&str, &str); 31] = [
    ("sql_mode", "'ANSI,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,ONLY_FULL_GROUP_BY'"),
    ("sql_mode", "'TRADITIONAL,PIPES_AS_CONCAT,IGNORE_SPACE,NO_ENGINE_SUBSTITUTION'"),
    ("init_connect", "'SET sql_mode = \"ANSI_QUOTES,NO_BACKSLASH_ESCAPES\", sql_select_limit = 0'"),
    ("init_connect", "'SET SESSION TRANSACTION READ ONLY'"),
    ("default_password_lifetime", "1"),
    ("autocommit", "0"),
    ("read_only", "1"),
    ("sql_select_limit", "0"),
    ("lock_wait_timeout", "1"),
    ("wait_timeout", "1"),
    ("interactive_timeout", "1"),
    ("net_read_timeout", "1"),
    ("net_write_timeout", "1"),
    ("connect_timeout", "2"),
    ("max_user_connections", "1"),
    ("max_join_size", "1"),
    ("max_error_count", "0"),
    ("sql_quote_show_create", "0"),
    ("sql_safe_updates", "1"),
    ("completion_type", "2"),
    ("transaction_isolation", "'SERIALIZABLE'"),
    ("group_concat_max_len", "4"),
    ("max_sort_length", "64"),
    ("character_set_server", "'ucs2'"),
    ("collation_server", "'utf8mb4_bin'"),
    ("collation_connection", "'latin1_swedish_ci'"),
    ("character_set_client", "'latin1'"),
    ("time_zone", "'-12:00'"),
    ("net_buffer_length", "1024"),
    ("explicit_defaults_for_timestamp", "0"),
    ("sql_auto_is_null", "1"),
];

const MYSQL: [(&str, &str); 14] = [
    ("super_read_only", "1"),
    ("max_execution_time", "1"),
    ("password_history", "5"),
    ("password_reuse_interval", "30"),
    ("password_require_current", "1"),
    ("mandatory_roles", "'nobody_has_this_role'"),
    ("activate_all_roles_on_login", "1"),
    ("partial_revokes", "1"),
    ("print_identified_with_as_hex", "1"),
    ("default_collation_for_utf8mb4", "'utf8mb4_general_ci'"),
    ("session_track_gtids", "'ALL_GTIDS'"),
    ("session_track_transaction_info", "'CHARACTERISTICS'"),
    ("caching_sha2_password_digest_rounds", "5000"),
    ("sql_require_primary_key", "1"),
];

const MARIADB: [(&str, &str); 9] = [
    ("max_statement_time", "0.001"),
    ("sql_mode", "'ORACLE'"),
    ("sql_mode", "'MSSQL'"),
    ("old_mode", "'NO_PROGRESS_INFO'"),
    ("secure_auth", "0"),
    ("old_passwords", "1"),
    ("max_password_errors", "1"),
    ("session_track_system_variables", "'*'"),
    ("idle_transaction_timeout", "1"),
];

/// One try: a setting, and a strategy.
type Case = (&'static str, &'static str, &'static str);

/// All cases of a flavor, in an order that the seed decides.
fn cases(flavor: Flavor, seed: u64) -> Vec<Case> {
    let own: &[_] = if flavor == Flavor::MySql { &MYSQL } else { &MARIADB };
    let settings = BOTH.iter().chain(own);
    let mut cases: Vec<Case> = settings
        .flat_map(|(name, value)| STRATEGIES.iter().map(move |strategy| (*name, *value, *strategy)))
        .collect();
    cases.sort_by_cached_key(|case| {
        digest::digest(&digest::SHA256, format!("{seed} {case:?}").as_bytes()).as_ref().to_vec()
    });
    cases
}

/// A server, and a session that was opened before anything hostile was set.
struct Scene {
    server: Arc<MySql>,
    session: Conn,
}

#[derive(Debug, Default)]
struct Tally {
    rotated: u32,
    /// The cases in which the function changed nothing, or set the password back.
    refused: Vec<String>,
    not_settable: u32,
}

impl Scene {
    async fn new(release: Release) -> Scene {
        let server: Arc<MySql> = MySql::release(release).start().await.expect("a server").into();
        let session = server.connect(server.superuser(), server.superuser_password(), "").await;
        let mut session = session.expect("a session");
        let settings = "SET SESSION wait_timeout = 3600, SESSION sql_mode = ''";
        session.query_drop(settings).await.expect("its own settings");
        Scene { server, session }
    }

    /// Rotates while the setting is hostile. Nobody may be locked out, whatever comes of it.
    async fn play(&mut self, (name, value, strategy): Case, tally: &mut Tally) {
        let case = format!("{:?} {name} = {value}, {strategy}", self.server.flavor());
        let app = App::on(Arc::clone(&self.server)).await;
        let world = app.world_as(strategy, |_| ()).await;
        let mut set = self.session.query_drop(format!("SET @before = @@global.{name}")).await;
        if set.is_ok() {
            set = self.session.query_drop(format!("SET GLOBAL {name} = {value}")).await;
        }
        if set.is_err() {
            tally.not_settable += 1;
            return;
        }
        let token = world.begin().expect("a rotation begins");
        let outcome = world.steps(&token).await;
        // MySQL turns `read_only` on with `super_read_only`.
        let back = format!(
            "SET GLOBAL {name} = @before{}",
            if name == "super_read_only" { ", GLOBAL read_only = 0" } else { "" }
        );
        self.session.query_drop(&back).await.unwrap_or_else(|error| panic!("{case}: {back}: {error}"));
        assert!(app.accepts(&world.current()).await, "{case}: AWSCURRENT is locked out: {outcome:?}");
        if outcome.is_ok() {
            tally.rotated += 1;
            return;
        }
        tally.refused.push(case.clone());
        world.steps(&token).await.unwrap_or_else(|error| panic!("{case}, afterwards: {error}"));
        assert!(app.accepts(&world.current()).await, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_global_settings_lock_nobody_out() {
    let all = env::var("TURNLOCK_SETTINGS").is_ok_and(|which| which == "all");
    let seed = env::var("TURNLOCK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    for release in MySql::releases().await.unwrap() {
        let mut scene = Scene::new(release).await;
        let (began, mut tally, cases) = (Instant::now(), Tally::default(), cases(release.flavor, seed));
        let number = cases.len();
        for case in cases {
            if all || began.elapsed() < BUDGET {
                scene.play(case, &mut tally).await;
            }
        }
        println!("{release}: TURNLOCK_SEED={seed}, of {number} cases {tally:?}, 0 locked out");
        assert!(tally.rotated as usize > tally.refused.len(), "{release}: {tally:?}");
    }
}
