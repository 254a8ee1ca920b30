//! The operations of the service. Each is a function of the state and one request.

use super::input::Input;
use super::refusal::Refusal;
use context::{Answer, Context};

pub(crate) mod context;
mod create;
mod delete;
mod describe;
mod list;
mod password;
mod put;
mod read;
mod replicate;
mod resource_policy;
mod rotate;
mod stage;
mod tag;

pub(crate) use rotate::{begin, refuse_incomplete};

type Perform = fn(&mut Context<'_>, &Input) -> Answer;

const OPERATIONS: [(&str, Perform); 23] = [
    ("BatchGetSecretValue", read::batch_get_secret_value),
    ("CancelRotateSecret", rotate::cancel_rotate_secret),
    ("CreateSecret", create::create_secret),
    ("DeleteResourcePolicy", resource_policy::delete_resource_policy),
    ("DeleteSecret", delete::delete_secret),
    ("DescribeSecret", describe::describe_secret),
    ("GetRandomPassword", password::random_password),
    ("GetResourcePolicy", resource_policy::resource_policy),
    ("GetSecretValue", read::secret_value),
    ("ListSecretVersionIds", describe::list_secret_version_ids),
    ("ListSecrets", list::list_secrets),
    ("PutResourcePolicy", resource_policy::put_resource_policy),
    ("PutSecretValue", put::put_secret_value),
    ("RemoveRegionsFromReplication", replicate::remove_regions_from_replication),
    ("ReplicateSecretToRegions", replicate::replicate_secret_to_regions),
    ("RestoreSecret", delete::restore_secret),
    ("RotateSecret", rotate::rotate_secret),
    ("StopReplicationToReplica", replicate::stop_replication_to_replica),
    ("TagResource", tag::tag_resource),
    ("UntagResource", tag::untag_resource),
    ("UpdateSecret", put::update_secret),
    ("UpdateSecretVersionStage", stage::update_secret_version_stage),
    ("ValidateResourcePolicy", resource_policy::validate_resource_policy),
];

/// Performs one operation, or refuses it and changes nothing.
pub(crate) fn perform(cx: &mut Context<'_>, operation: &str, input: &Input) -> Answer {
    let (_, perform) = OPERATIONS.iter().find(|(name, _)| *name == operation).ok_or_else(|| {
        Refusal::new("UnknownOperationException", format!("Unknown operation {operation}."))
    })?;
    input.check_names()?;
    perform(cx, input)
}
