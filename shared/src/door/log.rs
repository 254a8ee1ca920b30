//! Writes logs as JSON lines, scrubbed. It writes only our own events, because the HTTP client, the drivers and the Lambda runtime
//! could log secrets at their finest levels.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use aws_smithy_types::date_time::{DateTime, Format};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::secret::Scrub;

/// The fields that every line of one invocation carries, and the secrets that must not appear in it.
#[derive(Default)]
struct Context {
    fields: Map<String, Value>,
    scrub: Arc<Scrub>,
}

static CONTEXT: OnceLock<Mutex<Context>> = OnceLock::new();

fn context() -> MutexGuard<'static, Context> {
    CONTEXT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a new invocation and forgets the fields of the last one.
pub fn enter(scrub: Arc<Scrub>) {
    *context() = Context { fields: Map::new(), scrub };
}

/// Adds a field to every further line of this invocation.
pub fn note(field: &str, value: &str) {
    context().fields.insert(field.to_owned(), value.into());
}

/// One of the fields that `note` has set.
pub fn noted(field: &str) -> Option<String> {
    context().fields.get(field).and_then(Value::as_str).map(str::to_owned)
}

/// Starts logging in this process.
pub fn start() {
    let level = std::env::var("RUST_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(Level::INFO);
    // A second start in one process changes nothing.
    let _ = tracing::subscriber::set_global_default(Lines { level });
}

/// Writes one line of JSON to standard output, where Lambda collects it. The caller has scrubbed its texts.
pub fn line(value: &Value) {
    let mut out = std::io::stdout().lock();
    // If standard output is gone, the error cannot be reported anywhere.
    let _ = writeln!(out, "{value}");
}

struct Lines {
    level: Level,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = ["rotation", "rotate_"].iter().any(|crates| metadata.target().starts_with(crates));
        ours && *metadata.level() <= self.level
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Map::new();
        let now = DateTime::from(SystemTime::now()).fmt(Format::DateTime).unwrap_or_default();
        fields.insert("timestamp".into(), now.into());
        fields.insert("level".into(), event.metadata().level().as_str().into());
        let mut said = Map::new();
        event.record(&mut Fields(&mut said));
        {
            let context = context();
            said.values_mut().for_each(|value| context.scrub.clean_json(value));
            // Our own words and identifiers: masked, they would show by what is missing that the password has them in it.
            for (key, value) in &context.fields {
                said.entry(key.as_str()).or_insert_with(|| value.clone());
            }
        }
        fields.append(&mut said);
        line(&Value::Object(fields));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}
