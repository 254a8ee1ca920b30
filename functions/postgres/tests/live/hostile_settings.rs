//! Every setting that a role or a database can carry, made hostile, and two rotations under each with every strategy. Nobody is locked
//! out, and nothing is promoted that does not log in.

use std::collections::{BTreeSet, VecDeque};
use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lab::servers::Postgres;
use lab::world::World;
use serde_json::Value;
use tokio::task::JoinSet;

use super::hostile_values::{self, Hostile};
use super::pair::{ADMIN_SECRET, Pair, Power};

const STRATEGIES: [&str; 3] = ["single-user", "admin", "alternating-users"];

/// How long an ordinary run takes.
const SAMPLE: Duration = Duration::from_secs(40);

/// How many cases run at a time with each strategy.
const AT_ONCE: usize = 3;

/// Where a setting is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Role,
    Database,
    Both,
}

#[derive(Clone, Debug)]
struct Case {
    hostile: Hostile,
    place: Place,
}

impl Case {
    /// Whether every run includes it.
    fn is_first(&self) -> bool {
        self.hostile.first && self.place == Place::Both
    }
}

/// How a case ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Rotated,
    /// The function refused before anything changed, and rotated when the setting was gone.
    Refused,
    /// The server does not let anybody make this setting.
    Impossible,
}

/// An application with a database of its own, and its secret under one strategy.
struct Stage {
    pair: Pair,
    world: World,
    database: String,
}

impl Stage {
    async fn new(server: &Arc<Postgres>, strategy: &str) -> Stage {
        let pair = Pair::on(Arc::clone(server), Power::CreateRole).await;
        let (app, database) = (&pair.app.user, format!("db_{}", pair.app.user));
        server.execute(&format!("CREATE DATABASE {database} STRATEGY file_copy")).await.unwrap();
        server.execute(&format!("GRANT team TO {app}")).await.unwrap();
        server.execute_in(&database, TRAP).await.unwrap();
        let world = pair
            .app
            .world_with(&[], |secret| {
                secret["masterarn"] = ADMIN_SECRET.into();
                secret["strategy"] = strategy.into();
                secret["dbname"] = database.as_str().into();
            })
            .await;
        pair.add_admin(&world, ADMIN_SECRET, |secret| secret["dbname"] = database.as_str().into());
        Stage { pair, world, database }
    }

    fn server(&self) -> &Postgres {
        &self.pair.app.server
    }

    /// Makes the setting, or takes it away again.
    async fn change(&self, case: &Case, made: bool) -> std::io::Result<()> {
        let Hostile { name, value, .. } = &case.hostile;
        let what = match made {
            true => format!("SET \"{name}\" TO {value}"),
            // The server takes this setting, and takes it back in no other way.
            false if name == "transaction_read_only" => "RESET ALL".to_owned(),
            false => format!("RESET \"{name}\""),
        };
        let mut sql = Vec::new();
        if case.place != Place::Database {
            let users = [&self.pair.app.user, &self.pair.admin];
            sql.extend(users.map(|user| format!("ALTER ROLE {user} {what}")));
        }
        if !made && name != "role" && name != "transaction_read_only" {
            // The rotation has copied it; it would stay until the clone's next turn.
            let clone = self.pair.clone_name();
            let there = format!("SELECT rolname FROM pg_roles WHERE rolname = '{clone}'");
            let there = self.pair.value(&there).await;
            sql.extend(there.map(|clone| format!("ALTER ROLE {clone} {what}")));
        }
        if case.place != Place::Role {
            sql.push(format!("ALTER DATABASE {} {what}", self.database));
        }
        self.server().execute(&sql.join("; ")).await
    }

    /// The role that a client of this value acts as, if it can log in.
    async fn client(&self, value: &Value) -> Result<(String, String), String> {
        let rows = async |sql: &str| {
            let acts_as = self.pair.as_user_in(&self.database, value, sql).await?;
            acts_as.into_iter().next().ok_or_else(|| "no row".to_owned())
        };
        let reset = "DISCARD ALL";
        let client = rows("SELECT CURRENT_USER").await?;
        let text = |key: &str| value[key].as_str().unwrap();
        let session = self.server().connect(text("username"), text("password"), &self.database).await;
        let session = session.map_err(|error| error.to_string())?;
        session.batch_execute(reset).await.map_err(|error| error.to_string())?;
        let row = session.simple_query("SELECT CURRENT_USER").await.map_err(|error| error.to_string())?;
        let pooled = row.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok((client, pooled.ok_or("no row")?))
    }

    /// What must hold after a rotation that ended, while the setting is still there.
    async fn promise(&self, strategy: &str) -> Result<(), String> {
        let (current, pooled) =
            self.client(&self.world.current()).await.map_err(|why| format!("AWSCURRENT: {why}"))?;
        if current != pooled {
            return Err(format!("acts as {current:?}, and after DISCARD ALL as {pooled:?}"));
        }
        if strategy == "alternating-users" {
            let previous = self.world.labelled("AWSPREVIOUS").ok_or("nothing is AWSPREVIOUS")?;
            self.client(&previous).await.map_err(|why| format!("AWSPREVIOUS: {why}"))?;
        }
        Ok(())
    }

    async fn run(&self, strategy: &str, case: &Case) -> Result<Ended, String> {
        if self.change(case, true).await.is_err() {
            return Ok(Ended::Impossible);
        }
        // A setting that keeps clients out does so before and after. One that ends their sessions may do so at any moment.
        let usable =
            !case.hostile.name.ends_with("timeout") && self.client(&self.world.current()).await.is_ok();
        let mut ended = Ended::Rotated;
        for number in 1..=2 {
            let failed = |why: String| format!("rotation {number}: {why}");
            match self.world.rotate().await {
                Ok(_) if usable => self.promise(strategy).await.map_err(failed)?,
                Ok(_) => {}
                Err(error) => {
                    self.change(case, false).await.map_err(|error| error.to_string())?;
                    self.refused(&error).await.map_err(failed)?;
                    ended = Ended::Refused;
                    break;
                }
            }
        }
        self.change(case, false).await.map_err(|error| error.to_string())?;
        self.promise(strategy).await.map_err(|why| format!("without the setting: {why}"))?;
        Ok(ended)
    }

    /// A refusal has a remedy and has changed nothing, and the same rotation goes on when the setting is gone.
    async fn refused(&self, error: &str) -> Result<(), String> {
        if error.contains("LockedOut") || !error.contains("What to do: ") {
            return Err(error.to_owned());
        }
        self.client(&self.world.current()).await.map_err(|why| format!("{error}; AWSCURRENT: {why}"))?;
        let token = self.world.lab.secrets().version_with(&self.world.secret, "AWSPENDING");
        let token = token.ok_or_else(|| format!("{error}; nothing is pending"))?;
        self.world.steps(&token).await.map_err(|again| format!("{error}; then {again}"))?;
        Ok(())
    }
}

/// A schema with functions and operators that look like the server's own.
const TRAP: &str = "CREATE SCHEMA trap; GRANT USAGE ON SCHEMA trap TO PUBLIC; \
    CREATE FUNCTION trap.sprung() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$; \
    CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT trap.sprung()::text::timestamptz $$; \
    CREATE FUNCTION trap.pg_advisory_xact_lock(bigint) RETURNS bool LANGUAGE sql AS $$ SELECT trap.sprung() $$; \
    CREATE FUNCTION trap.pg_advisory_lock(bigint) RETURNS bool LANGUAGE sql AS $$ SELECT trap.sprung() $$; \
    CREATE FUNCTION trap.current_setting(text, bool) RETURNS text LANGUAGE sql AS $$ SELECT trap.sprung()::text $$; \
    CREATE FUNCTION trap.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT trap.sprung()::text $$; \
    CREATE FUNCTION trap.pg_has_role(name, oid, text) RETURNS bool LANGUAGE sql AS $$ SELECT trap.sprung() $$; \
    CREATE FUNCTION trap.equal(oid, oid) RETURNS bool LANGUAGE sql AS $$ SELECT trap.sprung() $$; \
    CREATE FUNCTION trap.equal(name, name) RETURNS bool LANGUAGE sql AS $$ SELECT trap.sprung() $$; \
    CREATE FUNCTION trap.equal(name, text) RETURNS bool LANGUAGE sql AS $$ SELECT trap.sprung() $$; \
    CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.equal); \
    CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, FUNCTION = trap.equal); \
    CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = text, FUNCTION = trap.equal); \
    CREATE VIEW trap.pg_roles AS SELECT 1 AS rolname; CREATE VIEW trap.pg_settings AS SELECT 1 AS name";

/// How much of the table a run takes, and in which order.
struct Extent {
    limit: Option<Duration>,
    seed: u64,
}

impl Extent {
    /// `TURNLOCK_SETTINGS` is `all` or a number of seconds; `TURNLOCK_SEED` chooses the sample.
    fn wanted() -> Extent {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = env::var("TURNLOCK_SEED").ok().and_then(|seed| seed.parse().ok());
        let limit = match env::var("TURNLOCK_SETTINGS").as_deref() {
            Ok("all") => None,
            Ok(seconds) => {
                let seconds = seconds.parse().expect("TURNLOCK_SETTINGS is `all` or a number of seconds");
                Some(Duration::from_secs(seconds))
            }
            Err(_) => Some(SAMPLE),
        };
        Extent { limit, seed: seed.unwrap_or(u64::from(now.subsec_nanos())) }
    }

    /// First the settings that every run includes, then the others, each in the seed's order.
    fn order(&self, hostiles: Vec<Hostile>) -> VecDeque<Case> {
        let places = [Place::Role, Place::Database, Place::Both];
        let mut cases = Vec::from_iter(hostiles.into_iter().flat_map(|hostile| {
            let case = move |place| Case { hostile: hostile.clone(), place };
            places.map(case)
        }));
        cases.sort_by_cached_key(|case| {
            let mut hasher = DefaultHasher::new();
            (self.seed, &case.hostile.name, &case.hostile.value, case.place).hash(&mut hasher);
            (!case.is_first(), hasher.finish())
        });
        cases.into()
    }
}

/// What the cases came to.
#[derive(Default)]
struct Report {
    ended: Vec<Ended>,
    /// Under which settings a strategy refused.
    refused: BTreeSet<String>,
    failures: Vec<String>,
}

async fn work(
    server: Arc<Postgres>,
    strategy: &str,
    cases: Arc<Mutex<VecDeque<Case>>>,
    until: Option<Instant>,
) -> Report {
    let mut report = Report::default();
    let mut stage = Stage::new(&server, strategy).await;
    loop {
        let Some(case) = cases.lock().unwrap().pop_front() else { return report };
        if until.is_some_and(|until| Instant::now() > until) && !case.is_first() {
            return report;
        }
        match stage.run(strategy, &case).await {
            Ok(ended) => {
                if ended == Ended::Refused {
                    report.refused.insert(format!("{strategy} {}", case.hostile.name));
                }
                report.ended.push(ended);
            }
            Err(why) => {
                report.failures.push(format!("{strategy}, {case:?}: {why}"));
                stage.world.function.kill();
                stage = Stage::new(&server, strategy).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_setting_of_a_role_or_a_database_locks_anybody_out() {
    let newest = Postgres::versions().await.unwrap().into_iter().max().unwrap();
    let server = Arc::new(Postgres::version(newest).setting("max_connections", "200").start().await.unwrap());
    server.execute("CREATE ROLE team; CREATE ROLE nobody_at_all").await.unwrap();
    let (extent, started) = (Extent::wanted(), Instant::now());
    let all = extent.order(hostile_values::all(&server).await);
    let planned = all.len() * STRATEGIES.len();
    let mut workers = JoinSet::new();
    for strategy in STRATEGIES {
        let cases = Arc::new(Mutex::new(all.clone()));
        let until = extent.limit.map(|limit| started + limit);
        for _ in 0..AT_ONCE {
            let (server, cases) = (Arc::clone(&server), Arc::clone(&cases));
            workers.spawn(async move { work(server, strategy, cases, until).await });
        }
    }
    let mut total = Report::default();
    while let Some(report) = workers.join_next().await {
        let report = report.unwrap();
        total.ended.extend(report.ended);
        total.refused.extend(report.refused);
        total.failures.extend(report.failures);
    }
    let count = |wanted| total.ended.iter().filter(|ended| **ended == wanted).count();
    println!(
        "settings on PostgreSQL {newest}: {} rotated twice, {} refused before anything changed, {} that the server does not allow, \
         {} failed, of {planned}, in {:.1?} (TURNLOCK_SEED={}); refused: {}",
        count(Ended::Rotated),
        count(Ended::Refused),
        count(Ended::Impossible),
        total.failures.len(),
        started.elapsed(),
        extent.seed,
        Vec::from_iter(total.refused).join(", ")
    );
    assert!(total.failures.is_empty(), "{}", total.failures.join("\n"));
}
