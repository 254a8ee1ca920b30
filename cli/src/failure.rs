//! What can go wrong, told twice: what happened, and what to do; and how that becomes an exit code.

use std::process::ExitCode;

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::labels::name_of;

/// How a command ends. The numbers are a contract (docs/cli.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done as asked; nothing is wrong.
    Fine,
    /// It looked and found something wrong, or a rotation failed.
    Finding,
    /// The command line was not understood, or asks for something that needs `--yes`.
    Usage,
    /// It could not look: no credentials, no answer, no such secret.
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
            Exit::Interrupted => 130, // what a shell reports of a program that SIGINT ended
        })
    }
}

/// Why a command stopped. Sentences without capital and full stop.
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

    /// Secrets Manager did not do what it was asked.
    pub(crate) fn service<E>(
        operation: &str,
        secret: &str,
        place: &str,
        error: SdkError<E, HttpResponse>,
    ) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        if let Some(answer) = error.as_service_error() {
            return refusal(operation, name_of(secret), place, answer.code(), answer.message());
        }
        // The innermost cause is the one that says something.
        let mut innermost: &dyn std::error::Error = &error;
        let mut text = innermost.to_string();
        while let Some(cause) = innermost.source() {
            innermost = cause;
            text = cause.to_string();
        }
        if text.contains("credentials") {
            return Failure::blind(
                "no AWS credentials were found",
                "log in (`aws configure` or `aws sso login`, then --profile), or point at a lab with --endpoint-url",
            );
        }
        Failure::blind(
            format!("Secrets Manager could not be reached at {place}: {text}"),
            "check --region, --endpoint-url, the network and proxy settings; is the lab running?",
        )
    }
}

fn refusal(operation: &str, secret: &str, place: &str, code: Option<&str>, message: Option<&str>) -> Failure {
    let code = code.unwrap_or("an error without a code");
    let message = message.unwrap_or_default();
    match code {
        "ResourceNotFoundException" if operation != "GetSecretValue" => Failure::blind(
            format!("there is no secret {secret} at {place}"),
            "check its name, --region and --profile; `turnlock status` lists what is there",
        ),
        "AccessDeniedException" | "AccessDenied" => Failure::blind(
            format!("Secrets Manager refused {operation} for {secret}: {message}"),
            format!("you need secretsmanager:{operation} on it, and kms:Decrypt where its key is your own"),
        ),
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            Failure::blind(
                format!("Secrets Manager does not accept these credentials: {message}"),
                "log in again, or choose another --profile",
            )
        }
        _ => Failure::blind(
            format!("Secrets Manager refused {operation} for {secret} with {code}: {message}"),
            "`turnlock explain` shows the state the secret is in",
        ),
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::blind(error.to_string(), "see the message; nothing was changed by this")
    }
}
