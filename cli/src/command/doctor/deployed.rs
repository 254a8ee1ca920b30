//! Checks the deployed function, its callers, its role's permissions and the secret's key, with five calls to Lambda, IAM and KMS.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::account::Account;
use crate::failure::{Failure, PASSES};
use crate::finding::Finding;
use crate::labels::State;
use crate::signed::{Answer, Request, Signed};

/// The calls of a rotation. The template grants the same.
const ACTIONS: [&str; 5] = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
];

/// The smallest timeout, in seconds, with which a step can wait for a slow login.
const LEAST_TIMEOUT: u64 = 10;

pub(super) async fn findings(account: &Account, state: &State, function: Option<&str>) -> Vec<Finding> {
    let Some(arn) = function else { return Vec::new() };
    let look = async {
        let endpoint = account.endpoint_of("lambda")?;
        let signed = Signed::new(account, Duration::from_secs(30)).await?;
        Ok::<_, Failure>(Aws { account, signed, lambda: endpoint, function: arn, secret: &state.arn })
    };
    let aws = match look.await {
        Ok(aws) => aws,
        Err(failure) => return vec![Finding::skipped("function", failure.what, Some(&failure.hint))],
    };
    let mut findings = Vec::new();
    let configuration = aws.configuration(&mut findings).await;
    findings.push(aws.invocation().await.unwrap_or_else(|failure| unseen("invocation", &failure)));
    let key = state.described.kms_key_id.as_deref().filter(|key| !key.ends_with("alias/aws/secretsmanager"));
    if let Some(role) = configuration.as_ref().and_then(|it| it["Role"].as_str()) {
        findings.push(aws.role(role, &ACTIONS, aws.secret, "role").await);
        if let Some(key) = key.filter(|key| key.starts_with("arn:")) {
            findings.push(aws.role(role, &["kms:Decrypt", "kms:GenerateDataKey"], key, "role-key").await);
        }
    }
    if let Some(key) = key {
        findings.push(aws.key(key).await.unwrap_or_else(|failure| unseen("key", &failure)));
    }
    findings
}

fn unseen(check: &str, failure: &Failure) -> Finding {
    Finding::skipped(check, &failure.what, Some(&failure.hint))
}

/// The account that asks, and the function and secret to ask about.
struct Aws<'a> {
    account: &'a Account,
    signed: Signed,
    lambda: String,
    function: &'a str,
    secret: &'a str,
}

impl Aws<'_> {
    async fn lambda(&self, what: &str) -> Result<Answer, Failure> {
        let path = format!("/2015-03-31/functions/{}/{what}", self.function.replace(':', "%3A"));
        let (service, endpoint) = ("lambda", self.lambda.as_str());
        self.signed
            .send(Request { service, endpoint, method: "GET", path: &path, headers: &[], body: Bytes::new() })
            .await
    }

    /// GetFunctionConfiguration.
    async fn configuration(&self, findings: &mut Vec<Finding>) -> Option<Value> {
        let answer = match self.lambda("configuration").await {
            Ok(answer) => answer,
            Err(failure) => {
                findings.push(unseen("function", &failure));
                return None;
            }
        };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        findings.push(match answer.status {
            200 => configuration(&body),
            404 => Finding::fail(
                "function",
                format!("there is no function {}", self.function),
                "deploy it, and attach it with rotate-secret --rotation-lambda-arn",
            ),
            status => denied("function", "lambda:GetFunctionConfiguration", status),
        });
        (answer.status == 200).then_some(body)
    }

    /// GetPolicy: whether Secrets Manager may invoke the function.
    async fn invocation(&self) -> Result<Finding, Failure> {
        let answer = self.lambda("policy").await?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let hint = "aws lambda add-permission --principal secretsmanager.amazonaws.com --action lambda:InvokeFunction --source-account ACCOUNT";
        Ok(match answer.status {
            200 => {
                let policy: Value =
                    serde_json::from_str(body["Policy"].as_str().unwrap_or_default()).unwrap_or_default();
                invocation(&policy, hint)
            }
            404 => {
                Finding::fail("invocation", "the function has no resource policy: nobody may invoke it", hint)
            }
            status => denied("invocation", "lambda:GetPolicy", status),
        })
    }

    /// SimulatePrincipalPolicy.
    async fn role(&self, role: &str, actions: &[&str], resource: &str, check: &str) -> Finding {
        let escaped = |text: &str| {
            text.replace(':', "%3A")
                .replace('/', "%2F")
                .replace('+', "%2B")
                .replace('=', "%3D")
                .replace('@', "%40")
        };
        let mut body = format!(
            "Action=SimulatePrincipalPolicy&Version=2010-05-08&PolicySourceArn={}&ResourceArns.member.1={}",
            escaped(role),
            escaped(resource)
        );
        for (at, action) in actions.iter().enumerate() {
            body += &format!("&ActionNames.member.{}={}", at + 1, escaped(action));
        }
        let (endpoint, region) = iam(self.account.region());
        let endpoint = std::env::var("AWS_ENDPOINT_URL_IAM").unwrap_or_else(|_| endpoint.to_owned());
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let signed = self.signed.in_region(region);
        let request = Request {
            service: "iam",
            endpoint: &endpoint,
            method: "POST",
            path: "/",
            headers: &headers,
            body: body.into(),
        };
        match signed.send(request).await {
            Ok(answer) if answer.status == 200 => {
                simulated(check, role, &String::from_utf8_lossy(&answer.body))
            }
            Ok(answer) => denied(check, "iam:SimulatePrincipalPolicy", answer.status),
            Err(failure) => unseen(check, &failure),
        }
    }

    /// DescribeKey.
    async fn key(&self, key: &str) -> Result<Finding, Failure> {
        let endpoint = self.account.endpoint_of("kms")?;
        let headers =
            [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.DescribeKey")];
        let body = Bytes::from(json!({"KeyId": key}).to_string());
        let request = Request {
            service: "kms",
            endpoint: &endpoint,
            method: "POST",
            path: "/",
            headers: &headers,
            body,
        };
        let answer = self.signed.send(request).await?;
        if answer.status != 200 {
            return Ok(denied("key", "kms:DescribeKey", answer.status));
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(match body["KeyMetadata"]["KeyState"].as_str().unwrap_or("unknown") {
            "Enabled" => Finding::pass("key", format!("{key} is enabled")),
            state => Finding::fail(
                "key",
                format!("{key} is {state}"),
                "without this key nobody can read the secret: enable the key, or cancel its deletion",
            ),
        })
    }
}

fn denied(check: &str, action: &str, status: u16) -> Finding {
    let hint = match status {
        429 | 500.. => PASSES.to_owned(),
        _ => format!("you need {action} to look at this"),
    };
    Finding::skipped(check, format!("{action} was answered with HTTP {status}"), Some(&hint))
}

fn configuration(body: &Value) -> Finding {
    let word = |key: &str| body[key].as_str().unwrap_or("unknown");
    let timeout = body["Timeout"].as_u64().unwrap_or(3);
    let text = format!(
        "{}, {} MB, {timeout} s, {}",
        word("Runtime"),
        body["MemorySize"],
        if body["VpcConfig"]["VpcId"].as_str().is_some_and(|id| !id.is_empty()) {
            "in a VPC"
        } else {
            "not in a VPC"
        }
    );
    if word("State") != "Active" && word("State") != "Inactive" {
        return Finding::fail(
            "function",
            format!("the function is {} ({}): {text}", word("State"), word("StateReason")),
            "correct the reason, and redeploy the function",
        );
    }
    if timeout < LEAST_TIMEOUT {
        return Finding::fail(
            "function",
            text,
            "raise the function's timeout to 30 seconds: a step waits for logins, and for the lock",
        );
    }
    Finding::pass("function", text)
}

fn invocation(policy: &Value, hint: &str) -> Finding {
    let statements = policy["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ours = statements
        .iter()
        .find(|it| it["Effect"] == "Allow" && it["Principal"]["Service"] == "secretsmanager.amazonaws.com");
    match ours {
        None => Finding::fail("invocation", "Secrets Manager may not invoke the function", hint),
        Some(statement) if statement["Condition"].to_string().contains("aws:SourceAccount") => {
            Finding::pass("invocation", "Secrets Manager of this account may invoke it")
        }
        Some(_) => Finding {
            hint: Some("add a condition on aws:SourceAccount".to_owned()),
            ..Finding::pass("invocation", "Secrets Manager may invoke it, on behalf of any account")
        },
    }
}

/// Reads the decision for each action from IAM's answer.
fn simulated(check: &str, role: &str, xml: &str) -> Finding {
    let between = |text: &str, tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner.to_owned())
    };
    let decisions = xml.split("<EvalActionName>").skip(1).filter_map(|part| {
        let action = part.split_once('<')?.0.to_owned();
        Some((action, between(part, "EvalDecision")?))
    });
    let (allowed, refused): (Vec<_>, Vec<_>) = decisions.partition(|(_, decision)| decision == "allowed");
    if allowed.is_empty() && refused.is_empty() {
        return Finding::skipped(check, "IAM's answer was not understood", None);
    }
    if refused.is_empty() {
        return Finding::pass(check, format!("{role} may do all of {} actions", allowed.len()));
    }
    let names: Vec<&str> = refused.iter().map(|(action, _)| action.as_str()).collect();
    Finding::fail(
        check,
        format!("{role} may not {}", names.join(", ")),
        "grant the role these actions; template.yaml has the smallest sufficient set",
    )
}

/// IAM has one endpoint and one Region for each partition.
fn iam(region: &str) -> (&'static str, &'static str) {
    if region.starts_with("cn-") {
        ("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1")
    } else if region.starts_with("us-gov-") {
        ("https://iam.us-gov.amazonaws.com", "us-gov-west-1")
    } else {
        ("https://iam.amazonaws.com", "us-east-1")
    }
}
