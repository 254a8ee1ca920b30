//! Secrets Manager, as the steps see it: labels, values, put, promote. Every call ends before the deadline, and every failure
//! becomes an error that says who must act.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::deadline::Deadline;
use crate::engine::login::Proof;
use crate::error::{Error, Kind, Result};
use crate::said::Said;
use crate::secret::Secret;
use crate::value::document::Document;
use crate::value::version::{Labels, Stage, Version, VersionId};

/// For one operation with all its tries; a step needs several and has a database to talk to as well.
const OPERATION: Duration = Duration::from_secs(15);
/// How long a version that must have a value may be missing: reads can lag behind writes.
const LAG: Duration = Duration::from_secs(5);

/// The hint where Secrets Manager has never answered this step.
const NO_WAY: &str = "in a VPC without NAT, give Secrets Manager an interface endpoint whose security group lets the function in";
/// The hint where it has: there is a way.
const SLOW: &str = "Secrets Manager answered this step before, and was then slow or away until the step ran out of time. It runs the step again by \
                    itself; if this happens often, raise the function's timeout to 30 s or more";

/// One secret in Secrets Manager, during one invocation.
pub struct Store {
    client: Client,
    secret: String,
    deadline: Deadline,
    /// The secret's full ARN, once an answer has named it.
    arn: OnceCell<String>,
    /// Whether the service has answered this step before.
    answered: Cell<bool>,
}

/// What a PutSecretValue came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// The value is stored under the token.
    Stored,
    /// Another invocation stored a value under this token first; that one counts.
    Lost,
}

impl Store {
    /// The secret that the event named.
    pub fn new(client: Client, secret: String, deadline: Deadline) -> Store {
        Store { client, secret, deadline, arn: OnceCell::new(), answered: Cell::new(false) }
    }

    /// What the event called the secret.
    pub fn name(&self) -> &str {
        &self.secret
    }

    /// The labels, as they are now.
    pub async fn describe(&self) -> Result<Labels> {
        let labels = self.describe_other(&self.secret).await?;
        self.arn.get_or_init(|| labels.arn.clone());
        Ok(labels)
    }

    /// The secret's full ARN; asked for only if no answer has named it yet.
    pub async fn arn(&self) -> Result<&str> {
        if self.arn.get().is_none() {
            self.describe().await?;
        }
        Ok(self.arn.get().map_or("", String::as_str))
    }

    /// The labels and tags of another secret, such as the admin's.
    pub async fn describe_other(&self, secret: &str) -> Result<Labels> {
        let call = self.client.describe_secret().secret_id(secret).send();
        match self.finish(&"DescribeSecret", call).await? {
            Ok(output) => Ok(labels(output)),
            Err(error) => Err(refusal("DescribeSecret", secret, &error)),
        }
    }

    /// The version that carries a label, if there is one.
    pub async fn labelled(&self, stage: Stage) -> Result<Option<Version>> {
        self.labelled_other(&self.secret, stage).await
    }

    /// The version of another secret that carries a label.
    pub async fn labelled_other(&self, secret: &str, stage: Stage) -> Result<Option<Version>> {
        let call = self.client.get_secret_value().secret_id(secret).version_stage(stage.name()).send();
        self.value(secret, call).await
    }

    /// A version by its id, if it has a value. By id alone: the gate has seen the label, and a read of both fails while the
    /// label lags.
    pub async fn version(&self, id: &VersionId) -> Result<Option<Version>> {
        let call = self.client.get_secret_value().secret_id(&self.secret).version_id(id.as_str()).send();
        self.value(&self.secret, call).await
    }

    /// A version that must have a value by now: reads can lag, so absence is believed only after a while.
    pub async fn settled(&self, id: &VersionId) -> Result<Version> {
        let patience = Deadline::after(LAG.min(self.deadline.left()));
        let mut pause = Duration::from_millis(100);
        loop {
            if let Some(version) = self.version(id).await? {
                return Ok(version);
            }
            if patience.left().is_zero() {
                return Err(Error::new(Kind::NotRotatable, format!("version {id} has no value"))
                    .remedy("createSecret has to run first: rotate again, which starts with it"));
            }
            tokio::time::sleep(pause.min(patience.left())).await;
            pause *= 2;
        }
    }

    /// Every version's id without its value, newest first, the deprecated ones included.
    pub async fn all_versions(&self) -> Result<Vec<VersionId>> {
        Ok(self.dated_versions().await?.into_iter().map(|(_, id)| id).collect())
    }

    /// The versions that may be newer than this one, newest first. Versions of the same date are among them.
    pub async fn versions_since(&self, version: &VersionId) -> Result<Vec<VersionId>> {
        let all = self.dated_versions().await?;
        let since = all.iter().find(|(_, id)| id == version).and_then(|(made, _)| *made);
        let newer = all.into_iter().filter(|(made, id)| *made >= since && id != version);
        Ok(newer.map(|(_, id)| id).collect())
    }

    async fn dated_versions(&self) -> Result<Vec<(Option<i128>, VersionId)>> {
        let mut found = Vec::new();
        let mut page = None;
        loop {
            let call = self.client.list_secret_version_ids().secret_id(&self.secret);
            let call = call.include_deprecated(true).set_next_token(page).send();
            let output = match self.finish(&"ListSecretVersionIds", call).await? {
                Ok(output) => output,
                Err(error) => return Err(refusal("ListSecretVersionIds", &self.secret, &error)),
            };
            for entry in output.versions.unwrap_or_default() {
                let made = entry.created_date.map(|date| date.as_nanos());
                found.extend(entry.version_id.map(|id| (made, VersionId::new(id))));
            }
            page = output.next_token;
            if page.is_none() {
                break;
            }
        }
        found.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
        Ok(found)
    }

    /// Stores the pending value under the rotation's token.
    pub async fn put(&self, token: &VersionId, value: &Document, authority: Option<&Secret>) -> Result<Put> {
        let text = value.to_text()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "exposes the new value to Secrets Manager, which is to keep it"
        )]
        let call = self
            .client
            .put_secret_value()
            .secret_id(&self.secret)
            .client_request_token(token.as_str())
            .secret_string(text.expose())
            .version_stages(Stage::Pending.name())
            .set_rotation_token(authority.map(|token| token.expose().to_owned()))
            .send();
        match self.finish(&"PutSecretValue", call).await? {
            Ok(_) => Ok(Put::Stored),
            Err(error) if error.code() == Some("ResourceExistsException") => Ok(Put::Lost),
            Err(error) => Err(refusal("PutSecretValue", &self.secret, &error)),
        }
    }

    /// Moves AWSCURRENT to a version that has logged in during this invocation, away from the version that was seen to hold
    /// it: the service refuses if that has changed meanwhile. After a refusal, such as a second try gets whose first answer was
    /// lost, the labels are read again: where AWSCURRENT is on the version after all, it was us or our twin.
    pub async fn promote(&self, proof: &Proof, from: Option<&VersionId>) -> Result<()> {
        let call = self
            .client
            .update_secret_version_stage()
            .secret_id(&self.secret)
            .version_stage(Stage::Current.name())
            .move_to_version_id(proof.version().as_str())
            .set_remove_from_version_id(from.map(|id| id.as_str().to_owned()))
            .send();
        let error = match self.finish(&"UpdateSecretVersionStage", call).await? {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let labels = self.describe().await?;
        if labels.has(proof.version(), Stage::Current) {
            return Ok(());
        }
        if labels.holder(Stage::Current) != from {
            return Err(Error::new(Kind::Conflict, "AWSCURRENT moved while this rotation was finishing"));
        }
        Err(refusal("UpdateSecretVersionStage", &self.secret, &error))
    }

    async fn value<E>(
        &self,
        secret: &str,
        call: impl Future<Output = Result<GetSecretValueOutput, SdkError<E, HttpResponse>>>,
    ) -> Result<Option<Version>>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match self.finish(&"GetSecretValue", call).await? {
            Ok(output) => version(output).map(Some),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(refusal("GetSecretValue", secret, &error)),
        }
    }

    /// Waits for a call; an error that is not the service's answer is turned into ours here.
    async fn finish<T, E>(
        &self,
        operation: &dyn fmt::Display,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<Result<T, Refused<E>>>
    where
        E: std::error::Error + 'static,
    {
        let what = format!("Secrets Manager's answer to {operation}");
        let silent = |error: Error| error.remedy(if self.answered.get() { SLOW } else { NO_WAY });
        let outcome = self.deadline.within(OPERATION, what, call).await.map_err(silent)?;
        self.answered.set(self.answered.get() || matches!(outcome, Ok(_) | Err(SdkError::ServiceError(_))));
        match outcome {
            Ok(output) => Ok(Ok(output)),
            Err(SdkError::ServiceError(answer)) => {
                let is_failure = answer.raw().status().is_server_error();
                Ok(Err(Refused { error: answer.into_err(), is_failure }))
            }
            Err(SdkError::ConstructionFailure(error)) => {
                let what = format!("{operation} could not be sent");
                Err(Error::new(Kind::Bug, what)
                    .because(&SdkError::<E, HttpResponse>::ConstructionFailure(error)))
            }
            Err(error) => {
                let what = format!("Secrets Manager did not answer {operation}");
                Err(silent(Error::new(Kind::Unreachable, what).because(&error)))
            }
        }
    }
}

/// An answer that is not what was asked for.
struct Refused<E> {
    error: E,
    /// The service failed (HTTP 5xx). Then nobody knows whether the call took effect, whatever the code says.
    is_failure: bool,
}

impl<E: ProvideErrorMetadata> Refused<E> {
    fn code(&self) -> Option<&str> {
        self.error.code()
    }
}

/// What a refusal of Secrets Manager means.
fn refusal<E: ProvideErrorMetadata>(operation: &str, secret: &str, answer: &Refused<E>) -> Error {
    let Refused { error, is_failure } = answer;
    let code = error.code().unwrap_or("an error without a code");
    let message = error.message().unwrap_or_default();
    let refused = |kind| {
        Error::new(kind, format!("Secrets Manager refused {operation} for {secret} with {code}"))
            .cause(Said::new(message))
    };
    let of_the_key = "allow kms:Decrypt and kms:GenerateDataKey on the secret's key to the function's role";
    match code {
        "DecryptionFailure" | "EncryptionFailure" => refused(Kind::AccessDenied).remedy(of_the_key),
        "AccessDeniedException" | "AccessDenied" if message.contains("KMS") => {
            refused(Kind::AccessDenied).remedy(of_the_key)
        }
        "AccessDeniedException" | "AccessDenied" => refused(Kind::AccessDenied)
            .remedy(format!("allow secretsmanager:{operation} on {secret} to the function's role")),
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "IncompleteSignature" => refused(Kind::AccessDenied)
            .remedy("the function's credentials are not valid for this account and Region"),
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "LimitExceededException" => refused(Kind::Throttled),
        "InternalServiceError" | "InternalFailure" | "ServiceUnavailable" => {
            refused(Kind::Unreachable).remedy("the service failed; Secrets Manager tries again by itself")
        }
        "ResourceNotFoundException" => {
            refused(Kind::NotRotatable).remedy("check that the secret exists in this account and Region")
        }
        _ if *is_failure => {
            refused(Kind::Unreachable).remedy("the service failed; Secrets Manager tries again by itself")
        }
        _ => refused(Kind::NotRotatable),
    }
}

fn labels(output: DescribeSecretOutput) -> Labels {
    let versions = output
        .version_ids_to_stages
        .map(|versions| versions.into_iter().map(|(id, labels)| (VersionId::new(id), labels)).collect());
    let tags = output.tags.unwrap_or_default().into_iter();
    Labels {
        arn: output.arn.unwrap_or_default(),
        rotation_enabled: output.rotation_enabled,
        function: output.rotation_lambda_arn,
        versions,
        tags: tags.filter_map(|tag| Some((tag.key?, tag.value?))).collect(),
    }
}

fn version(output: GetSecretValueOutput) -> Result<Version> {
    let id = VersionId::new(output.version_id.unwrap_or_default());
    let Some(text) = output.secret_string else {
        return Err(Error::new(Kind::BadSecret, format!("version {id} holds binary data"))
            .remedy("store the secret as text (SecretString)"));
    };
    let text = zeroize::Zeroizing::new(text);
    let created = output.created_date.and_then(|date| std::time::SystemTime::try_from(date).ok());
    Ok(Version { id, document: Document::parse(&text), created })
}
