//! Errors of the command line: what happened, what to do, and the exit code.

use std::error::Error;
use std::process::ExitCode;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::name::name_of;

/// The hint for throttling and for internal errors of a service.
pub(crate) const PASSES: &str = "wait a minute, then run the command again";

/// The secret's name in errors of calls that concern all secrets.
pub(crate) const EVERY: &str = "*";

/// How a command ends. The numbers are a contract (docs/cli.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done as asked; nothing is wrong.
    Fine,
    /// The command found something wrong, or a rotation failed.
    Finding,
    /// The command line was not understood, or asks for something that needs `--yes`.
    Usage,
    /// The command could not look: no credentials, no answer, no such secret.
    Blind,
    /// Stopped by ctrl-C.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Fine => 0,
            Exit::Finding => 1,
            Exit::Usage => 2,
            Exit::Blind => 3,
            Exit::Interrupted => 130, // as a shell reports a program that SIGINT ended
        })
    }
}

/// Why a command stopped. The texts are sentences without capital letter and full stop.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Failure {
    pub(crate) fn finding(what: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { exit: Exit::Finding, what: what.into(), hint: hint.into() }
    }

    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { exit: Exit::Usage, what: what.into(), hint: hint.into() }
    }

    pub(crate) fn blind(what: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { exit: Exit::Blind, what: what.into(), hint: hint.into() }
    }

    /// Secrets Manager refused a call or could not be reached.
    pub(crate) fn service<E>(
        operation: &str,
        secret: &str,
        place: &str,
        error: SdkError<E, HttpResponse>,
    ) -> Failure
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if let Some(answer) = error.as_service_error() {
            return refusal(operation, name_of(secret), place, answer.code(), answer.message());
        }
        if let Some(error) = causes(&error).find_map(|cause| cause.downcast_ref()) {
            return Failure::nobody(error);
        }
        if error.raw_response().is_some() {
            return stranger(place);
        }
        Failure::blind(
            format!("Secrets Manager could not be reached at {place}: {}", innermost(&error)),
            "check --region, --endpoint-url, the network and proxy settings; is the lab running?",
        )
    }

    /// There are no AWS credentials.
    pub(crate) fn nobody(error: &CredentialsError) -> Failure {
        let why = match error {
            // The SDK's list of searched places is a page long.
            CredentialsError::CredentialsNotLoaded(_) => String::new(),
            other => format!(": {}", innermost(other).trim_end()),
        };
        Failure::blind(
            format!("no AWS credentials were found{why}"),
            "log in (`aws configure` or `aws sso login`, then --profile), or point at a lab with --endpoint-url",
        )
    }
}

/// An error and what caused it, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The text of the innermost cause, which is the most specific one.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn refusal(operation: &str, secret: &str, place: &str, code: Option<&str>, message: Option<&str>) -> Failure {
    let Some(code) = code else { return stranger(place) };
    let message = message.unwrap_or("it gives no reason");
    let asked = if secret == EVERY { operation.to_owned() } else { format!("{operation} for {secret}") };
    match code {
        "ResourceNotFoundException" if operation != "GetSecretValue" => Failure::blind(
            format!("there is no secret {secret} at {place}"),
            "check its name, --region and --profile; `turnlock status` lists the secrets there",
        ),
        "AccessDeniedException" if operation == "RotateSecret" && message.contains("cannot invoke") => {
            Failure::blind(
                format!("Secrets Manager refused {asked}: {message}"),
                "`turnlock doctor` checks the function and its permissions",
            )
        }
        "AccessDeniedException" | "AccessDenied" => Failure::blind(
            format!("Secrets Manager refused {asked}: {message}"),
            match operation {
                "GetSecretValue" => {
                    "you need secretsmanager:GetSecretValue on the secret, and kms:Decrypt if it has a customer managed key"
                        .to_owned()
                }
                _ => format!("you need secretsmanager:{operation}, and no policy that denies it"),
            },
        ),
        "InvalidSignatureException" if message.starts_with("Signature ") => Failure::blind(
            format!("the clocks of Secrets Manager and this machine differ: {message}"),
            "set this machine's clock: AWS refuses signatures that are five minutes off",
        ),
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            Failure::blind(
                format!("Secrets Manager does not accept these credentials: {message}"),
                "log in again, or choose another --profile",
            )
        }
        "ThrottlingException" | "InternalServiceError" => {
            Failure::blind(format!("Secrets Manager could not complete {asked} ({code}): {message}"), PASSES)
        }
        _ => Failure::blind(
            format!("Secrets Manager refused {asked} with {code}: {message}"),
            "`turnlock explain` shows the secret's state",
        ),
    }
}

/// The error for an answer that is not Secrets Manager's.
fn stranger(place: &str) -> Failure {
    Failure::blind(
        format!("the server at {place} is not Secrets Manager"),
        "check --endpoint-url, and whether a proxy on the way answers instead",
    )
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::blind(
            format!("this machine could not do what the command needs: {error}"),
            "correct that, and run the command again",
        )
    }
}

/// A lab that this program started refused a call.
impl From<lab::secrets::Refusal> for Failure {
    fn from(refusal: lab::secrets::Refusal) -> Failure {
        Failure::finding(format!("the lab refused: {refusal}"), "please report this with the output above")
    }
}
