//! Names, ARNs and identifiers: how a caller names a secret, and how the service builds ARNs.

use rand::RngExt;

use super::refusal::Refusal;

/// How a `SecretId` names a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretId {
    Name(String),
    /// `suffix` is `None` for a partial ARN.
    Arn {
        region: String,
        account: String,
        name: String,
        suffix: Option<String>,
    },
}

const INVALID_NAME: &str = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";

pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-/_+=.@!".contains(letter);
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(Refusal::validation(INVALID_NAME));
    }
    Ok(())
}

impl SecretId {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let Some(rest) = text.strip_prefix("arn:") else {
            check_name(text)?;
            return Ok(Self::Name(text.into()));
        };
        let parts: Vec<&str> = rest.splitn(6, ':').collect();
        let [_partition, "secretsmanager", region, account, "secret", resource] = parts[..] else {
            return Err(Refusal::validation(INVALID_NAME));
        };
        check_name(resource)?;
        let (name, suffix) = split_suffix(resource);
        Ok(Self::Arn {
            region: region.into(),
            account: account.into(),
            name: name.into(),
            suffix: suffix.map(Into::into),
        })
    }
}

/// The service takes a resource that ends in a hyphen and six letters or digits for a complete ARN. Therefore the documentation
/// warns of names with such an end ("Finding a secret from a partial ARN").
fn split_suffix(resource: &str) -> (&str, Option<&str>) {
    match resource.rsplit_once('-') {
        Some((name, suffix)) if suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric()) => {
            (name, Some(suffix))
        }
        _ => (resource, None),
    }
}

/// The partition a Region belongs to, for its ARNs.
pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

pub(crate) fn arn(region: &str, account: &str, name: &str, suffix: &str) -> String {
    format!("arn:{}:secretsmanager:{region}:{account}:secret:{name}-{suffix}", partition(region))
}

pub(crate) fn is_region(text: &str) -> bool {
    let mut parts: Vec<&str> = text.split('-').collect();
    let number = parts.pop().unwrap_or_default();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    !parts.is_empty()
        && parts.iter().all(word)
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// The six characters the service appends to a name.
pub(crate) fn new_suffix() -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..6).map(|_| char::from(alphabet[random.random_range(0..alphabet.len())])).collect()
}
