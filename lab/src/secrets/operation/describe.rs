//! DescribeSecret and ListSecretVersionIds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::{Answer, Context, page};
use super::replicate;
use crate::secrets::input::Input;
use crate::secrets::secret::{Secret, Version};

pub(super) fn describe_secret(cx: &mut Context<'_>, input: &Input) -> Answer {
    let found = cx.find(input, "DescribeSecret")?;
    let secret = cx.state.lagging(&found.key, cx.metadata_lag)?;
    let mut answer = description(&secret, &found.region, "VersionIdsToStages");
    if !secret.replicas.is_empty() {
        answer["ReplicationStatus"] = replicate::status(&secret);
    }
    Ok(answer)
}

/// The answer of DescribeSecret and ListSecrets about a secret. They have different names for the map of labels.
pub(crate) fn description(secret: &Secret, region: &str, labels: &str) -> Value {
    let replica = secret.replicas.get(region);
    let accessed = replica.map_or(secret.accessed, |replica| replica.accessed);
    let kms_key = replica.map_or(&secret.kms_key, |replica| &replica.kms_key);
    let mut answer = json!({
        "ARN": secret.arn_in(region),
        "Name": secret.name,
        "CreatedDate": secret.created.json(),
        "LastChangedDate": secret.changed.json(),
    });
    let mut tell = |member: &str, value: Option<Value>| {
        if let Some(value) = value {
            answer[member] = value;
        }
    };
    tell("Description", secret.description.as_ref().map(|text| json!(text)));
    tell("KmsKeyId", kms_key.as_ref().map(|key| json!(key)));
    tell("Type", secret.kind.as_ref().map(|kind| json!(kind)));
    tell("LastAccessedDate", accessed.map(|at| at.json()));
    tell("DeletedDate", secret.deletion.map(|at| at.json()));
    tell("Tags", secret.tags.as_ref().map(|tags| tag_list(tags)));
    tell("PrimaryRegion", (!secret.replicas.is_empty()).then(|| json!(secret.region)));
    if let Some(rotation) = &secret.rotation {
        tell("RotationEnabled", Some(json!(rotation.enabled)));
        tell("RotationLambdaARN", rotation.function.as_ref().map(|arn| json!(arn)));
        tell("RotationRules", rotation.rules.json(rotation.interval_days));
        tell("LastRotatedDate", rotation.last.filter(|_| rotation.enabled).map(|at| at.json()));
        tell("NextRotationDate", rotation.next.filter(|_| rotation.enabled).map(|next| next.closes.json()));
    }
    let map: BTreeMap<&str, _> = labelled(secret).map(|v| (v.id.as_str(), &v.labels)).collect();
    tell(labels, (!map.is_empty()).then(|| json!(map)));
    answer
}

fn labelled(secret: &Secret) -> impl Iterator<Item = &Version> {
    secret.versions.iter().filter(|version| !version.labels.is_empty())
}

fn tag_list(tags: &[(String, String)]) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

pub(super) fn list_secret_version_ids(cx: &mut Context<'_>, input: &Input) -> Answer {
    let deprecated = input.flag("IncludeDeprecated")?.unwrap_or(false);
    let found = cx.find(input, "ListSecretVersionIds")?;
    let secret = cx.state.lagging(&found.key, cx.metadata_lag)?;
    // "ListSecretVersionIds only returns versions that contain a secret value" (DescribeSecret).
    let filled = secret.versions.iter().filter(|version| version.content.is_some());
    let listed = filled.filter(|version| deprecated || !version.labels.is_empty());
    let (versions, next) = page(listed.map(entry).collect(), input, 100)?;
    let mut answer = json!({"ARN": secret.arn_in(&found.region), "Name": secret.name, "Versions": versions});
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn entry(version: &Version) -> Value {
    // The service's name for aws/secretsmanager in this answer, as recorded.
    let key = version.kms_key.as_deref().unwrap_or("DefaultEncryptionKey");
    let mut entry =
        json!({"VersionId": version.id, "CreatedDate": version.created.json(), "KmsKeyIds": [key]});
    if !version.labels.is_empty() {
        entry["VersionStages"] = json!(version.labels);
    }
    if let Some(accessed) = version.accessed {
        entry["LastAccessedDate"] = accessed.json();
    }
    entry
}
