//! An account, its secret under rotation, and the function.

use std::sync::Arc;

use lab::rotation::Step;
use lab::runtime::RunningFunction;
use lab::sweep::{Accepts, violation};
use lab::world::World;
use serde_json::Value;

use super::flaw::Flaw;
use super::server::Server;

/// The scene. At its end its processes are dead, so nothing of theirs reaches a later scene.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) server: Arc<Server>,
    pub(super) user: String,
    accepts: Accepts,
    overlaps: bool,
    _end: End,
}

struct End(Arc<RunningFunction>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.kill();
    }
}

impl Scene {
    pub(super) fn new(
        world: World,
        server: &Arc<Server>,
        user: &str,
        accepts: Accepts,
        overlaps: bool,
    ) -> Scene {
        let end = End(Arc::clone(&world.function));
        Scene { world, server: Arc::clone(server), user: user.to_owned(), accepts, overlaps, _end: end }
    }

    /// Rotates once. A function that only says so has not.
    pub(super) async fn rotate(&self) -> Result<String, Flaw> {
        let token = self.world.rotate().await.map_err(Flaw::Stuck)?;
        match self.version("AWSCURRENT").as_deref() == Some(token.as_str()) {
            true => Ok(token),
            false => Err(Flaw::Stuck("every step succeeds, and the new version is not current".to_owned())),
        }
    }

    /// Runs a step that should go through.
    pub(super) async fn go(&self, token: &str, step: Step) -> Result<(), Flaw> {
        self.step(token, step).await.map_err(Flaw::Stuck)
    }

    /// Runs a step; its error as one text.
    pub(super) async fn step(&self, token: &str, step: Step) -> Result<(), String> {
        self.world.step(token, step).await.map_err(|error| format!("{}: {error}", step.name()))
    }

    /// Sees that the promise holds now: something stored logs in, and where two users take turns, AWSCURRENT does.
    pub(super) async fn holds(&self, when: &str) -> Result<(), Flaw> {
        let secrets = self.world.lab.secrets();
        match violation(&secrets, &self.world.secret, &self.accepts, self.overlaps).await {
            Some(broken) => Err(Flaw::Fails(format!("{when} {broken}"))),
            None => Ok(()),
        }
    }

    /// The value that clients use.
    pub(super) fn current(&self) -> Result<Value, Flaw> {
        let value = self.world.labelled("AWSCURRENT");
        value.ok_or_else(|| Flaw::Fails("AWSCURRENT has no value that clients could read".into()))
    }

    /// Sees that AWSCURRENT logs in.
    pub(super) async fn current_logs_in(&self, when: &str) -> Result<(), Flaw> {
        match self.server.accepts(&self.current()?).await? {
            true => Ok(()),
            false => Err(Flaw::Fails(format!("{when} AWSCURRENT does not log in"))),
        }
    }

    /// The version that a label is on.
    pub(super) fn version(&self, label: &str) -> Option<String> {
        self.world.lab.secrets().version_with(&self.world.secret, label)
    }

    /// Every password that any version holds, and the admin's.
    pub(super) fn passwords(&self) -> Vec<String> {
        let admin = self.world.lab.secrets().value("prod/admin", "AWSCURRENT");
        let admin = admin.and_then(|text| serde_json::from_str(&text).ok());
        let values = self.world.values().into_iter().chain(admin);
        values.filter_map(|value| value["password"].as_str().map(str::to_owned)).collect()
    }
}
