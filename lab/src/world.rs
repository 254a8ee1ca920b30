//! One secret under rotation and everything around it: a lab, a function's process, and the steps as the service calls them.
//! Tests, demos and sweeps of every target begin here.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::rotation::{Invoke, InvokeError, Rotation, Step};
use crate::runtime::{self, Function, RunningFunction};
use crate::secrets::{Hook, Refusal, Verdict};
use crate::{Lab, Options};

/// How soon a function has to report what is wrong with a server: in a third of 30 seconds, the default time limit of a hosted
/// function. The slowest report comes from a driver that does not say where it got stuck: a login at its limit of 5 seconds, then
/// a TCP connection at its limit of 4.
const TELLS_WITHIN: Duration = Duration::from_secs(10);

/// A lab with one secret and the function that rotates it.
pub struct World {
    /// The Secrets Manager.
    pub lab: Lab,
    /// The function.
    pub function: Arc<RunningFunction>,
    /// The secret's name.
    pub secret: String,
}

impl World {
    /// Creates a secret with this value, and starts a workspace package's binary as its function.
    pub async fn new(package: &str, env: &[(&str, &str)], value: &Value) -> io::Result<World> {
        World::with(Options::default(), package, env, value).await
    }

    /// The same, with options for the lab.
    pub async fn with(
        options: Options,
        package: &str,
        env: &[(&str, &str)],
        value: &Value,
    ) -> io::Result<World> {
        let mut function = Function::new(package, [Function::build(package)?]);
        for (name, value) in env {
            function = function.env(name, value);
        }
        World::of(options, function, value).await
    }

    /// Creates a secret with this value, and starts any function for it.
    pub async fn of(options: Options, function: Function, value: &Value) -> io::Result<World> {
        let lab = Lab::start(options).await?;
        let name = function.name().to_owned();
        let function = Arc::new(function.env("SECRETS_MANAGER_ENDPOINT", lab.endpoint()).start().await?);
        lab.attach(&name, function.clone());
        let secret = "prod/app".to_owned();
        let made = lab.secrets().create(&secret, &value.to_string());
        made.and_then(|_| lab.secrets().enable_rotation(&secret, &name)).map_err(io::Error::other)?;
        Ok(World { lab, function, secret })
    }

    /// Rotates once as the service does, but without retries.
    pub async fn rotate(&self) -> Result<String, String> {
        let token = self.begin().map_err(|refusal| refusal.to_string())?;
        self.steps(&token).await.map(|()| token)
    }

    /// Rotates up to the first error. The error must come in time, say what to do, and contain each of these texts. AWSCURRENT
    /// must keep its value.
    ///
    /// # Panics
    /// If any of this is not so.
    pub async fn fails(&self, parts: &[&str]) -> String {
        let before = self.current();
        let started = Instant::now();
        let error = self.rotate().await.expect_err("the rotation fails");
        assert!(started.elapsed() < TELLS_WITHIN, "after {:?}: {error}", started.elapsed());
        for part in parts {
            assert!(error.contains(part), "no {part:?} in: {error}");
        }
        assert!(error.contains("What to do: "), "{error}");
        assert_eq!(self.current(), before);
        error
    }

    /// Rotates as the service does, with retries.
    pub async fn rotate_with_retries(&self) -> Result<Rotation, Refusal> {
        self.lab.rotate(&self.secret).await
    }

    /// Makes the empty pending version of a new rotation, and returns its token.
    pub fn begin(&self) -> Result<String, Refusal> {
        self.lab.secrets().begin_rotation(&self.secret)
    }

    /// Calls the four steps in order until one fails. After the last step the service tidies its labels.
    pub async fn steps(&self, token: &str) -> Result<(), String> {
        for step in Step::ALL {
            self.step(token, step).await.map_err(|error| format!("{}: {error}", step.name()))?;
        }
        self.lab.secrets().end_rotation(&self.secret).map_err(|refusal| refusal.to_string())
    }

    /// Calls one step.
    pub async fn step(&self, token: &str, step: Step) -> Result<(), InvokeError> {
        self.lab.step(&self.secret, token, step).await
    }

    /// Stores a value with a label by hand, as anyone who may write the secret can.
    pub fn put(&self, token: &str, value: &Value, label: &str) -> Result<(), Refusal> {
        self.lab.secrets().put(&self.secret, token, &value.to_string(), &[label])
    }

    /// Removes the label AWSPENDING, as an operator does to give up a rotation.
    pub fn abandon(&self) -> Result<(), Refusal> {
        self.lab.secrets().remove_label(&self.secret, "AWSPENDING")
    }

    /// Edits a field of the pending value after createSecret, and returns setSecret's answer.
    pub async fn set_edited(&self, field: &str, value: Value) -> Result<(), String> {
        let refused = |refusal: Refusal| refusal.to_string();
        let token = self.begin().map_err(refused)?;
        self.step(&token, Step::CreateSecret).await.map_err(|error| error.to_string())?;
        let mut pending = self.labelled("AWSPENDING").ok_or("nothing is pending")?;
        pending[field] = value;
        // A version's value cannot change, so the edited value gets a version of its own.
        self.abandon().map_err(refused)?;
        let token = self.begin().map_err(refused)?;
        self.put(&token, &pending, "AWSPENDING").map_err(refused)?;
        self.step(&token, Step::SetSecret).await.map_err(|error| error.to_string())
    }

    /// Pauses a rotation after createSecret and lets another one overtake it. Then every step of the first must be refused.
    pub async fn refuses_when_overtaken(&self) -> Result<(), String> {
        let slow = self.begin().map_err(|refusal| refusal.to_string())?;
        self.step(&slow, Step::CreateSecret).await.map_err(|error| error.to_string())?;
        self.abandon().map_err(|refusal| refusal.to_string())?;
        self.rotate().await?;
        for step in Step::ALL {
            let answer = self.step(&slow, step).await;
            if !matches!(&answer, Err(error) if error.to_string().starts_with("NotRotatable:")) {
                return Err(format!("{}: {answer:?}", step.name()));
            }
        }
        Ok(())
    }

    /// The value under a label.
    pub fn labelled(&self, label: &str) -> Option<Value> {
        let text = self.lab.secrets().value(&self.secret, label)?;
        serde_json::from_str(&text).ok()
    }

    /// The value that clients use.
    ///
    /// # Panics
    /// If there is no current value, or it is not JSON.
    pub fn current(&self) -> Value {
        self.labelled("AWSCURRENT").expect("there is a current value, and it is JSON")
    }

    /// The values of all versions.
    pub fn values(&self) -> Vec<Value> {
        let secrets = self.lab.secrets();
        let versions = secrets.versions(&self.secret).unwrap_or_default();
        let texts = versions.iter().filter_map(|version| secrets.value_of(&self.secret, &version.id));
        texts.filter_map(|text| serde_json::from_str(&text).ok()).collect()
    }

    /// The function's output so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.function.output()).into_owned()
    }
}

/// Faults that take a process with them.
impl Hook {
    /// A hook that kills a function, and then cuts its call.
    #[must_use]
    pub fn kill(function: &Arc<RunningFunction>) -> Self {
        let function = Arc::clone(function);
        Self::new(move |_| {
            function.kill();
            async { Verdict::Cut }
        })
    }
}

impl Invoke for RunningFunction {
    fn invoke(
        &self,
        event: Value,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Value, InvokeError>> + Send + '_>> {
        Box::pin(async move {
            RunningFunction::invoke(self, event).await.map_err(|error| match error {
                runtime::InvokeError::Function(error) => {
                    InvokeError::Function { error_type: error.error_type, error_message: error.error_message }
                }
                other => InvokeError::NotInvokable(other.to_string()),
            })
        })
    }
}
