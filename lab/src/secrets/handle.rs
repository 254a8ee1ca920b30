//! The library's access to the secrets, without HTTP, faults, latency or the call log.

use std::sync::Arc;

use serde_json::{Value, json};

use super::caller::Caller;
use super::input::Input;
use super::name::SecretId;
use super::operation;
use super::refusal::Refusal;
use super::secret::{Content, PENDING, Secret, Version};
use super::service::Service;
use super::state::Found;
use crate::uuid::new_uuid;

/// One version as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// The version's id, which is the token of the request that made it.
    pub id: String,
    /// Its labels, in alphabetical order.
    pub labels: Vec<String>,
    /// False for the empty version of a rotation that has not been filled.
    pub has_value: bool,
}

/// The secrets of one account and Region.
#[derive(Clone)]
pub struct Secrets {
    pub(crate) service: Arc<Service>,
    pub(crate) caller: Caller,
}

impl Secrets {
    /// The same lab in another Region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let caller = Caller { region: region.into(), ..self.caller.clone() };
        Self { service: Arc::clone(&self.service), caller }
    }

    /// Calls any operation of the service, by its name and JSON.
    pub fn call(&self, operation: &str, request: Value) -> Result<Value, Refusal> {
        self.service.perform(&self.caller, operation, &Input::parse(request.to_string().as_bytes())?)
    }

    /// Creates a secret with a first value, and returns its ARN.
    pub fn create(&self, name: &str, value: &str) -> Result<String, Refusal> {
        let token = new_uuid();
        let request = json!({"Name": name, "SecretString": value, "ClientRequestToken": token});
        Ok(self.call("CreateSecret", request)?["ARN"].as_str().unwrap_or_default().to_owned())
    }

    /// Puts a value under a token, with these labels. Without labels it becomes the current value.
    pub fn put(&self, id: &str, token: &str, value: &str, labels: &[&str]) -> Result<(), Refusal> {
        let mut request = json!({"SecretId": id, "ClientRequestToken": token, "SecretString": value});
        if !labels.is_empty() {
            request["VersionStages"] = json!(labels);
        }
        self.call("PutSecretValue", request).map(drop)
    }

    /// The value that a label names, if there is one.
    #[must_use]
    pub fn value(&self, id: &str, label: &str) -> Option<String> {
        self.look(id, |secret| secret.labelled(label).and_then(text)).ok().flatten()
    }

    /// The value of a version, if it has one.
    #[must_use]
    pub fn value_of(&self, id: &str, version: &str) -> Option<String> {
        self.look(id, |secret| secret.version(version).and_then(text)).ok().flatten()
    }

    /// Every version, even deprecated ones, in the order of creation.
    pub fn versions(&self, id: &str) -> Result<Vec<VersionInfo>, Refusal> {
        let info = |version: &Version| VersionInfo {
            id: version.id.clone(),
            labels: version.labels.iter().cloned().collect(),
            has_value: version.content.is_some(),
        };
        self.look(id, |secret| secret.versions.iter().map(info).collect())
    }

    /// The version that carries a label.
    #[must_use]
    pub fn version_with(&self, id: &str, label: &str) -> Option<String> {
        self.look(id, |secret| secret.id_of(label)).ok().flatten()
    }

    /// The full ARN.
    pub fn arn(&self, id: &str) -> Result<String, Refusal> {
        let found = self.find(id)?;
        self.service.look(|state| Ok(state.secret(&found.key)?.arn_in(&found.region)))
    }

    /// Moves a label from the version that has it. Without a target the label is removed.
    pub fn move_label(&self, id: &str, label: &str, to: Option<&str>) -> Result<(), Refusal> {
        let from = self.version_with(id, label);
        let mut request = json!({"SecretId": id, "VersionStage": label});
        if let Some(from) = from {
            request["RemoveFromVersionId"] = json!(from);
        }
        if let Some(to) = to {
            request["MoveToVersionId"] = json!(to);
        }
        self.call("UpdateSecretVersionStage", request).map(drop)
    }

    /// Removes a label, as an operator removes AWSPENDING. It does nothing if no version has the label.
    pub fn remove_label(&self, id: &str, label: &str) -> Result<(), Refusal> {
        self.version_with(id, label).map_or(Ok(()), |_| self.move_label(id, label, None))
    }

    /// Configures rotation with an attached function, but does not rotate.
    pub fn enable_rotation(&self, id: &str, function: &str) -> Result<(), Refusal> {
        let found = self.find(id)?;
        let function = self.service.function_arn(function);
        self.service.change(|cx| {
            let settings = cx.state.secret_mut(&found.key)?.rotation.get_or_insert_default();
            settings.enabled = true;
            settings.function = Some(function);
            Ok(())
        })
    }

    /// Begins a rotation without calling the function: makes an empty version labelled AWSPENDING. Returns its token.
    pub fn begin_rotation(&self, id: &str) -> Result<String, Refusal> {
        let found = self.find(id)?;
        let token = new_uuid();
        self.service.change(|cx| {
            operation::refuse_incomplete(cx.secret(&found)?)?;
            cx.state.secret_mut(&found.key)?.rotation.get_or_insert_default().enabled = true;
            operation::begin(cx, &found.key, &token, true)
        })?;
        Ok(token)
    }

    /// Ends a rotation as the service does after a successful finishSecret: removes AWSPENDING from the current version.
    pub fn end_rotation(&self, id: &str) -> Result<(), Refusal> {
        let found = self.find(id)?;
        self.service.change(|cx| {
            let secret = cx.state.secret_mut(&found.key)?;
            if !secret.rotation_incomplete() {
                secret.detach(PENDING);
                secret.rotation.get_or_insert_default().under_way = None;
            }
            Ok(())
        })
    }

    /// Tags a secret as an AWS service does. Such keys may start with `aws:`.
    pub fn tag_as_service(&self, id: &str, key: &str, value: &str) -> Result<(), Refusal> {
        let found = self.find(id)?;
        self.service.change(|cx| {
            let tags = cx.state.secret_mut(&found.key)?.tags.get_or_insert_default();
            tags.push((key.to_owned(), value.to_owned()));
            Ok(())
        })
    }

    pub(crate) fn find(&self, id: &str) -> Result<Found, Refusal> {
        let id = SecretId::parse(id)?;
        let Caller { account, region, .. } = &self.caller;
        let now = self.service.clock.now();
        self.service.look(|state| state.find(account, region, &id, now))
    }

    fn look<T>(&self, id: &str, look: impl FnOnce(&Secret) -> T) -> Result<T, Refusal> {
        let found = self.find(id)?;
        self.service.look(|state| Ok(look(state.secret(&found.key)?)))
    }
}

fn text(version: &Version) -> Option<String> {
    match &version.content {
        Some(Content::Text(text)) => Some(text.clone()),
        _ => None,
    }
}
