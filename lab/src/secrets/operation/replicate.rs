//! ReplicateSecretToRegions, RemoveRegionsFromReplication and StopReplicationToReplica.
//!
//! A replica has no content of its own. It is read through its primary, so it is always in sync.

use serde_json::{Value, json};

use super::context::{Answer, Context};
use crate::secrets::input::{Input, check_length};
use crate::secrets::name::{self, SecretId};
use crate::secrets::refusal::Refusal;
use crate::secrets::secret::{Replica, Secret};
use crate::secrets::state::Key;

/// A Region to replicate to, and its key.
pub(super) type Target = (String, Option<String>);

pub(super) fn replicate_secret_to_regions(cx: &mut Context<'_>, input: &Input) -> Answer {
    input.required_list("AddReplicaRegions")?;
    let regions = regions(input, &cx.caller.region)?;
    check_length("AddReplicaRegions", regions.len(), 1, usize::MAX)?;
    let overwrite = input.flag("ForceOverwriteReplicaSecret")?.unwrap_or(false);
    let found = cx.find_primary(input, "ReplicateSecretToRegions")?;
    add(cx, &found.key, &regions, overwrite)?;
    let secret = cx.secret(&found)?;
    Ok(json!({"ARN": secret.arn(), "ReplicationStatus": status(secret)}))
}

pub(super) fn remove_regions_from_replication(cx: &mut Context<'_>, input: &Input) -> Answer {
    input.required_list("RemoveReplicaRegions")?;
    let regions = input.texts("RemoveReplicaRegions", 1, usize::MAX)?.unwrap_or_default();
    regions.iter().try_for_each(|region| check_region(region))?;
    let found = cx.find_primary(input, "RemoveRegionsFromReplication")?;
    for region in regions {
        cx.state.forget_replica(&found.key, region);
        cx.modify(&found.key)?.replicas.remove(region);
    }
    let secret = cx.secret(&found)?;
    Ok(json!({"ARN": secret.arn(), "ReplicationStatus": status(secret)}))
}

pub(super) fn stop_replication_to_replica(cx: &mut Context<'_>, input: &Input) -> Answer {
    let found = cx.find_live(input, "StopReplicationToReplica")?;
    if !found.is_replica() {
        return Err(Refusal::invalid_request("The secret is not a replica secret."));
    }
    cx.state.forget_replica(&found.key, &found.region);
    let replica = cx.modify(&found.key)?.replicas.remove(&found.region);
    let mut promoted = Secret::clone(cx.secret(&found)?);
    promoted.region.clone_from(&found.region);
    promoted.replicas.clear();
    // Rotation stays with the primary, because a function belongs to its Region.
    promoted.rotation = None;
    promoted.accessed = replica.as_ref().and_then(|replica| replica.accessed);
    promoted.kms_key = replica.and_then(|replica| replica.kms_key);
    promoted.changed = cx.now;
    let arn = promoted.arn();
    cx.state.put(promoted);
    Ok(json!({"ARN": arn}))
}

/// The Regions to which a request wants to replicate.
pub(super) fn regions(input: &Input, own: &str) -> Result<Vec<Target>, Refusal> {
    let list = input.structures("AddReplicaRegions")?.unwrap_or_default();
    let mut regions: Vec<Target> = Vec::new();
    for target in &list {
        let region = target.required_text("Region", 1, 128)?;
        check_region(region)?;
        if region == own || regions.iter().any(|(known, _)| known == region) {
            return Err(Refusal::invalid_parameter("Invalid replica region."));
        }
        let kms_key = target.text("KmsKeyId", 0, 2048)?;
        regions.push((region.into(), kms_key.map(Into::into)));
    }
    Ok(regions)
}

fn check_region(region: &str) -> Result<(), Refusal> {
    if name::is_region(region) {
        return Ok(());
    }
    let text = "Member must satisfy regular expression pattern: ^([a-z]+-)+\\d+$";
    Err(Refusal::constraint("Region", text))
}

/// Makes the replicas. An existing secret of the same name stays, unless it may be overwritten.
pub(super) fn add(
    cx: &mut Context<'_>,
    key: &Key,
    regions: &[Target],
    overwrite: bool,
) -> Result<(), Refusal> {
    for (region, kms_key) in regions {
        let there = cx.state.find(&key.account, region, &SecretId::Name(key.name.clone()), cx.now);
        let failure = match there {
            Ok(found) if found.key == *key => None,
            Ok(found) if overwrite && !found.is_replica() => {
                cx.state.remove(&found.key);
                None
            }
            Ok(_) => Some(format!(
                "Replication failed: Secret name {} already exists in region {region}.",
                key.name
            )),
            Err(_) => None,
        };
        if failure.is_none() {
            cx.state.remember_replica(key, region);
        }
        let replica = Replica { kms_key: kms_key.clone(), failure, accessed: None };
        cx.modify(key)?.replicas.insert(region.clone(), replica);
    }
    Ok(())
}

pub(super) fn status(secret: &Secret) -> Value {
    let entry = |(region, replica): (&String, &Replica)| {
        let kms_key = replica.kms_key.as_deref().unwrap_or("alias/aws/secretsmanager");
        let mut entry = json!({"Region": region, "KmsKeyId": kms_key});
        match &replica.failure {
            None => entry["Status"] = json!("InSync"),
            Some(failure) => {
                entry["Status"] = json!("Failed");
                entry["StatusMessage"] = json!(failure);
            }
        }
        if let Some(accessed) = replica.accessed {
            entry["LastAccessedDate"] = accessed.json();
        }
        entry
    };
    secret.replicas.iter().map(entry).collect()
}
